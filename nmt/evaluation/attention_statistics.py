"""How a model looks, in three numbers a layer, summed over forced batches.

Legend: B batch, L layers, H heads, T target, S source length.
"""

from collections.abc import Iterable

import torch
from torch import Tensor


class AttentionStatistics:
    """Sums over batches of what each layer's attention, the mean of its heads, does.

    - ``entropy``: of a row, in nats; 0 where a piece looks at one place, ln S where it looks at all
      alike. Rows are normalised for it: those of local-p attention do not sum to 1 (Luong et al.
      2015, eq. 10), and one of zeros counts as 0. The two figures below take them as they are.
    - ``eos_mass``: a row's weight on the source's EOS, where heads rest that have nothing to find.
    - ``coverage_deviation``: |1 - what the rows together give to a source piece|, EOS excepted; 0
      where each piece is used up once. Large where some are translated twice or never, which
      coverage models are to mend (Tu et al. 2016, section 1; See et al. 2017, section 2.3).

    The first two are means over all target rows, that of EOS among them; the last one is a mean
    over all source pieces. Pads count nowhere.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._sums: Tensor | None = None  # [3, L], in float64
        self._rows = 0
        self._pieces = 0

    def add(self, weights: Tensor, source_mask: Tensor, target_mask: Tensor) -> None:
        """Add a batch.

        Args:
            weights: [B, L, H, T, S].
            source_mask: [B, S] bool, True on real pieces, EOS the last of them.
            target_mask: [B, T] bool, likewise.
        """
        real = target_mask[:, None, :, None] & source_mask[:, None, None, :]
        mean = weights.float().mean(dim=2).masked_fill(~real, 0.0)  # [B, L, T, S]
        pieces = source_mask & source_mask.roll(-1, dims=1)
        pieces[:, -1] = False  # the last column can only be EOS or a pad
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
        sums = sums.cpu().double()  # of many batches; some devices have no float64
        self._sums = sums if self._sums is None else self._sums + sums
        self._rows += int(target_mask.sum())
        self._pieces += int(pieces.sum())

    @classmethod
    def joined(cls, parts: "Iterable[AttentionStatistics]") -> "AttentionStatistics":
        """Return the sums of several, each of other batches."""
        joined = cls()
        for part in parts:
            if part._sums is not None:
                joined._sums = part._sums if joined._sums is None else joined._sums + part._sums
                joined._rows += part._rows
                joined._pieces += part._pieces
        return joined

    def scalars(self) -> dict[str, float]:
        """Return the means as ``attention/layer-N/NAME``, N from 1; none if nothing was added."""
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
    """Return the entropy in nats of each row [..., S] once it sums to 1."""
    sums = weights.sum(dim=-1, keepdim=True)
    shares = weights / torch.where(sums > 0, sums, torch.ones_like(sums))
    return torch.special.entr(shares).sum(dim=-1)
