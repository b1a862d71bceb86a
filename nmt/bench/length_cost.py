"""What a piece of a long translation costs, compared with one of a short translation."""

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
    """The time per output piece at two lengths, EOS included; the source is the same.

    Attributes:
        pieces: The short and the long length, without EOS.
        milliseconds: Median time of a step of one batch at either length.
        ratio: Median over the rounds of the long one's time per piece divided by the short one's.
        low: The lowest such ratio.
        high: The highest one.
        clock: ``processor`` time of this process, or ``wall`` time on a GPU.
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
        sentences: The first ``decoding.batch_size`` of them that are not blank are translated.
        pieces: The short and the long length.
        rounds: At least one.
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
