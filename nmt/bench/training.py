"""`nmt bench train`: the training speed of one configuration, or of two that alternate."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from nmt import processes
from nmt.bench import peak_memory
from nmt.bench.all_processes import combine, total_ceiling
from nmt.bench.ceiling import Ceiling, measure_ceiling, synchronise
from nmt.bench.flop import training_flop
from nmt.bench.measured_run import MeasuredRun, Step
from nmt.bench.profile import Profile, profile
from nmt.bench.speed_statistics import Ratio, Speed, ratio
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.reporting.console import Console

_CEILING_SECONDS = 0.5  # before the training, and again after it


@dataclass(frozen=True)
class Plan:
    """Numbers of updates, and options of a measurement.

    Attributes:
        updates: Number of measured updates of each configuration.
        warmup: Number of updates before them, at least one.
        block: Number of measured updates per turn if two configurations alternate. One update
            before each block is not measured.
        patience: Total seconds per configuration for waits while the machine is busy.
        validate: Whether a validation is timed after the updates.
        profiled: Number of further updates that are profiled, for a single configuration.
    """

    updates: int
    warmup: int
    block: int
    patience: float
    validate: bool
    profiled: int = 0


@dataclass(frozen=True)
class Validation:
    """The cost of a validation with the model after the measured updates.

    Attributes:
        seconds: Time of one validation.
        every: Updates between validations.
        share: Share of validations in the time of a run, from 0 to 1.
    """

    seconds: float
    every: int
    share: float


@dataclass(frozen=True)
class Measured:
    """The measured training speed of a configuration.

    Attributes:
        overrides: The overrides of the configuration.
        parameters: Number of the model's parameters.
        precision: Dtype of matrix products.
        device: Device of the model.
        threads: CPU threads.
        token_shares: Share of each process in the target tokens, in the order of their ranks.
        preparation: Seconds for the corpus and the model.
        first_update: Seconds of the first update, with the start of the loader and the capture of
            graphs.
        speed: Speed of all processes together.
        flop_per_token: Floating-point operations per target token, including those of the source.
        ceiling: Speed of matrix products in this dtype, the sum over processes.
        validation: Cost of a validation; None: not timed.
        peak_memory: Peak bytes of the process, or on the CUDA device, the largest over processes;
            None if two configurations alternated.
        memory_before: Bytes of memory before the first update; None if unknown.
        profile: Distribution of the time of further updates; None without profiling.
    """

    overrides: list[str]
    parameters: int
    precision: str
    device: str
    threads: int
    token_shares: list[float]
    preparation: float
    first_update: float
    speed: Speed
    flop_per_token: float
    ceiling: Ceiling
    validation: Validation | None = None
    peak_memory: int | None = None
    memory_before: int | None = None
    profile: Profile | None = None

    @property
    def ceiling_share(self) -> float:
        """Model FLOPs utilization (MFU): required operations per second / those of the ceiling."""
        done = self.speed.tokens_per_second * self.flop_per_token
        return done / self.ceiling.flop_per_second

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values, computed ones included."""
        speed, counts = self.speed, self.speed.counts
        plain = asdict(self)
        plain["speed"] |= {
            "mean_tokens_per_second": speed.mean_tokens_per_second,
            "source_tokens_per_second": counts.source_tokens / speed.seconds,
            "sentences_per_second": counts.sentences / speed.seconds,
            "source_padding": counts.source_padding,
            "target_padding": counts.target_padding,
        }
        plain["operations"] = {} if self.profile is None else self.profile.shares
        plain["ceiling"]["flop_per_second"] = self.ceiling.flop_per_second
        return plain | {"ceiling_share": self.ceiling_share}


