"""Entropy, weight on EOS and coverage of each layer's attention over teacher-forced batches.

Legend: B batch, L layers, H heads, T target, S source length.
"""

from collections.abc import Iterable

import torch
from torch import Tensor


class AttentionStatistics:
    """Three statistics of each layer's attention, after its weights are averaged over the heads.

    - ``entropy``: the entropy of a row in nats. It is 0 for a target piece that attends to one
      position and ln S for uniform weights. Rows are normalized first, because those of local-p
      attention do not sum to 1 (Luong et al. 2015, eq. 10). A row of zeros has entropy 0. The
      other two statistics use the rows without normalization.
    - ``eos_mass``: the weight of a row on the source's EOS. Heads often put weight there if no
      source piece is relevant.
    - ``coverage_deviation``: |1 - coverage| of a source piece other than EOS, where coverage is
      the sum of its column. It is 0 if each column sums to 1. It is large if pieces are translated
      twice or never, the problem that coverage models address (Tu et al. 2016, section 1; See et
      al. 2017, section 2.3).

    The first two are means over all target rows, including that of EOS. The last is a mean over all
    source pieces except EOS. Padding is excluded.
    """

    def __init__(self) -> None:
        """Start with sums of zero."""
        self._sums: Tensor | None = None  # [3, L], in float64
        self._rows = 0
        self._pieces = 0

    def add(self, weights: Tensor, source_mask: Tensor, target_mask: Tensor) -> None:
        """Add the weights of a batch.

        Args:
            weights: [B, L, H, T, S].
            source_mask: [B, S] bool, True at pieces, False at padding; EOS is the last piece.
            target_mask: [B, T] bool, likewise.
        """
        real = target_mask[:, None, :, None] & source_mask[:, None, None, :]
        mean = weights.float().mean(dim=2).masked_fill(~real, 0.0)  # [B, L, T, S]
        pieces = source_mask & source_mask.roll(-1, dims=1)
        pieces[:, -1] = False  # the last column is EOS or padding
        is_eos = source_mask & ~pieces
        coverage = mean.sum(dim=2)  # [B, L, S]
        deviation = (1 - coverage).abs().masked_fill(~pieces[:, None], 0.0)
        sums = torch.stack(
            (
                _entropy(mean).sum(dim=(0, 2)),
                mean.masked_fill(~is_eos[:, None, None], 0.0).sum(dim=(0, 2, 3)),
                deviation.sum(dim=(0, 2)),
            )
        )
        sums = sums.cpu().double()  # on the CPU, because some devices have no float64
        self._sums = sums if self._sums is None else self._sums + sums
        self._rows += int(target_mask.sum())
        self._pieces += int(pieces.sum())

    @classmethod
    def joined(cls, parts: "Iterable[AttentionStatistics]") -> "AttentionStatistics":
        """Return the statistics of the batches of all parts."""
        joined = cls()
        for part in parts:
            if part._sums is not None:
                joined._sums = part._sums if joined._sums is None else joined._sums + part._sums
                joined._rows += part._rows
                joined._pieces += part._pieces
        return joined

    def scalars(self) -> dict[str, float]:
        """Return the means as ``attention/layer-N/NAME``, N from 1; empty if nothing was added."""
        if self._sums is None:
            return {}
        counts = (self._rows, self._rows, self._pieces)
        names = ("entropy", "eos_mass", "coverage_deviation")
        columns = zip(names, self._sums.tolist(), counts, strict=True)
        return {
            f"attention/layer-{layer}/{name}": total / max(count, 1)
            for name, totals, count in columns
            for layer, total in enumerate(totals, start=1)
        }


def _entropy(weights: Tensor) -> Tensor:
    """Return the entropy in nats of each row [..., S], normalized to sum to 1."""
    sums = weights.sum(dim=-1, keepdim=True)
    shares = weights / torch.where(sums > 0, sums, torch.ones_like(sums))
    return torch.special.entr(shares).sum(dim=-1)
