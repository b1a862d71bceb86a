"""`nmt bench train`: how fast a configuration learns, alone or in turn with another."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from nmt.bench import memory
from nmt.bench.ceiling import Ceiling, measure_ceiling
from nmt.bench.contestant import Contestant, Step
from nmt.bench.flop import training_flop
from nmt.bench.profile import profile
from nmt.bench.statistics import Ratio, Speed, ratio
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.reporting.console import Console

_CEILING_SECONDS = 0.5  # before, and behind once more


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        updates: That count, of each configuration.
        warmup: Before them, at least one.
        block: That count in a row, where two configurations take turns; one goes before each.
        patience: Seconds to wait in all, of each configuration, for a machine that is busy.
        validate: Whether a validation is timed behind them.
        profiled: Updates behind them of which operations are told apart, of one configuration.
    """

    updates: int
    warmup: int
    block: int
    patience: float
    validate: bool
    profiled: int = 0


@dataclass(frozen=True)
class Validation:
    """What a validation costs, of the model as trained so far.

    Attributes:
        seconds: Of one.
        every: Updates from one to the next.
        share: Of a run's time, from 0 to 1.
    """

    seconds: float
    every: int
    share: float


@dataclass(frozen=True)
class Measured:
    """How fast a configuration learns.

    Attributes:
        overrides: That make it.
        parameters: Of the model.
        precision: Of products.
        device: Where.
        threads: Of the processor.
        speed: Of its updates.
        flop_per_token: Operations of learning a target piece; the source's share is in it.
        ceiling: The fastest products of this machine in this precision.
        validation: None where it was not timed.
        peak_memory: Bytes, all of the process or on the CUDA device; None where two took turns.
        memory_before: Likewise held before the first update; None where it is not known.
        operations: Their own shares of an update's time, as `nmt.bench.profile.profile` tells;
            empty where none was watched.
    """

    overrides: list[str]
    parameters: int
    precision: str
    device: str
    threads: int
    speed: Speed
    flop_per_token: float
    ceiling: Ceiling
    validation: Validation | None
    peak_memory: int | None
    memory_before: int | None
    operations: dict[str, float] = field(default_factory=dict)

    @property
    def ceiling_share(self) -> float:
        """Operations that were needed, over those of the ceiling in the same time (MFU)."""
        done = self.speed.tokens_per_second * self.flop_per_token
        return done / self.ceiling.flop_per_second

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values, those that are computed included."""
        speed, counts = self.speed, self.speed.counts
        plain = asdict(self)
        plain["speed"] |= {
            "mean_tokens_per_second": speed.mean_tokens_per_second,
            "source_tokens_per_second": counts.source_tokens / speed.seconds,
            "sentences_per_second": counts.sentences / speed.seconds,
            "source_padding": counts.source_padding,
            "target_padding": counts.target_padding,
        }
        plain["ceiling"]["flop_per_second"] = self.ceiling.flop_per_second
        return plain | {"ceiling_share": self.ceiling_share}


def bench_training(config: Config, overrides: Sequence[str], plan: Plan, say: Console) -> Measured:
    """Train for some updates, and measure.

    On a device that works behind the program's back, the parts of an update are told apart in
    further updates, a quarter as many, each of which is waited for.

    Raises:
        UserError: The configuration or the corpus is at fault.
    """
    apart = max(1, plan.updates // 4)
    planned = plan.warmup + plan.updates + 1 + apart + plan.profiled
    contestant = Contestant(config, say, planned, patience=plan.patience)
    before = memory.held(contestant.device)
    first = _ceiling(contestant)
    memory.forget_peak(contestant.device)
    steps = contestant.train(plan.warmup + plan.updates)[plan.warmup :]
    peak = memory.peak(contestant.device)
    speed = Speed.of(steps)
    if contestant.device.type != "cpu":
        phases = Speed.of(contestant.train(1 + apart, waits=True)[1:]).phases
        speed = replace(speed, phases=phases)
    ceiling = _best(first, _ceiling(contestant))
    validation = _validation(contestant, speed) if plan.validate else None
    measured = _measured(contestant, overrides, speed, ceiling, validation, (peak, before))
    if plan.profiled:
        shares = profile(lambda: contestant.train(plan.profiled), contestant.device)
        measured = replace(measured, operations=shares)
    return measured


@dataclass(frozen=True)
class Compared:
    """Two configurations that took turns in one process.

    Attributes:
        first: The one.
        second: The other.
        ratio: How many times as fast as the second the first was.
    """

    first: Measured
    second: Measured
    ratio: Ratio


def compare_trainings(
    configs: tuple[Config, Config],
    overrides: tuple[Sequence[str], Sequence[str]],
    plan: Plan,
    say: Console,
) -> Compared:
    """Train two models in turn, a block of updates each, and measure both.

    Raises:
        UserError: A configuration or its corpus is at fault, they are on two devices, or a profile
            is asked for.
    """
    if plan.profiled:
        raise UserError("a profile is of one configuration: give --profile without --against")
    blocks = -(-plan.updates // plan.block)
    planned = plan.warmup + blocks * (plan.block + 1)
    threads, made = torch.get_num_threads(), []
    for config in configs:
        torch.set_num_threads(threads)  # the one's choice is not the other's default
        made.append(Contestant(config, say, planned, patience=plan.patience))
    one, other = made
    if one.device != other.device:
        raise UserError(
            f"the one is on {one.device} and the other on {other.device}: give both the same "
            "training.device"
        )
    ceilings = [_ceiling(contestant) for contestant in (one, other)]
    for contestant in (one, other):
        contestant.train(plan.warmup)
    found: tuple[list[list[Step]], list[list[Step]]] = ([], [])
    for _ in range(blocks):
        for contestant, steps in zip((one, other), found, strict=True):
            steps.append(contestant.train(plan.block + 1)[1:])
    results = []
    for contestant, own, steps, before in zip(
        (one, other), overrides, found, ceilings, strict=True
    ):
        speed = Speed.of([step for block in steps for step in block])
        ceiling = _best(before, _ceiling(contestant))
        validation = _validation(contestant, speed) if plan.validate else None
        results.append(_measured(contestant, own, speed, ceiling, validation, (None, None)))
    return Compared(results[0], results[1], ratio(*found))


def _ceiling(contestant: Contestant) -> Ceiling:
    contestant.settle()
    return measure_ceiling(contestant.bench.precision, contestant.device, _CEILING_SECONDS)


def _best(first: Ceiling, second: Ceiling) -> Ceiling:
    """The machine can do what it did once: others may have been busy the other time."""
    rates = {shape: max(first.rates[shape], second.rates[shape]) for shape in first.rates}
    return Ceiling(first.precision, rates)


def _validation(contestant: Contestant, speed: Speed) -> Validation:
    seconds = _seconds(contestant.bench.validate)
    every = contestant.config.training.validate_every
    training = every * speed.seconds / max(1, speed.quiet_updates or speed.updates)
    return Validation(seconds, every, seconds / (seconds + training))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _measured(
    contestant: Contestant,
    overrides: Sequence[str],
    speed: Speed,
    ceiling: Ceiling,
    validation: Validation | None,
    held: tuple[int | None, int | None],
) -> Measured:
    model, corpus = contestant.bench.trainer.model, contestant.bench.corpus
    counts = speed.counts
    target_size = len(corpus.tokenizers.target)
    flop = training_flop(contestant.config.model, target_size, counts)
    return Measured(
        overrides=list(overrides),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        precision=ceiling.precision,
        device=str(contestant.device),
        threads=contestant.threads,
        speed=speed,
        flop_per_token=flop / counts.target_tokens,
        ceiling=ceiling,
        validation=validation,
        peak_memory=held[0],
        memory_before=held[1],
    )
