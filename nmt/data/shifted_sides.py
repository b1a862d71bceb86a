"""Where the two sides of a corpus stop belonging together, seen from lengths and marks alone.

A line that one side lacks pairs every later line with its neighbour. Translations are about as long
as their sources, and end in like punctuation; from such a place on, lines further on fit better.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from nmt.data.text_signatures import KINDS

Lengths = npt.NDArray[np.uint16]
Marks = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)

LAGS = range(-5, 6)  # source i beside target i + lag
_STRAIGHT = LAGS.index(0)
_NEIGHBOURS = 50  # a side, whose mean length is taken off: corpora are often sorted by length
_BLOCK = 128  # pairs weighed together, in a large corpus
_CAP = 9.0  # squared deviations; what is further off tells no more
_LEAST_PAIRS = 16
_SAMPLE = 500_000  # pairs that tell how lengths and marks of both sides go together
_LEAST_INFORMATION = 0.03  # nats a pair that a source tells of its target; random text gives less


@dataclass(frozen=True)
class Side:
    """What is kept of one side's texts.

    Attributes:
        lengths: Characters of each text, saturated.
        marks: What `marks.text_marks` says of each: final punctuation and digits.
    """

    lengths: Lengths
    marks: Marks

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.lengths)


@dataclass(frozen=True)
class Shift:
    """The first place where the sides look shifted.

    Attributes:
        index: The first pair that is shifted, from 0, give or take a few dozen.
        lag: Where its target stands instead: 1 where it is one line further down.
    """

    index: int
    lag: int


def first_shift(source: Side, target: Side, *, unequal: bool = False) -> Shift | None:
    """Return the first place from which targets up to 5 lines away fit clearly better, for long.

    Time and memory are linear in the number of pairs.

    Args:
        source: The source side.
        target: The target side, as long or not.
        unequal: Whether the line counts are known to differ. Less evidence is then enough, but the
            shift must last to the end; None means that nothing is shifted before it.
    """
    pairs = min(len(source), len(target))
    if pairs < _LEAST_PAIRS:
        return None
    fit = _Fit(source, target)
    if not fit.tells:
        return None
    size = int(np.clip(pairs // 32, 4, _BLOCK))
    blocks = np.stack([_block_sums(fit.scores(lag, 0, pairs), size) for lag in LAGS], axis=1)
    path = _best_path(blocks, _price(pairs, unequal=unequal))
    shifted = path != _STRAIGHT
    if not (shifted[-1] if unequal else shifted.any()):
        return None
    block = int(
        np.flatnonzero(~shifted)[-1] + 1 if unequal and not shifted.all() else shifted.argmax()
    )
    state = int(path[block])
    later = np.flatnonzero(path[block:] != state)
    end = block + int(later[0]) if len(later) else len(path)
    index = _boundary(fit, LAGS[state], (block - 2) * size, min(end, block + 2) * size)
    return Shift(index, LAGS[state])


def tell_of_each_other(source: Side, target: Side) -> bool:
    """Return whether the sides go together at all, so that a shift would show."""
    enough = min(len(source), len(target)) >= _LEAST_PAIRS
    return enough and _Fit(source, target).tells


def _price(pairs: int, *, unequal: bool) -> float:
    """Return by how many nats a change of lag must fit better to be believed.

    log(pairs) allows for as many places to choose from. Lengths and marks of neighbours are not
    independent, so what counts as certain is a multiple: three times what intact corpora reach.
    """
    return float(2 + np.log(pairs) if unequal else 30 + 3 * np.log(pairs))


def _boundary(fit: "_Fit", lag: int, start: int, stop: int) -> int:
    """Return the pair between two from which the lag fits better than none."""
    start, stop = max(0, start), min(fit.pairs, stop)
    gain = fit.scores(lag, start, stop) - fit.scores(0, start, stop)
    return start + int(np.argmin(np.concatenate([[0.0], np.cumsum(gain)])))


def _best_path(blocks: npt.NDArray[np.float64], price: float) -> npt.NDArray[np.int8]:
    """Return the lag of each block that fits best together, where each change costs a price.

    Args:
        blocks: Fit of each block at each lag, [blocks, lags].
        price: In the same unit; also of a beginning at another lag than 0.
    """
    count, lags = blocks.shape
    came_from = np.empty((count, lags), dtype=np.int8)
    stay = np.arange(lags, dtype=np.int8)
    fit = np.full(lags, -price)
    fit[_STRAIGHT] = 0.0
    for block in range(count):
        best = int(fit.argmax())
        change = fit[best] - price
        came_from[block] = np.where(fit >= change, stay, best)
        fit = np.maximum(fit, change) + blocks[block]
    path = np.empty(count, dtype=np.int8)
    state = int(fit.argmax())
    for block in range(count - 1, -1, -1):
        path[block] = state
        state = int(came_from[block, state])
    return path


class _Fit:
    """How much likelier a target is beside a source than anywhere, in nats."""

    def __init__(self, source: Side, target: Side) -> None:
        self.pairs = min(len(source), len(target))
        self._lengths = _detrended(source.lengths), _detrended(target.lengths)
        self._marks = source.marks, target.marks
        best = max((self._learn(lag) for lag in LAGS), key=lambda learned: learned.information)
        self._learned = best
        self.tells = best.information > _LEAST_INFORMATION + 2 / self.pairs

    def scores(self, lag: int, start: int, stop: int) -> Floats:
        """Return the fit of sources ``start`` to ``stop`` to targets ``lag`` further on.

        0 where there is no target.
        """
        result = np.zeros(stop - start, dtype=np.float32)
        source, target = _beside(*self._lengths, lag, start, stop)
        source_marks, target_marks = _beside(*self._marks, lag, start, stop)
        learned = self._learned
        first = max(0, -lag - start)
        inside = slice(first, first + len(source))
        with_source = np.square(target - learned.slope * source) / learned.noise
        alone = np.square(target) / learned.spread
        result[inside] = (np.minimum(alone, _CAP) - np.minimum(with_source, _CAP)) / 2
        result[inside] += learned.table[source_marks, target_marks]
        return result

    def _learn(self, lag: int) -> "_Learned":
        step = 1 + self.pairs // _SAMPLE
        source, target = (side[::step] for side in _beside(*self._lengths, lag, 0, self.pairs))
        spread = float(np.mean(np.square(target))) + 1e-3
        slope = max(0.0, float(source @ target) / (float(source @ source) + 1e-3))
        noise = min(spread, float(np.mean(np.square(target - slope * source))) + 1e-3)
        marks = [side[::step] for side in _beside(*self._marks, lag, 0, self.pairs)]
        counts = np.bincount(marks[0].astype(np.intp) * KINDS + marks[1], minlength=KINDS**2)
        counts = counts.reshape(KINDS, KINDS)
        chance = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / max(1, len(source))
        # Two pairs more on both sides of the fraction: rare marks say little.
        table = np.log((counts + 2) / (chance + 2)).astype(np.float32)
        information = np.log(spread / noise) / 2 + (counts * table).sum() / max(1, len(source))
        return _Learned(slope, noise, spread, table, float(information))


@dataclass(frozen=True)
class _Learned:
    """Target length = slope * source length + noise; and log-ratios of marks, source by target."""

    slope: float
    noise: float
    spread: float
    table: Floats
    information: float


def _beside(
    source: npt.NDArray[Number], target: npt.NDArray[Number], lag: int, start: int, stop: int
) -> tuple[npt.NDArray[Number], npt.NDArray[Number]]:
    """Return sources from ``start`` to ``stop``, and the targets ``lag`` further on."""
    first, last = max(start, -lag), min(stop, len(source), len(target) - lag)
    return source[first : max(first, last)], target[first + lag : max(first, last) + lag]


def _detrended(lengths: Lengths) -> Floats:
    """Return log lengths less the mean of their neighbours, so that being sorted tells nothing."""
    logs = np.log1p(lengths.astype(np.float32))
    sums = np.concatenate([[0.0], np.cumsum(logs, dtype=np.float64)])
    places = np.arange(len(logs))
    low, high = np.maximum(places - _NEIGHBOURS, 0), np.minimum(places + _NEIGHBOURS + 1, len(logs))
    mean: Floats = ((sums[high] - sums[low]) / (high - low)).astype(np.float32)
    return logs - mean


def _block_sums(scores: Floats, size: int) -> npt.NDArray[np.float64]:
    sums: npt.NDArray[np.float64] = np.add.reduceat(
        scores, np.arange(0, len(scores), size), dtype=np.float64
    )
    return sums
