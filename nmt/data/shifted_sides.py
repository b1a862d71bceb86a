"""Finds where the two sides of a corpus become shifted, from text lengths and signatures alone.

If a line is missing on one side, each later line is paired with a neighbor of its translation. A
translation is about as long as its source and ends in similar punctuation. After a missing line,
texts a few lines away therefore fit better.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from nmt.data.pair_outlines import SideOutline
from nmt.data.text_signatures import SIGNATURES

Floats = npt.NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)

LAGS = range(-5, 6)
"""Candidate shifts: source i belongs to target i + lag."""

_NO_SHIFT = LAGS.index(0)
_NEIGHBOURS = 50  # on each side; their mean length is subtracted, as corpora are often sorted
_BLOCK = 128  # pairs scored together in a large corpus
_CAP = 9.0  # maximum squared deviation, so that outliers do not dominate
_LEAST_PAIRS = 16
_LEAST_UNRELATED = 200  # pairs; in smaller corpora no unrelated sides are found
_LEAST_UNRELATED_RUN = 50  # consecutive unrelated pairs
_UNRELATED_FIT = -0.1  # nats per pair; the mean is higher if intact, lower if reordered
_SAMPLE = 500_000  # about the pairs from which the parameters are estimated
_LEAST_INFORMATION = 0.03  # nats per pair; unrelated texts have less


@dataclass(frozen=True)
class Shift:
    """The first position where the sides look shifted.

    Attributes:
        index: Approximate index of the first shifted pair, counted from 0.
        lag: Offset of the matching target, e.g. 1 if it is one line further down.
    """

    index: int
    lag: int


def first_shift(source: SideOutline, target: SideOutline, *, unequal: bool = False) -> Shift | None:
    """Return the first position after which targets up to 5 lines away fit clearly better.

    Time and memory are linear in the number of pairs.

    Args:
        source: The source side.
        target: The target side; its number of texts may differ.
        unequal: Whether the numbers of lines are known to differ. Less evidence is then required,
            but the shift must last until the end.

    Returns:
        None if there is no such position.
    """
    pairs = min(len(source), len(target))
    if pairs < _LEAST_PAIRS:
        return None
    fit = _Fit(source, target)
    if not fit.is_informative:
        return None
    size = int(np.clip(pairs // 32, 4, _BLOCK))
    blocks = np.stack([_block_sums(fit.scores(lag, 0, pairs), size) for lag in LAGS], axis=1)
    path = _best_path(blocks, _change_penalty(pairs, unequal=unequal))
    shifted = path != _NO_SHIFT
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


def first_unrelated(source: SideOutline, target: SideOutline) -> int | None:
    """Return the approximate index of the first pair that is not a translation, or None.

    If one column of a table was sorted alone, the sides fit no better than chance at any shift. The
    run of pairs with the worst total fit is searched for. It counts if it has 50 pairs or more, if
    its total exceeds the penalty of a change, and if its own parameters find no relation either: a
    corpus of looser translations fits the parameters of a tighter one before it worse than chance.
    If no lag shows any relation, the result is 0.
    """
    pairs = min(len(source), len(target))
    if pairs < _LEAST_UNRELATED:
        return None
    fit = _Fit(source, target)
    if not fit.is_informative:
        return 0
    losses = _UNRELATED_FIT - fit.scores(0, 0, pairs).astype(np.float64)
    while run := _worst_run(losses):
        sides = source.part(run), target.part(run)
        if not _Fit(*sides, lags=range(1)).is_informative:
            return run.start
        inside = first_unrelated(*sides) if len(run) < pairs else None
        if inside is not None:
            return run.start + inside
        losses[run.start : run.stop] = 0
    return None


def _worst_run(losses: npt.NDArray[np.float64]) -> range:
    """Return the run of pairs with the largest total loss; empty if it is short or too small."""
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    gains = sums - np.minimum.accumulate(sums)
    end = int(gains.argmax())
    start = int(sums[: end + 1].argmin())
    enough = gains[end] > _change_penalty(len(losses), unequal=False)
    return range(start, end if enough and end - start >= _LEAST_UNRELATED_RUN else start)


def are_related(source: SideOutline, target: SideOutline) -> bool:
    """Return whether the two sides depend on each other enough for a shift to be visible."""
    enough = min(len(source), len(target)) >= _LEAST_PAIRS
    return enough and _Fit(source, target).is_informative


def _change_penalty(pairs: int, *, unequal: bool) -> float:
    """Return the nats by which a change of the lag must improve the fit.

    log(pairs) accounts for the number of possible positions. As neighboring texts are not
    independent, the penalty is a multiple: 3 · the largest improvement in intact corpora. It is
    smaller if the numbers of lines are known to differ.
    """
    return float(2 + np.log(pairs) if unequal else 30 + 3 * np.log(pairs))


def _boundary(fit: "_Fit", lag: int, start: int, stop: int) -> int:
    """Return the pair between ``start`` and ``stop`` from which ``lag`` fits better than lag 0."""
    start, stop = max(0, start), min(fit.pairs, stop)
    gain = fit.scores(lag, start, stop) - fit.scores(0, start, stop)
    return start + int(np.argmin(np.concatenate([[0.0], np.cumsum(gain)])))


def _best_path(blocks: npt.NDArray[np.float64], penalty: float) -> npt.NDArray[np.int8]:
    """Return the best sequence of lags, one per block (Viterbi).

    Args:
        blocks: [blocks, lags], the fit of each block at each lag.
        penalty: Cost of a change of the lag, and of a first lag other than 0.
    """
    count, lags = blocks.shape
    came_from = np.empty((count, lags), dtype=np.int8)
    stay = np.arange(lags, dtype=np.int8)
    fit = np.full(lags, -penalty)
    fit[_NO_SHIFT] = 0.0
    for block in range(count):
        best = int(fit.argmax())
        change = fit[best] - penalty
        came_from[block] = np.where(fit >= change, stay, best)
        fit = np.maximum(fit, change) + blocks[block]
    path = np.empty(count, dtype=np.int8)
    state = int(fit.argmax())
    for block in range(count - 1, -1, -1):
        path[block] = state
        state = int(came_from[block, state])
    return path


class _Fit:
    """The fit of two sides: log p(target | source) - log p(target) for each pair, in nats."""

    def __init__(self, source: SideOutline, target: SideOutline, lags: range = LAGS) -> None:
        self.pairs = min(len(source), len(target))
        self._lengths = _detrended(source.lengths), _detrended(target.lengths)
        self._signatures = source.signatures, target.signatures
        best = max((self._estimate(lag) for lag in lags), key=lambda found: found.information)
        self._parameters = best
        self.is_informative = best.information > _LEAST_INFORMATION + 2 / self.pairs

    def scores(self, lag: int, start: int, stop: int) -> Floats:
        """Return the fit of source i to target i + lag for i from ``start`` to ``stop``.

        The shape is [stop - start]. The fit is 0 where there is no target.
        """
        result = np.zeros(stop - start, dtype=np.float32)
        source, target = _at_lag(*self._lengths, lag, start, stop)
        source_signatures, target_signatures = _at_lag(*self._signatures, lag, start, stop)
        learned = self._parameters
        first = max(0, -lag - start)
        inside = slice(first, first + len(source))
        with_source = np.square(target - learned.slope * source) / learned.noise
        alone = np.square(target) / learned.spread
        result[inside] = (np.minimum(alone, _CAP) - np.minimum(with_source, _CAP)) / 2
        result[inside] += learned.table[source_signatures, target_signatures]
        return result

    def _estimate(self, lag: int) -> "_Parameters":
        step = 1 + self.pairs // _SAMPLE
        source, target = (side[::step] for side in _at_lag(*self._lengths, lag, 0, self.pairs))
        spread = float(np.mean(np.square(target))) + 1e-3
        slope = max(0.0, float(source @ target) / (float(source @ source) + 1e-3))
        noise = min(spread, float(np.mean(np.square(target - slope * source))) + 1e-3)
        both = [side[::step] for side in _at_lag(*self._signatures, lag, 0, self.pairs)]
        counts = np.bincount(
            both[0].astype(np.intp) * SIGNATURES + both[1], minlength=SIGNATURES**2
        )
        counts = counts.reshape(SIGNATURES, SIGNATURES)
        chance = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / max(1, len(source))
        # Add 2 to numerator and denominator: counts of rare signatures are unreliable.
        table = np.log((counts + 2) / (chance + 2)).astype(np.float32)
        information = np.log(spread / noise) / 2 + (counts * table).sum() / max(1, len(source))
        return _Parameters(slope, noise, spread, table, float(information))


@dataclass(frozen=True)
class _Parameters:
    """Parameters of target = slope · source + noise, for detrended log lengths, and of signatures.

    Attributes:
        slope: The slope of the regression.
        noise: Variance of the noise.
        spread: Variance of the target.
        table: [source signature, target signature], log(joint frequency / product of frequencies).
        information: Estimated mutual information of source and target, in nats per pair.
    """

    slope: float
    noise: float
    spread: float
    table: Floats
    information: float


def _at_lag(
    source: npt.NDArray[Number], target: npt.NDArray[Number], lag: int, start: int, stop: int
) -> tuple[npt.NDArray[Number], npt.NDArray[Number]]:
    """Return the sources i from ``start`` to ``stop`` and the targets i + lag, where both exist."""
    first, last = max(start, -lag), min(stop, len(source), len(target) - lag)
    return source[first : max(first, last)], target[first + lag : max(first, last) + lag]


def _detrended(lengths: npt.NDArray[np.uint16]) -> Floats:
    """Return log lengths minus the mean of their neighbors, which removes a sorted order."""
    logs = np.log1p(lengths.astype(np.float32))
    sums = np.concatenate([[0.0], np.cumsum(logs, dtype=np.float64)])
    indices = np.arange(len(logs))
    low = np.maximum(indices - _NEIGHBOURS, 0)
    high = np.minimum(indices + _NEIGHBOURS + 1, len(logs))
    mean: Floats = ((sums[high] - sums[low]) / (high - low)).astype(np.float32)
    return logs - mean


def _block_sums(scores: Floats, size: int) -> npt.NDArray[np.float64]:
    sums: npt.NDArray[np.float64] = np.add.reduceat(
        scores, np.arange(0, len(scores), size), dtype=np.float64
    )
    return sums
