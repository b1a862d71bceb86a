"""Padded batches for teacher forcing. Legend: B batch, S source length, T target length."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nmt.data.encoded import EncodedCorpus
from nmt.text.special_tokens import BOS, EOS, PAD

Ids = npt.NDArray[np.int32] | Sequence[int]


@dataclass(frozen=True)
class Batch:
    """Source sentences ending in EOS, and targets shifted for teacher forcing.

    Attributes:
        source_ids: [B, S].
        source_mask: [B, S] bool, True on real pieces.
        target_input_ids: [B, T], beginning with BOS.
        target_output_ids: [B, T], ending with EOS, then PAD.
        num_tokens: Target pieces to predict, EOS counted, pads not.
    """

    source_ids: Tensor
    source_mask: Tensor
    target_input_ids: Tensor
    target_output_ids: Tensor
    num_tokens: int

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return Batch(
            self.source_ids.to(device, non_blocking=True),
            self.source_mask.to(device, non_blocking=True),
            self.target_input_ids.to(device, non_blocking=True),
            self.target_output_ids.to(device, non_blocking=True),
            self.num_tokens,
        )


def pad(sequences: Sequence[Ids], *, first: int | None = None, last: int | None = None) -> Tensor:
    """Stack sequences of ids into [B, length], each between ``first`` and ``last``, then PAD."""
    offset, extra = int(first is not None), int(last is not None)
    width = max(len(sequence) for sequence in sequences) + offset + extra
    padded = np.full((len(sequences), width), PAD, dtype=np.int64)
    if first is not None:
        padded[:, 0] = first
    for row, sequence in zip(padded, sequences, strict=True):
        end = offset + len(sequence)
        row[offset:end] = sequence
        if last is not None:
            row[end] = last
    return torch.from_numpy(padded)


def source_batch(sources: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """Return ids [B, S] ending in EOS, and their mask [B, S]."""
    ids = pad(sources, last=EOS)
    return ids, ids != PAD


def collate(sources: Sequence[Ids], targets: Sequence[Ids]) -> Batch:
    """Make a batch of sentence pairs, given without BOS or EOS."""
    source_ids, source_mask = source_batch(sources)
    return Batch(
        source_ids,
        source_mask,
        target_input_ids=pad(targets, first=BOS),
        target_output_ids=pad(targets, last=EOS),
        num_tokens=sum(len(target) + 1 for target in targets),
    )


def collate_pairs(corpus: EncodedCorpus, indices: npt.NDArray[np.int64]) -> Batch:
    """Make a batch of the pairs of a corpus with these indices."""
    return collate(
        [corpus.source[int(i)] for i in indices], [corpus.target[int(i)] for i in indices]
    )
