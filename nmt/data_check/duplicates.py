"""Finds texts that occur more than once, within a split or in two splits, by their hashes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nmt.data.locations import SHOWN, Location
from nmt.data_check.inspection import Inspection
from nmt.data_check.occurrences import Occurrences

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Repeats:
    """Repetitions within a split.

    Attributes:
        pairs: Pairs that are equal to an earlier pair.
        sources: Number of distinct pairs with the source of an earlier pair and another target.
    """

    pairs: Occurrences
    sources: int


@dataclass(frozen=True)
class Overlap:
    """The pairs of a held-out split that are partly or wholly in the training pairs.

    Attributes:
        pairs: Pairs that are training pairs.
        sources: Other pairs whose source is in the training pairs.
    """

    pairs: Occurrences
    sources: Occurrences


def find_repeats(inspection: Inspection) -> Repeats:
    """Find the pairs that repeat an earlier pair; pairs with a blank side are ignored."""
    kept = inspection.outline.with_text()
    hashes = inspection.pair_hashes()[kept]
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
    shown = again[np.argsort(order[again])[:SHOWN]]
    first = order[np.searchsorted(ordered, ordered[shown])]
    place = inspection.outline.location
    locations = (
        place(int(kept[order[i]]), text=_same_as(place(int(kept[j]))))
        for i, j in zip(shown, first, strict=True)
    )
    pairs = Occurrences()
    pairs.add(len(again), locations)
    distinct = len(hashes) - len(again)
    sources = len(np.unique(inspection.side("source").hashes[kept]))
    return Repeats(pairs, distinct - sources)


def find_overlap(train: Inspection, held_out: Inspection) -> Overlap:
    """Find pairs of a held-out split in the training pairs; blank sides are ignored."""
    kept, trained = held_out.outline.with_text(), train.outline.with_text()
    pairs, pair_matches = _found_in(held_out.pair_hashes()[kept], train.pair_hashes()[trained])
    sources, source_matches = _found_in(
        held_out.side("source").hashes[kept], train.side("source").hashes[trained]
    )
    alone = ~np.isin(sources, pairs)

    def occurrences(indices: Indices, matches: Indices, side: str) -> Occurrences:
        result = Occurrences()
        result.add(
            len(indices),
            (
                held_out.outline.location(
                    int(kept[i]), side, _same_as(train.outline.location(int(trained[j]), side))
                )
                for i, j in zip(indices[:SHOWN], matches[:SHOWN], strict=True)
            ),
        )
        return result

    return Overlap(
        occurrences(pairs, pair_matches, "target"),
        occurrences(sources[alone], source_matches[alone], "source"),
    )


def _same_as(other: Location) -> str:
    return f"same as {Path(other.file).name}, {other.unit} {other.line:,}"


def _found_in(few: Hashes, many: Hashes) -> tuple[Indices, Indices]:
    """Return the indices of ``few`` that are in ``many``, and the index of each match there."""
    if not len(many):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    order = np.argsort(many, kind="stable")
    at = np.minimum(np.searchsorted(many, few, sorter=order), len(many) - 1)
    found = np.flatnonzero(many[order[at]] == few)
    return found, order[at[found]]
