"""Padded and packed batches for teacher forcing.

Legend: B batch, S source length, T target length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nmt.data.batches.length_batches import Indices
from nmt.data.batches.packing import Packing
from nmt.data.batches.padding import Ids, PaddedPairs, RaggedRows, pad_corpus_pairs, pad_pairs
from nmt.data.batches.regions import Regions
from nmt.data.encoded import EncodedCorpus
from nmt.text.special_tokens import EOS, PAD

IGNORED = -100
"""The target of a position without a piece to predict: torch's ``ignore_index``."""


@dataclass(frozen=True)
class Batch:
    """Source sentences ending in EOS, and targets shifted for teacher forcing.

    Attributes:
        source_ids: [B, S].
        source_mask: [B, S] bool, True on real pieces.
        target_input_ids: [B, T], starting with BOS.
        target_output_ids: [B, T], ending with EOS, then PAD.
        num_tokens: Number of target pieces to predict, including EOS but not PAD.
        alignment: [B, T, S] float32, the given links as a distribution over the source pieces of
            each target piece; a row of zeros for pieces without links, such as EOS. None if links
            were not requested.
        target_positions: [N] int64, the indices of the target pieces to predict in the flattened
            [B · T], ascending. None until `to` computes them.
        source_lengths: [B] int64, number of real pieces of each source. It is always on the CPU,
            because cuDNN reads it there. None until `to` computes it.
        fixed_shape: Whether the loss reads all B · T positions, with `IGNORED` as the target of
            PAD. Its tensors then have the same shapes in every batch of this shape, so that a GPU
            can replay one CUDA graph for all of them.
        packing: The positions of the sentences in a packed batch: one row, B = 1, that contains all
            sentences one after another. None: the batch is padded.
        regions: The features of the sentences; None: there are none.
    """

    source_ids: Tensor
    source_mask: Tensor
    target_input_ids: Tensor
    target_output_ids: Tensor
    num_tokens: int
    alignment: Tensor | None = None
    target_positions: Tensor | None = None
    source_lengths: Tensor | None = None
    fixed_shape: bool = False
    packing: Packing | None = None
    regions: Regions | None = None

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device; the copy to a GPU is asynchronous.

        Target positions and source lengths are computed before the copy. On a GPU, the host would
        have to wait for them.
        """
        lengths = self.source_mask.sum(1).cpu() if self.source_lengths is None else None
        ready = replace(
            self,
            target_positions=None if self.fixed_shape else self._positions(),
            source_lengths=self.source_lengths if lengths is None else lengths,
        )
        return ready.map(lambda tensor: _moved(tensor, device))

    def map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """Return the batch with a function applied to each tensor except ``source_lengths``."""
        positions, alignment, packing = self.target_positions, self.alignment, self.packing
        regions = self.regions
        return replace(
            self,
            source_ids=function(self.source_ids),
            source_mask=function(self.source_mask),
            target_input_ids=function(self.target_input_ids),
            target_output_ids=function(self.target_output_ids),
            alignment=None if alignment is None else function(alignment),
            target_positions=None if positions is None else function(positions),
            packing=None if packing is None else packing.map(function),
            regions=None if regions is None else regions.map(function),
        )

    def without_counts(self) -> "Batch":
        """Return the batch without its counts, which differ between batches of the same shape."""
        packing = self.packing and replace(self.packing, sentences=0)
        return replace(self, num_tokens=0, source_lengths=None, packing=packing)

    def at_targets(self, values: Tensor) -> Tensor:
        """Return the rows of values [B, T, ...] at the pieces to predict, [N, ...].

        If the batch has a fixed shape, N is B · T: all rows are returned.
        """
        rows = values.flatten(0, 1)
        return rows if self.fixed_shape else rows.index_select(0, self._positions())

    def targets(self) -> Tensor:
        """Return the target of each row of `at_targets`, [N]; `IGNORED` at PAD."""
        targets = self.at_targets(self.target_output_ids)
        return targets.masked_fill(targets == PAD, IGNORED) if self.fixed_shape else targets

    def real_targets(self) -> Tensor | None:
        """Return a mask [N], True for rows of `at_targets` at a piece to predict; None: all are."""
        return (self.target_output_ids != PAD).flatten() if self.fixed_shape else None

    def _positions(self) -> Tensor:
        if self.target_positions is not None:
            return self.target_positions
        return (self.target_output_ids != PAD).flatten().nonzero()[:, 0]

    @classmethod
    def of_arrays(cls, arrays: PaddedPairs) -> "Batch":
        """Make a batch that shares the memory of padded or packed arrays."""
        alignment, layout, regions = arrays.alignment, arrays.layout, arrays.regions
        return cls(
            torch.from_numpy(arrays.source_ids),
            torch.from_numpy(arrays.source_mask),
            torch.from_numpy(arrays.target_input_ids),
            torch.from_numpy(arrays.target_output_ids),
            arrays.num_tokens,
            None if alignment is None else torch.from_numpy(alignment),
            fixed_shape=arrays.fixed_shape or layout is not None,
            packing=None if layout is None else Packing.of_layout(layout),
            regions=None if regions is None else Regions.of_arrays(regions),
        )


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()  # a copy from pageable memory would block the host
    return tensor.to(device, non_blocking=True)


def pad(sequences: Sequence[Ids], *, first: int | None = None, last: int | None = None) -> Tensor:
    """Stack sequences of ids into [B, width]: ``first``, the ids, ``last``, then PAD."""
    return torch.from_numpy(RaggedRows.of(sequences).padded(first=first, last=last))


def source_batch(sources: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """Return ids [B, S] ending in EOS, and their mask [B, S]."""
    ids = pad(sources, last=EOS)
    return ids, ids != PAD


def collate(
    sources: Sequence[Ids],
    targets: Sequence[Ids],
    links: Sequence[npt.NDArray[np.int32]] | None = None,
) -> Batch:
    """Make a padded batch of sentence pairs, and add BOS and EOS.

    Args:
        sources: Piece ids of each source, without EOS.
        targets: Piece ids of each target, without BOS or EOS.
        links: For each pair an array [links, 2] of the indices of a source and a target piece.
    """
    return Batch.of_arrays(pad_pairs(RaggedRows.of(sources), RaggedRows.of(targets), links))


def collate_pairs(corpus: EncodedCorpus, indices: Indices) -> Batch:
    """Make a padded batch of the pairs with these indices, [B]; B is at least 1."""
    return Batch.of_arrays(pad_corpus_pairs(corpus, indices))
