"""Compares the time per piece of a long translation with that of a short translation."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nmt.bench.ceiling import synchronise
from nmt.bench.clock import Instant, Span
from nmt.bench.decoding import exact_length
from nmt.decoding.translator import Translator


@dataclass(frozen=True)
class LengthCost:
    """The time per decoding step at two target lengths; the sources are the same.

    Attributes:
        pieces: The short and the long length, without EOS.
        milliseconds: Median time per step of one batch, at the short and at the long length.
        ratio: Median over the rounds of time per step at the long length / at the short length.
        low: The lowest ratio of a round.
        high: The highest ratio of a round.
        clock: ``processor``: CPU time of this process; ``wall``: wall-clock time, on a GPU.
    """

    pieces: tuple[int, int]
    milliseconds: tuple[float, float]
    ratio: float
    low: float
    high: float
    clock: str

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def length_cost(
    translator: Translator, sentences: Sequence[str], pieces: tuple[int, int], rounds: int
) -> LengthCost:
    """Translate one batch to both lengths, in turns, after a warm-up that is not measured.

    Args:
        translator: The model and its search.
        sentences: The first ``decoding.batch_size`` nonblank sentences are translated.
        pieces: The short and the long length, without EOS.
        rounds: Number of rounds, at least one.
    """
    device = translator.model.output.weight.device
    on_cpu = device.type == "cpu"
    nonblank = [sentence for sentence in sentences if sentence.strip()]
    batch = nonblank[: translator.decoding.batch_size]
    costs: tuple[list[float], list[float]] = [], []
    for number in range(rounds + 1):
        for length, found in zip(pieces, costs, strict=True):
            with exact_length(translator, length) as bound:
                synchronise(device)
                began = Instant.now()
                bound.translate(batch)
                synchronise(device)
                span = Span(began, Instant.now())
            seconds = span.end.own - span.start.own if on_cpu else span.seconds
            if number:
                found.append(1000 * seconds / (length + 1))
    ratios = [long / short for short, long in zip(*costs, strict=True)]
    return LengthCost(
        pieces=pieces,
        milliseconds=(statistics.median(costs[0]), statistics.median(costs[1])),
        ratio=statistics.median(ratios),
        low=min(ratios),
        high=max(ratios),
        clock="processor" if on_cpu else "wall",
    )