def bench_training(
    config: Config, overrides: Sequence[str], plan: Plan, console: Console
) -> Measured:
    """Train for some updates and measure their speed.

    On a GPU the parts of an update are timed in further updates (a quarter of the number), with a
    wait for the device after each part.

    Raises:
        UserError: The configuration or the corpus is invalid.
    """
    separate = max(1, plan.updates // 4)
    planned = plan.warmup + plan.updates + 1 + separate + plan.profiled
    run = MeasuredRun(config, console, planned, patience=plan.patience)
    before = peak_memory.current(run.device)
    first = _ceiling(run)
    peak_memory.reset_peak(run.device)
    steps, shares = combine(run.train(plan.updates, warmup=plan.warmup))
    peak = int(processes.largest(peak_memory.peak(run.device)))
    speed = Speed.of(steps)
    if run.device.type != "cpu":
        phases = Speed.of(run.train(separate, warmup=1, waits=True)).phases
        speed = replace(speed, phases=phases)
    ceiling = _best(first, _ceiling(run))
    validation = _validation(run, speed) if plan.validate else None
    measured = _measured(run, overrides, speed, shares, ceiling)
    measured = replace(measured, validation=validation, peak_memory=peak, memory_before=before)
    if plan.profiled:
        found = profile(lambda: run.train(plan.profiled), run.device, plan.profiled)
        measured = replace(measured, profile=found)
    return measured


@dataclass(frozen=True)
class Compared:
    """Two configurations that alternated in one process.

    Attributes:
        first: The speed of the first configuration.
        second: The speed of the second configuration.
        ratio: Speed of the first divided by speed of the second.
    """

    first: Measured
    second: Measured
    ratio: Ratio


def compare_trainings(
    configs: tuple[Config, Config],
    overrides: tuple[Sequence[str], Sequence[str]],
    plan: Plan,
    console: Console,
) -> Compared:
    """Train two models in alternating blocks of updates, and measure both.

    Raises:
        UserError: A configuration or its corpus is invalid, the devices differ, or a profile is
            requested.
    """
    if plan.profiled:
        raise UserError("--profile measures a single configuration: use it without --against")
    blocks = -(-plan.updates // plan.block)
    planned = plan.warmup + blocks * (plan.block + 1)
    threads, runs = torch.get_num_threads(), []
    for config in configs:
        torch.set_num_threads(threads)  # the first run's setting is not the second run's default
        runs.append(MeasuredRun(config, console, planned, patience=plan.patience))
    one, other = runs
    if one.device != other.device:
        raise UserError(
            f"the configurations are on different devices, {one.device} and {other.device}: "
            "give both the same training.device"
        )
    ceilings = [_ceiling(run) for run in (one, other)]
    for run in (one, other):
        run.train(plan.warmup)
    found: tuple[list[list[Step]], list[list[Step]]] = ([], [])
    for _ in range(blocks):
        for run, steps in zip((one, other), found, strict=True):
            steps.append(run.train(plan.block, warmup=1))
    results = [
        _compared(*parts)
        for parts in zip((one, other), overrides, found, ceilings, (plan, plan), strict=True)
    ]
    combined = [[combine(block)[0] for block in blocks] for blocks in found]
    return Compared(results[0], results[1], ratio(*combined))


def _compared(
    run: MeasuredRun,
    overrides: Sequence[str],
    blocks: Sequence[Sequence[Step]],
    before: Ceiling,
    plan: Plan,
) -> Measured:
    steps, shares = combine([step for block in blocks for step in block])
    speed = Speed.of(steps)
    ceiling = _best(before, _ceiling(run))
    measured = _measured(run, overrides, speed, shares, ceiling)
    return replace(measured, validation=_validation(run, speed) if plan.validate else None)


def _ceiling(run: MeasuredRun) -> Ceiling:
    """Measure the ceilings of all processes at the same time and return their sum."""
    run.apply_settings()
    processes.barrier()
    precision = run.bench.precision
    return total_ceiling(measure_ceiling(precision, run.device, _CEILING_SECONDS))


def _best(first: Ceiling, second: Ceiling) -> Ceiling:
    """Return the higher rate of each shape, because other processes may have slowed the other."""
    rates = {shape: max(first.rates[shape], second.rates[shape]) for shape in first.rates}
    return Ceiling(first.precision, rates)


def _validation(run: MeasuredRun, speed: Speed) -> Validation:
    with run.bench.trainer.updater.full_parameters():
        seconds = seconds_of(run.bench.validate, run.device)
    every = run.config.training.validate_every
    training = every * speed.seconds / max(1, speed.quiet_updates or speed.updates)
    return Validation(seconds, every, seconds / (seconds + training))


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that work on a device takes."""
    synchronise(device)
    began = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - began


def _measured(
    run: MeasuredRun,
    overrides: Sequence[str],
    speed: Speed,
    shares: list[float],
    ceiling: Ceiling,
) -> Measured:
    model, corpus = run.bench.trainer.model, run.bench.corpus
    counts = speed.counts
    target_size = len(corpus.tokenizers.target)
    flop = training_flop(run.config.model, target_size, counts)
    assert run.first_update is not None
    return Measured(
        overrides=list(overrides),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        precision=ceiling.precision,
        device=str(run.device),
        threads=run.threads,
        token_shares=shares,
        preparation=run.preparation,
        first_update=run.first_update,
        speed=speed,
        flop_per_token=flop / counts.target_tokens,
        ceiling=ceiling,
    )
