"""Compares the speed of a search with a shortlist and of a search over all target pieces."""

import statistics
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass
from typing import Any

from nmt.bench.ceiling import synchronise
from nmt.bench.clock import Instant
from nmt.bench.decoding import exact_length
from nmt.decoding.translator import Translator


@dataclass(frozen=True)
class ShortlistGain:
    """The speed of both searches, which alternate.

    Attributes:
        seconds: Median time of a round with all pieces, and with the shortlist.
        ratio: Median over the rounds of time with all pieces / time with the shortlist.
        low: The lowest ratio of a round.
        high: The highest ratio of a round.
        same: Share of the sentences with the same translation, from 0 to 1.
        clock: ``processor``: CPU time of this process; ``wall``: wall-clock time, on a GPU.
    """

    seconds: tuple[float, float]
    ratio: float
    low: float
    high: float
    same: float
    clock: str

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def shortlist_gain(
    translator: Translator, sentences: Sequence[str], rounds: int, exact: int | None
) -> ShortlistGain:
    """Translate with all pieces and with the shortlist, in turns, after a batch of warm-up.

    Args:
        translator: The model and its search, which has a shortlist.
        sentences: The sentences; blank ones are left out.
        rounds: Number of rounds, at least one.
        exact: Forced length of each translation, without EOS, so that both searches do equal work;
            None: not forced.
    """
    device = translator.model.output.weight.device
    on_cpu = device.type == "cpu"
    nonblank = [sentence for sentence in sentences if sentence.strip()]
    plain = copy(translator)
    plain.shortlist = None
    times: tuple[list[float], list[float]] = [], []
    texts: list[list[str]] = [[], []]
    for number in range(rounds + 1):
        given = nonblank if number else nonblank[: translator.decoding.batch_size]
        for side, one in enumerate((plain, translator)):
            with exact_length(one, exact) as bound:
                synchronise(device)
                began = Instant.now()
                texts[side] = [found.text for found in bound.translate(given, wanted=1)]
                synchronise(device)
                ended = Instant.now()
            if number:
                times[side].append(ended.own - began.own if on_cpu else ended.wall - began.wall)
    ratios = [long / short for long, short in zip(*times, strict=True)]
    return ShortlistGain(
        seconds=(statistics.median(times[0]), statistics.median(times[1])),
        ratio=statistics.median(ratios),
        low=min(ratios),
        high=max(ratios),
        same=statistics.mean(one == other for one, other in zip(*texts, strict=True)),
        clock="processor" if on_cpu else "wall",
    )
