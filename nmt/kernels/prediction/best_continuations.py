"""The best continuations of hypotheses: log-softmax over the vocabulary, then the top C of a beam.

The plain path normalizes all logits and sorts each row. The fast path reads the logits a few times
and normalizes only the best ones. It uses one fact: for every partition of values into groups, the
k greatest values are in the k groups with the greatest maxima.

Legend: A sentences, M beams of each, R = A · M rows, V vocabulary, C candidates of a sentence, W
values of a row, G groups of a row, E members of a group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from nmt.kernels import dispatch
from nmt.kernels.dispatch import KernelPath
from nmt.kernels.prediction import chunk_sizes

PIECES_PER_GROUP = 16
"""E for the pieces of a vocabulary. A step sorts only a sixteenth of the logits."""


@dataclass(frozen=True)
class Candidates:
    """Continuations of the hypotheses of each sentence, best first; all tensors are [A, C].

    Attributes:
        scores: Score of the hypothesis with the new piece; -inf: no continuation.
        beams: The beam that each candidate extends.
        pieces: The piece that each candidate appends.
    """

    scores: Tensor
    beams: Tensor
    pieces: Tensor

    def padded(self, count: int) -> "Candidates":
        """Return at least C = ``count`` candidates; added ones have a score of -inf."""
        missing = count - self.pieces.size(1)
        if missing <= 0:
            return self
        return Candidates(
            functional.pad(self.scores, (0, missing), value=float("-inf")),
            functional.pad(self.beams, (0, missing)),
            functional.pad(self.pieces, (0, missing)),
        )


Only = tuple[Tensor, int]
"""[A] bool, True for sentences that only one piece may continue, and this piece."""


def best_continuations(
    logits: Tensor,
    before: Tensor,
    count: int,
    *,
    excluded: Sequence[int] = (),
    only: Only | None = None,
) -> Candidates:
    """Return the C = ``count`` best continuations of all beams of each sentence.

    Their scores are log-probabilities.

    Args:
        logits: [A · M, V]; the beams of a sentence are adjacent.
        before: [A, M], float32, the log-probabilities of the hypotheses so far.
        count: C. If there are fewer continuations, the last scores are -inf.
        excluded: Pieces that are never appended. The normalizer includes them.
        only: Sentences that only one piece may continue; None: no such sentences.
    """
    function = plain_best_continuations
    if dispatch.candidates_path(logits) is KernelPath.FUSED:
        function = grouped_best_continuations
    return function(logits, before, count, excluded, only)


def plain_best_continuations(
    logits: Tensor, before: Tensor, count: int, excluded: Sequence[int], only: Only | None
) -> Candidates:
    """Compute `best_continuations` from the log-softmax of all logits."""
    log_probs = logits.log_softmax(dim=1, dtype=torch.float32)
    for piece in excluded:
        log_probs[:, piece] = float("-inf")
    # The C best continuations of a sentence are among the C best of each of its beams.
    best, pieces = log_probs.topk(min(count, log_probs.size(1)))  # [A · M, C]
    each = best.size(1)
    shape = *before.shape, each
    best, pieces = best.view(shape), pieces.view(shape)
    if only is not None:
        where, piece = only[0][:, None, None], only[1]
        alone = functional.pad(log_probs[:, piece, None], (0, each - 1), value=float("-inf"))
        best = torch.where(where, alone.view(shape), best)
        pieces = pieces.masked_fill(where, piece)
    totals = (best + before[:, :, None]).flatten(1)  # [A, M · C]
    totals, order = totals.topk(min(count, totals.size(1)))
    found = Candidates(totals, order // each, pieces.flatten(1).gather(1, order))
    return found.padded(count)


def grouped_best_continuations(
    logits: Tensor, before: Tensor, count: int, excluded: Sequence[int], only: Only | None
) -> Candidates:
    """Compute `best_continuations` from the greatest logits of groups of pieces."""
    sentences, beams = before.shape
    vocabulary = logits.size(1)
    greatest, normalizer = _greatest_and_normalizer(logits)  # [A · M, G], [A · M, 1]
    groups = greatest.size(1)
    normalizer = normalizer.view(sentences, beams)
    _exclude(greatest, logits, excluded)
    totals = greatest.view(sentences, beams, groups) - normalizer[:, :, None]
    totals = (totals + before[:, :, None]).flatten(1)  # [A, M · G], of the best of each group
    best = top_k(totals, min(count, totals.size(1)))[1]
    members = _members(best % groups, groups, PIECES_PER_GROUP)  # [A, C · E]
    owners = (best // groups).repeat_interleave(PIECES_PER_GROUP, dim=1)
    pieces = members.clamp_max(vocabulary - 1)
    found = logits.view(sentences, -1).gather(1, owners * vocabulary + pieces).float()
    totals = (found - normalizer.gather(1, owners)) + before.gather(1, owners)
    possible = _possible(vocabulary, PIECES_PER_GROUP * groups, tuple(excluded), logits.device)
    totals, order = top_k(totals + possible[members], min(count, totals.size(1)))
    result = Candidates(totals, owners.gather(1, order), pieces.gather(1, order)).padded(count)
    if only is None or not bool(only[0].any()):
        return result
    where, piece = only[0][:, None], only[1]
    totals = logits[:, piece].float().view(sentences, beams) - normalizer + before
    totals, order = totals.topk(min(count, beams))
    alone = Candidates(totals, order, torch.full_like(order, piece)).padded(count)
    return Candidates(
        torch.where(where, alone.scores, result.scores),
        torch.where(where, alone.beams, result.beams),
        torch.where(where, alone.pieces, result.pieces),
    )


def log_normalizer(logits: Tensor) -> Tensor:
    """Return log(sum of e^x), [R], in float32, of each row x of logits [R, V]."""
    if dispatch.candidates_path(logits) is KernelPath.PLAIN:
        return logits.float().logsumexp(dim=1)
    return _greatest_and_normalizer(logits)[1].squeeze(1)


def _greatest_and_normalizer(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maxima [R, G] of the groups of logits [R, V], and the `log_normalizer` [R, 1].

    A few rows at a time are cast to float32, compared and summed while they are in the cache. torch
    compares float32 so much faster than bfloat16 that the cast saves time.
    """
    count, width = logits.shape
    greatest = logits.new_empty(count, -(-width // PIECES_PER_GROUP), dtype=torch.float32)
    sums, largest = logits.new_empty(2, count, 1, dtype=torch.float32)
    step = chunk_sizes.rows_in_cache(logits, largest.element_size())
    buffer = logits.new_empty(min(step, count), width, dtype=torch.float32)
    for start in range(0, count, step):
        rows = slice(start, start + step)
        part = logits[rows]
        copy = buffer[: len(part)]
        part = part if part.dtype == copy.dtype else copy.copy_(part)
        _greatest_of_groups(part, PIECES_PER_GROUP, out=greatest[rows])
        torch.amax(greatest[rows], dim=1, keepdim=True, out=largest[rows])
        largest[rows].clamp_min_(torch.finfo(torch.float32).min)  # if all logits are -inf
        torch.sub(part, largest[rows], out=copy).exp_()
        torch.sum(copy, dim=1, keepdim=True, out=sums[rows])
    return greatest, sums.log_().add_(largest)


def top_k(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the greatest values of each row [R, W], and their indices, as `Tensor.topk` does.

    The order of equal values is not defined. The index of a value of -inf may occur twice.
    """
    width = values.size(1)
    size = int((width / count) ** 0.5)  # least sum of W / E groups and k · E members
    sorts_few = 2 * (width / size + size * count) < width if size else False
    if dispatch.top_k_path(values) is KernelPath.PLAIN or not sorts_few:
        best = values.topk(count)
        return best.values, best.indices
    greatest = _greatest_of_groups(values, size)
    groups = top_k(greatest, count)[1]
    members = _members(groups, greatest.size(1), size)
    found = values.gather(1, members.clamp_max(width - 1))
    if greatest.size(1) * size > width:
        found = found.masked_fill(members >= width, float("-inf"))
    chosen, order = found.topk(count)
    return chosen, members.gather(1, order).clamp_max(width - 1)


def _greatest_of_groups(values: Tensor, size: int, out: Tensor | None = None) -> Tensor:
    """Return the maximum of each group of rows [R, W], [R, G] with G = ceil(W / E).

    Group g has the values at g, g + G, g + 2 G, and so on. So adjacent values are in different
    groups, and the processor compares whole vectors of adjacent values.
    """
    width = values.size(1)
    groups = -(-width // size)
    full = width // groups
    grouped = values[:, : full * groups].unflatten(1, (full, groups))
    greatest = torch.amax(grouped, dim=1, out=out)
    rest = width - full * groups
    if rest:
        torch.maximum(greatest[:, :rest], values[:, -rest:], out=greatest[:, :rest])
    return greatest


def _exclude(greatest: Tensor, logits: Tensor, excluded: Sequence[int]) -> None:
    """Compute, in place, the maxima of groups with excluded pieces again, without these pieces."""
    groups = greatest.size(1)
    for group in {piece % groups for piece in excluded}:
        members = range(group, logits.size(1), groups)
        kept = [piece for piece in members if piece not in excluded]
        others = logits[:, kept].amax(dim=1) if kept else logits.new_tensor(float("-inf"))
        greatest[:, group] = others


def _members(groups: Tensor, count: int, size: int) -> Tensor:
    """Return the indices [A, K · E] of the members of groups [A, K] among ``count`` groups.

    The indices of the last members may be beyond the end of the row.
    """
    steps = torch.arange(0, size * count, count, device=groups.device)
    return (groups[:, :, None] + steps).flatten(1)


@lru_cache(maxsize=16)
def _possible(
    vocabulary: int, length: int, excluded: tuple[int, ...], device: torch.device
) -> Tensor:
    """Return [length], 0 for pieces, -inf for excluded pieces and beyond the vocabulary."""
    with torch.inference_mode(False):  # later searches use the cached tensor
        values = torch.full((length,), float("-inf"))
        values[:vocabulary] = 0.0
        values[list(excluded)] = float("-inf")
        return values.to(device)
