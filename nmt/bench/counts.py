"""Token and padding counts of batches."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from nmt.data.batches.batch import Batch
from nmt.text.special_tokens import EOS, PAD


@dataclass(frozen=True)
class Counts:
    """Counts of one batch, or the sum over several.

    Attributes:
        sentences: Sentence pairs.
        source_tokens: Source tokens, EOS included.
        source_places: Source positions: tokens and padding.
        target_tokens: Target tokens, EOS included.
        target_places: Target positions: tokens and padding.
        source_squares: Sum over pairs of the squared source length.
        target_squares: Sum over pairs of the squared target length.
        products: Sum over pairs of source length times target length.
    """

    sentences: int = 0
    source_tokens: int = 0
    source_places: int = 0
    target_tokens: int = 0
    target_places: int = 0
    source_squares: int = 0
    target_squares: int = 0
    products: int = 0

    @classmethod
    def of(cls, batch: Batch) -> "Counts":
        """Count a batch; its rows may be packed with several sentences.

        A row without a target piece counts as padding, because it only completes the batch shape.
        """
        used = (batch.target_output_ids != PAD).any(1)
        targets, sources = batch.target_output_ids[used], batch.source_ids[used]
        return cls.of_lengths(
            _lengths(sources, batch.source_mask[used]),
            _lengths(targets, targets != PAD),
            source_places=batch.source_ids.numel(),
            target_places=batch.target_output_ids.numel(),
        )

    @classmethod
    def of_lengths(
        cls, source: Tensor, target: Tensor, *, source_places: int = 0, target_places: int = 0
    ) -> "Counts":
        """Count sentences of these lengths [B], EOS included."""
        source, target = source.to(torch.int64), target.to(torch.int64)
        return cls(
            sentences=len(source),
            source_tokens=int(source.sum()),
            source_places=source_places or int(source.sum()),
            target_tokens=int(target.sum()),
            target_places=target_places or int(target.sum()),
            source_squares=int((source * source).sum()),
            target_squares=int((target * target).sum()),
            products=int((source * target).sum()),
        )

    @classmethod
    def total(cls, parts: Iterable["Counts"]) -> "Counts":
        """Return the sum of counts."""
        rows = [[getattr(part, field.name) for field in fields(cls)] for part in parts]
        return cls(*map(sum, zip(*rows, strict=True)))

    @property
    def source_padding(self) -> float:
        """Share of padding among the source positions, from 0 to 1."""
        return 1 - self.source_tokens / max(1, self.source_places)

    @property
    def target_padding(self) -> float:
        """Share of padding among the target positions, from 0 to 1."""
        return 1 - self.target_tokens / max(1, self.target_places)


def _lengths(ids: Tensor, mask: Tensor) -> Tensor:
    """Return the lengths of the sentences in rows [B, S]; a sentence ends with EOS or the row."""
    followed = torch.nn.functional.pad(mask[:, 1:], (0, 1))
    ends = ((ids == EOS) | ~followed)[mask].nonzero()[:, 0] + 1
    return torch.diff(ends, prepend=ends.new_zeros(1))
