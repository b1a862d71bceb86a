"""What comes more than once: within a split, and across splits, by hashes alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nmt.data.locations import SHOWN, Place, Tally
from nmt.data_check.inspection import Inspection

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Repeats:
    """What repeats within a split.

    Attributes:
        pairs: Pairs that were there before, word for word.
        sources: How many sources were there before beside another target.
    """

    pairs: Tally
    sources: int


@dataclass(frozen=True)
class Overlap:
    """What a held-out split shares with the training pairs.

    Attributes:
        pairs: Its pairs that are among them.
        sources: Its pairs of which only the source is.
    """

    pairs: Tally
    sources: Tally


def find_repeats(inspection: Inspection) -> Repeats:
    """Find pairs that came before; blank ones do not count."""
    kept = _not_blank(inspection)
    hashes = inspection.pair_hashes()[kept]
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
    pairs = Tally()
    shown = again[np.argsort(order[again])[:SHOWN]]
    first = order[np.searchsorted(ordered, ordered[shown])]
    places = (
        inspection.place(int(kept[order[i]]), text=_as(inspection.place(int(kept[j]))))
        for i, j in zip(shown, first, strict=True)
    )
    pairs.add(len(again), places)
    distinct = len(hashes) - len(again)
    sources = len(np.unique(inspection.side("source").hashes[kept]))
    return Repeats(pairs, distinct - sources)


def find_overlap(train: Inspection, held_out: Inspection) -> Overlap:
    """Find what of a held-out split stands in the training pairs; blank ones do not count."""
    kept, trained = _not_blank(held_out), _not_blank(train)
    pairs, pair_twins = _found_in(held_out.pair_hashes()[kept], train.pair_hashes()[trained])
    sources, source_twins = _found_in(
        held_out.side("source").hashes[kept], train.side("source").hashes[trained]
    )
    alone = ~np.isin(sources, pairs)
    sources, source_twins = sources[alone], source_twins[alone]
    tallies = []
    for indices, twins, side in ((pairs, pair_twins, "target"), (sources, source_twins, "source")):
        places = (
            held_out.place(int(kept[i]), side, _as(train.place(int(trained[j]), side)))
            for i, j in zip(indices[:SHOWN], twins[:SHOWN], strict=True)
        )
        tallies.append(Tally())
        tallies[-1].add(len(indices), places)
    return Overlap(*tallies)


def _as(twin: Place) -> str:
    return f"as {Path(twin.file).name}, line {twin.line:,}"


def _not_blank(inspection: Inspection) -> npt.NDArray[np.int64]:
    source, target = inspection.side("source"), inspection.side("target")
    return np.flatnonzero((source.lengths > 0) & (target.lengths > 0))


def _found_in(few: Hashes, many: Hashes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return which of the few are among the many, and where each of these is there."""
    if not len(many):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    order = np.argsort(many, kind="stable")
    at = np.minimum(np.searchsorted(many, few, sorter=order), len(many) - 1)
    found = np.flatnonzero(many[order[at]] == few)
    return found, order[at[found]]
