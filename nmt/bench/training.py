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
from nmt.bench.contestant import Contestant, Step
from nmt.bench.flop import training_flop
from nmt.bench.profile import Profile, profile
from nmt.bench.statistics import Ratio, Speed, ratio
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.reporting.console import Console

_CEILING_SECONDS = 0.5  # before the training, and again after it


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        updates: Number of measured updates of each configuration.
        warmup: Updates before them, at least one.
        block: Measured updates per turn, where two configurations alternate. One further update
            before each block is not measured.
        patience: Total seconds per configuration to wait while the machine is busy.
        validate: Whether a validation is timed after the updates.
        profiled: Further updates whose operations are profiled, for a single configuration.
    """

    updates: int
    warmup: int
    block: int
    patience: float
    validate: bool
    profiled: int = 0


@dataclass(frozen=True)
class Validation:
    """The cost of a validation, with the model as trained so far.

    Attributes:
        seconds: Time of one validation.
        every: Updates between validations.
        share: Share of a run's time, from 0 to 1.
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
        device: Of the model.
        threads: CPU threads.
        token_shares: Share of each process in the target tokens, in the order of their ranks.
        preparation: Seconds for the corpus and the model.
        first_update: Seconds of the first update, the start of the loader and the capture of
            graphs included.
        speed: Of the updates of all processes together.
        flop_per_token: Floating-point operations per target token, including those of the source.
        ceiling: The fastest matrix products in this dtype; of several processes, the sum.
        validation: None if it was not timed.
        peak_memory: Bytes of the process, or on the CUDA device; of several processes, the
            largest; None where two configurations alternated.
        memory_before: The same before the first update; None if unknown.
        profile: Where the time of further updates went; None without profiling.
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
        """Model FLOPs utilization (MFU): required operations over those of the ceiling."""
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

    On a GPU the parts of an update are timed in further updates, a quarter as many, with a wait for
    the device after each part.

    Raises:
        UserError: The configuration or the corpus is at fault.
    """
    separate = max(1, plan.updates // 4)
    planned = plan.warmup + plan.updates + 1 + separate + plan.profiled
    contestant = Contestant(config, console, planned, patience=plan.patience)
    before = peak_memory.current(contestant.device)
    first = _ceiling(contestant)
    peak_memory.reset_peak(contestant.device)
    steps, shares = combine(contestant.train(plan.updates, warmup=plan.warmup))
    peak = int(processes.largest(peak_memory.peak(contestant.device)))
    speed = Speed.of(steps)
    if contestant.device.type != "cpu":
        phases = Speed.of(contestant.train(separate, warmup=1, waits=True)).phases
        speed = replace(speed, phases=phases)
    ceiling = _best(first, _ceiling(contestant))
    validation = _validation(contestant, speed) if plan.validate else None
    measured = _measured(contestant, overrides, speed, shares, ceiling)
    measured = replace(measured, validation=validation, peak_memory=peak, memory_before=before)
    if plan.profiled:
        found = profile(lambda: contestant.train(plan.profiled), contestant.device, plan.profiled)
        measured = replace(measured, profile=found)
    return measured


@dataclass(frozen=True)
class Compared:
    """Two configurations that alternated in one process.

    Attributes:
        first: One of them.
        second: The other.
        ratio: Speed of the first divided by that of the second.
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
        UserError: A configuration or its corpus is at fault, the devices differ, or a profile is
            requested.
    """
    if plan.profiled:
        raise UserError("--profile measures a single configuration: use it without --against")
    blocks = -(-plan.updates // plan.block)
    planned = plan.warmup + blocks * (plan.block + 1)
    threads, contestants = torch.get_num_threads(), []
    for config in configs:
        torch.set_num_threads(
            threads
        )  # the first one's setting must not become the second one's default
        contestants.append(Contestant(config, console, planned, patience=plan.patience))
    one, other = contestants
    if one.device != other.device:
        raise UserError(
            f"the configurations are on different devices, {one.device} and {other.device}: "
            "give both the same training.device"
        )
    ceilings = [_ceiling(contestant) for contestant in (one, other)]
    for contestant in (one, other):
        contestant.train(plan.warmup)
    found: tuple[list[list[Step]], list[list[Step]]] = ([], [])
    for _ in range(blocks):
        for contestant, steps in zip((one, other), found, strict=True):
            steps.append(contestant.train(plan.block, warmup=1))
    results = [
        _compared(*parts)
        for parts in zip((one, other), overrides, found, ceilings, (plan, plan), strict=True)
    ]
    combined = [[combine(block)[0] for block in blocks] for blocks in found]
    return Compared(results[0], results[1], ratio(*combined))


def _compared(
    contestant: Contestant,
    overrides: Sequence[str],
    blocks: Sequence[Sequence[Step]],
    before: Ceiling,
    plan: Plan,
) -> Measured:
    steps, shares = combine([step for block in blocks for step in block])
    speed = Speed.of(steps)
    ceiling = _best(before, _ceiling(contestant))
    measured = _measured(contestant, overrides, speed, shares, ceiling)
    return replace(measured, validation=_validation(contestant, speed) if plan.validate else None)


def _ceiling(contestant: Contestant) -> Ceiling:
    """Measure the ceiling of all processes, at the same time."""
    contestant.apply_settings()
    processes.barrier()
    precision = contestant.bench.precision
    return total_ceiling(measure_ceiling(precision, contestant.device, _CEILING_SECONDS))


def _best(first: Ceiling, second: Ceiling) -> Ceiling:
    """Return the faster measurement per shape: other processes may have slowed one of them."""
    rates = {shape: max(first.rates[shape], second.rates[shape]) for shape in first.rates}
    return Ceiling(first.precision, rates)


def _validation(contestant: Contestant, speed: Speed) -> Validation:
    with contestant.bench.trainer.updater.full_parameters():
        seconds = seconds_of(contestant.bench.validate, contestant.device)
    every = contestant.config.training.validate_every
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
    contestant: Contestant,
    overrides: Sequence[str],
    speed: Speed,
    shares: list[float],
    ceiling: Ceiling,
) -> Measured:
    model, corpus = contestant.bench.trainer.model, contestant.bench.corpus
    counts = speed.counts
    target_size = len(corpus.tokenizers.target)
    flop = training_flop(contestant.config.model, target_size, counts)
    assert contestant.first_update is not None
    return Measured(
        overrides=list(overrides),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        precision=ceiling.precision,
        device=str(contestant.device),
        threads=contestant.threads,
        token_shares=shares,
        preparation=contestant.preparation,
        first_update=contestant.first_update,
        speed=speed,
        flop_per_token=flop / counts.target_tokens,
        ceiling=ceiling,
    )
