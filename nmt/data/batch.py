"""Padded batches for teacher forcing. Legend: B batch, S source length, T target length."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nmt.data.encoded import EncodedCorpus
from nmt.data.piece_links import dense_links
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
        alignment: [B, T, S] float32, the given links of each target piece, shared equally among
            its source pieces; rows of zeros have none, as EOS. None where links were not asked for.
    """

    source_ids: Tensor
    source_mask: Tensor
    target_input_ids: Tensor
    target_output_ids: Tensor
    num_tokens: int
    alignment: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return Batch(
            self.source_ids.to(device, non_blocking=True),
            self.source_mask.to(device, non_blocking=True),
            self.target_input_ids.to(device, non_blocking=True),
            self.target_output_ids.to(device, non_blocking=True),
            self.num_tokens,
            None if self.alignment is None else self.alignment.to(device, non_blocking=True),
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


def collate(
    sources: Sequence[Ids],
    targets: Sequence[Ids],
    links: Sequence[npt.NDArray[np.int32]] | None = None,
) -> Batch:
    """Make a batch of sentence pairs, given without BOS or EOS.

    Args:
        sources: Piece ids of each source.
        targets: Piece ids of each target.
        links: [links, 2] of each pair, source piece and target piece.
    """
    source_ids, source_mask = source_batch(sources)
    output_ids = pad(targets, last=EOS)
    alignment = None
    if links is not None:
        dense = dense_links(links, output_ids.size(1), source_ids.size(1))
        alignment = torch.from_numpy(dense)
    return Batch(
        source_ids,
        source_mask,
        target_input_ids=pad(targets, first=BOS),
        target_output_ids=output_ids,
        num_tokens=sum(len(target) + 1 for target in targets),
        alignment=alignment,
    )


def collate_pairs(corpus: EncodedCorpus, indices: npt.NDArray[np.int64]) -> Batch:
    """Make a batch of the pairs of a corpus with these indices."""
    links = corpus.links
    return collate(
        [corpus.source[int(i)] for i in indices],
        [corpus.target[int(i)] for i in indices],
        None if links is None else [links[int(i)] for i in indices],
    )
