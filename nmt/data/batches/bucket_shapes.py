"""Chooses a few shapes for bucketed batches, by the number of pairs of each length.

Legend: L distinct (source, target) lengths, K shapes, E candidate source widths, F candidate target
widths. All lengths include EOS.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.integer]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_SHAPES = 32
_SOURCE_ALLOWANCE = 2  # source pieces per batch, as a multiple of the target budget
_EDGES = 28  # maximum E and F
_MOST_SPLITS = 8  # maximum number of source widths with the same target width
_TOLERANCE = 0.02  # share of additional slots that is accepted for fewer shapes
_ROW_MULTIPLE, _MANY_ROWS = 8, 64  # 64 or more rows are rounded down to a multiple of 8


@dataclass(frozen=True)
class Shapes:
    """Shapes of batches, from small to large; every pair fits into the last one.

    Attributes:
        rows: [K], pairs per batch.
        widths: [K, 2], slots per row: source and target.
    """

    rows: Ints
    widths: Ints

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def slots(self) -> Ints:
        """Slots per row, both sides, [K]."""
        total: Ints = self.widths.sum(axis=1)
        return total

    @cached_property
    def parents(self) -> list[int]:
        """[K], the next larger shape into which all pairs of a shape fit; -1 for the last."""
        found = []
        for index, width in enumerate(self.widths):
            larger = np.flatnonzero((self.widths[index + 1 :] >= width).all(axis=1))
            found.append(index + 1 + int(larger[0]) if len(larger) else -1)
        return found

    def of_lengths(self, lengths: Ints) -> Ints:
        """Return indices [L] of the smallest shapes into which the lengths [L, 2] fit."""
        fits = (lengths[:, None] <= self.widths[None]).all(axis=2)
        first: Ints = fits.argmax(axis=1)  # shapes are in order of size
        return first

    def holding(self, rows: int, source: int, target: int) -> int | None:
        """Return the smallest shape into which a batch fits, as an index; None: there is none."""
        fits = (self.rows >= rows) & (self.widths >= (source, target)).all(axis=1)
        if not fits.any():
            return None
        return int(np.where(fits, self.rows * self.slots, np.iinfo(np.int64).max).argmin())

    def plan(self, counts: Counts) -> list[tuple[int, int]]:
        """Return for each shape the number of full batches, and of pairs in one more batch.

        The pairs that do not fill a batch move to the parent shape, unless that takes at least as
        many slots as one more batch of their own shape, which is filled up with empty rows.

        Args:
            counts: [K], pairs of each shape.
        """
        waiting, found = np.array(counts, dtype=np.int64), []
        for index, (rows, slots, parent) in enumerate(
            zip(self.rows.tolist(), self.slots.tolist(), self.parents, strict=True)
        ):
            full, rest = divmod(int(waiting[index]), rows)
            if rest and parent >= 0 and rest * self.slots[parent] < rows * slots:
                waiting[parent] += rest
                rest = 0
            found.append((full, rest))
        return found

    def batches(self, counts: Counts) -> int:
        """Return the number of batches of an epoch with ``counts`` [K] pairs of each shape."""
        return sum(full + bool(rest) for full, rest in self.plan(counts))

    def total_slots(self, counts: Counts) -> int:
        """Return the number of slots of these batches, both sides together."""
        made = np.array([full + bool(rest) for full, rest in self.plan(counts)])
        return int(made @ (self.rows * self.slots))

    def without(self, index: int) -> "Shapes":
        """Return all shapes but one."""
        return Shapes(np.delete(self.rows, index), np.delete(self.widths, index, axis=0))

    def part(self, world: int) -> "Shapes":
        """Return the shapes for one of ``world`` processes, which has 1 / ``world`` of the rows."""
        return Shapes(-(-self.rows // world), self.widths)


def choose_shapes(
    lengths: Ints, counts: Floats | Counts, budget: int, most: int = MOST_SHAPES
) -> Shapes:
    """Return shapes with which an epoch has few slots.

    Dynamic programming divides the target lengths into bands at candidate widths, and the source
    lengths within each band. With more shapes, pairs have less padding, but more batches are not
    full. Shapes are therefore removed one by one; each time, the one is removed without which an
    epoch has the fewest slots. Of these sets, the smallest is returned that has at most 2 % more
    slots than the best.

    Args:
        lengths: [L, 2], distinct source and target lengths.
        counts: [L], pairs of an epoch with each.
        budget: Maximum number of target slots per batch. Twice as many source slots are allowed. A
            longer pair forms a batch by itself.
        most: Maximum number of shapes.
    """

    def slots(shapes: Shapes) -> int:
        per_shape = np.bincount(shapes.of_lengths(lengths), weights=counts, minlength=len(shapes))
        return shapes.total_slots(np.rint(per_shape).astype(np.int64))

    shapes = _with_rows(_Candidates.of(lengths, counts).best(most), budget)
    tried = [(slots(shapes), shapes)]
    while len(shapes) > 1:
        smaller = [shapes.without(index) for index in range(len(shapes) - 1)]
        tried.append(min(((slots(one), one) for one in smaller), key=lambda pair: pair[0]))
        shapes = tried[-1][1]
    bound = (1 + _TOLERANCE) * min(total for total, _ in tried)
    return next(shapes for total, shapes in reversed(tried) if total <= bound)


def _with_rows(widths: Ints, budget: int) -> Shapes:
    """Return shapes of these widths with the rows that the budget allows, from small to large."""
    widths = np.unique(widths, axis=0)
    widths = widths[np.lexsort((widths[:, 1], widths.sum(axis=1)))]
    allowed = _SOURCE_ALLOWANCE * budget // widths[:, 0], budget // widths[:, 1]
    rows = np.maximum(1, np.minimum(*allowed))
    rows = np.where(rows >= _MANY_ROWS, rows - rows % _ROW_MULTIPLE, rows)
    return Shapes(rows, widths)


@dataclass(frozen=True)
class _Candidates:
    """Candidate widths, and the number of pairs within each.

    Attributes:
        sources: [E], ascending; the last one is the longest source.
        targets: [F], the same for the targets.
        pairs: [F + 1, E + 1]; entry (f, e) counts the pairs with a target of at most
            ``targets[f - 1]`` and a source of at most ``sources[e - 1]`` pieces; row and column 0
            are 0.
    """

    sources: Ints
    targets: Ints
    pairs: Floats

    @classmethod
    def of(cls, lengths: Ints, counts: Floats | Counts) -> "_Candidates":
        sources, targets = (_edges(side, counts) for side in lengths.T)
        grid = np.zeros((len(targets) + 1, len(sources) + 1))
        rows = 1 + np.searchsorted(targets, lengths[:, 1])
        np.add.at(grid, (rows, 1 + np.searchsorted(sources, lengths[:, 0])), counts)
        return cls(sources, targets, grid.cumsum(axis=0).cumsum(axis=1))

    def best(self, most: int) -> Ints:
        """Return the best widths of at most ``most`` shapes and of the largest one, [K, 2]."""
        costs, cuts = self._bands(min(most, _MOST_SPLITS))
        count = len(self.targets)
        best = np.full((most + 1, count + 1), np.inf)
        best[0, 0] = 0
        origin = np.zeros((most + 1, count + 1, 2), dtype=np.int64)
        for used in range(1, most + 1):
            for splits in range(1, min(used, len(costs)) + 1):
                total = best[used - splits][:, None] + costs[splits - 1]  # [begin, end]
                begin = total.argmin(axis=0)
                cost = total[begin, np.arange(count + 1)]
                better = cost < best[used]
                best[used][better] = cost[better]
                origin[used][better] = np.stack([begin, np.full_like(begin, splits)], 1)[better]
        return self._trace(origin, cuts, int(best[:, count].argmin()))

    def _bands(self, splits: int) -> tuple[Floats, Ints]:
        """Return the cost of each band of targets, by its number of source widths.

        Returns:
            Slots [splits, F + 1, F + 1] of the band between two target widths, and the best
            previous cut of the sources before each cut, [splits, F + 1, F + 1, E + 1].
        """
        count, width = len(self.targets), len(self.sources)
        costs = np.full((splits, count + 1, count + 1), np.inf)
        cuts = np.zeros((splits, count + 1, count + 1, width + 1), dtype=np.int64)
        ends = np.arange(width + 1)
        for begin in range(count):
            for end in range(begin + 1, count + 1):
                pairs = self.pairs[end] - self.pairs[begin]  # [E + 1]
                between = (pairs[None, :] - pairs[:, None]) * self._widths(pairs)
                between[ends[:, None] >= ends[None, :]] = np.inf
                so_far = np.where(ends == 0, 0.0, np.inf)
                for split in range(splits):
                    total = so_far[:, None] + between
                    cuts[split, begin, end] = total.argmin(axis=0)
                    so_far = total.min(axis=0)
                    costs[split, begin, end] = so_far[-1] + pairs[-1] * self.targets[end - 1]
        return costs, cuts

    def _widths(self, pairs: Floats) -> Ints:
        """Return [E + 1], the longest source before each cut, by the number of pairs before it."""
        present = np.diff(pairs, prepend=0.0) > 0
        longest: Ints = np.maximum.accumulate(np.where(present, [0, *self.sources], 0))
        return longest

    def _trace(self, origin: Ints, cuts: Ints, used: int) -> Ints:
        widths, end = [(int(self.sources[-1]), int(self.targets[-1]))], len(self.targets)
        while used > 0:
            begin, splits = origin[used, end].tolist()
            edge = len(self.sources)
            for split in range(splits - 1, -1, -1):
                before = int(cuts[split, begin, end, edge])
                pairs = self.pairs[end] - self.pairs[begin]
                if pairs[edge] > pairs[before]:
                    source = int(self._widths(pairs)[edge])
                    widths.append((source, int(self.targets[end - 1])))
                edge = before
            used, end = used - splits, begin
        return np.array(widths, dtype=np.int64)


def _edges(side: Ints, counts: Floats | Counts) -> Ints:
    """Return widths that divide the slots of a side into equal shares; the last is its maximum."""
    distinct, index = np.unique(side, return_inverse=True)
    if len(distinct) <= _EDGES:
        return distinct
    slots = np.bincount(index, weights=counts) * distinct
    shares = slots.cumsum() / slots.sum()
    found = np.searchsorted(shares, np.arange(1, _EDGES) / _EDGES)
    return np.unique([*distinct[found], distinct[-1]])
