"""The target pieces that a search may write; each sentence has its own set.

A step computes the logits of the union of the sets of a batch. Each sentence uses only the logits
of its own pieces, so a translation does not depend on the batch. Search ranks these narrow logits.
Score adjusters, which use ids of the vocabulary, get logits of full width, with -inf for all other
pieces.

Legend: A sentences in the search, M beams of each, V vocabulary, U pieces of the union, K pieces of
the largest set.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.text.special_tokens import BOS, EOS, PAD, UNK

ALWAYS = (PAD, UNK, BOS, EOS)
"""Pieces of every set. Their ids are the smallest, so their indices in a set are their ids."""

NEVER = float("-inf")


@dataclass(frozen=True)
class AllowedPieces:
    """The pieces of each sentence.

    Attributes:
        union: [U], the pieces of all sentences, in the order of their ids.
        pieces: [A, K], the pieces of each sentence in the order of their ids, padded with EOS.
        columns: [A, K], the index of each of these pieces in the union.
        excess: [A, K] bool, True for padding.
        vocabulary: V.
        same: Whether each sentence has all pieces of the union.
    """

    union: Tensor
    pieces: Tensor
    columns: Tensor
    excess: Tensor
    vocabulary: int
    same: bool

    @classmethod
    def of(cls, allowed: Tensor, device: torch.device) -> "AllowedPieces":
        """Allow the pieces of a mask [A, V] on the CPU, and `ALWAYS`; this changes the mask."""
        allowed[:, list(ALWAYS)] = True
        union = allowed.any(0).nonzero().squeeze(1)
        counts = allowed.sum(1)
        rows, found = allowed.nonzero(as_tuple=True)
        shape = len(allowed), int(counts.max())
        places = torch.arange(len(rows)) - (counts.cumsum(0) - counts)[rows]
        pieces = torch.full(shape, EOS)
        pieces[rows, places] = found
        excess = torch.arange(shape[1]) >= counts[:, None]
        columns = torch.searchsorted(union, pieces)
        return cls(
            union.to(device),
            pieces.to(device),
            columns.to(device),
            excess.to(device),
            vocabulary=allowed.size(1),
            same=bool((counts == len(union)).all()),
        )

    def select(self, sentences: Tensor) -> "AllowedPieces":
        """Return only the sentences with these indices [R], which may repeat; keep the union."""
        return replace(
            self,
            pieces=self.pieces[sentences],
            columns=self.columns[sentences],
            excess=self.excess[sentences],
        )

    def padded(self, padding: int) -> "AllowedPieces":
        """Add ``padding`` sentences, which get the pieces of the first sentence."""
        if not padding:
            return self
        places = torch.arange(len(self.pieces) + padding, device=self.pieces.device)
        return self.select(places.masked_fill(places >= len(self.pieces), 0))

    def narrow(self, logits: Tensor) -> Tensor:
        """Select the logits [A · M, K] of the pieces of each sentence.

        Args:
            logits: [A · M, U], of the union; the beams of a sentence are adjacent.
        """
        if self.same:
            return logits
        of_sentences = logits.view(len(self.pieces), -1, logits.size(1))  # [A, M, U]
        columns = self.columns[:, None].expand(-1, of_sentences.size(1), -1)
        chosen = of_sentences.gather(2, columns).masked_fill_(self.excess[:, None], NEVER)
        return chosen.flatten(0, 1)

    def widen(self, logits: Tensor) -> Tensor:
        """Return logits [A · M, V], given logits of the union [A · M, U]; -inf for other pieces."""
        if self.same and len(self.union) == self.vocabulary:
            return logits
        shape = len(self.pieces), -1, logits.size(1)
        columns, pieces = (
            part[:, None].expand(-1, len(logits) // len(self.pieces), -1)
            for part in (self.columns, self.pieces)
        )
        chosen = logits.view(shape).gather(2, columns)
        full = chosen.new_full((*chosen.shape[:2], self.vocabulary), NEVER)
        return full.scatter_(2, pieces, chosen).flatten(0, 1)

    def ids(self, places: Tensor) -> Tensor:
        """Return the pieces [A, C] at columns [A, C] of the narrow logits."""
        return self.pieces.gather(1, places)
