"""The sentences of a row: previous sentences, then the current sentence.

Legend: B batch, S or T length of a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.config.data import DataConfig
from nmt.text.special_tokens import SENTENCE_BREAK


@dataclass(frozen=True)
class ContextPieces:
    """The pieces that separate the sentences of a row.

    Attributes:
        separator: The piece after each previous source sentence; None: the tokenizer has none.
        tags: Pieces that belong to the current source sentence if they are at the start of a row.
        sentences: k, the greatest number of previous source sentences that the encoder reads.
        target_separator: The piece after each previous target sentence; None: the tokenizer has
            none.
        target_sentences: The greatest number of previous target sentences that the decoder reads.
    """

    separator: int | None
    tags: tuple[int, ...]
    sentences: int
    target_separator: int | None = None
    target_sentences: int = 1

    @classmethod
    def of(
        cls, data: DataConfig, source: Mapping[str, int], target: Mapping[str, int]
    ) -> "ContextPieces":
        """Return the pieces for a corpus with these settings and tokenizers with these symbols."""
        tags = tuple(piece for symbol, piece in source.items() if symbol != SENTENCE_BREAK)
        return cls(
            source.get(SENTENCE_BREAK),
            tags,
            max(1, data.context_sentences),
            target.get(SENTENCE_BREAK),
            max(1, data.context_targets),
        )


@dataclass(frozen=True)
class Segments:
    """The sentence and the position of each piece of rows.

    Attributes:
        ages: [B, S], the number of sentences from the sentence of a piece to the current one. It is
            0 for the current sentence and padding. A separator belongs to the source sentence that
            it ends, and to the target sentence that it begins.
        positions: [B, S], the position of each piece in its sentence, from 0.
        real: [B, S] bool, True for real pieces.
    """

    ages: Tensor
    positions: Tensor
    real: Tensor

    @classmethod
    def of(cls, ids: Tensor, real: Tensor, pieces: ContextPieces) -> "Segments":
        """Find the sentences of rows of ids [B, S].

        Tags at the beginning of a row are part of the current sentence, as in a row without
        previous sentences.
        """
        ends = ((ids == pieces.separator) & real).long()
        breaks = ends.cumsum(1)
        before = breaks - ends  # separators before each piece
        tags = _leading(ids, pieces.tags)
        ages = (breaks[:, -1:] - before).masked_fill(tags, 0)
        steps = torch.arange(ids.size(1), device=ids.device).expand_as(ids)
        after_break = torch.where(ends.bool(), steps + 1, 0).cummax(1).values
        starts = torch.cat([torch.zeros_like(steps[:, :1]), after_break[:, :-1]], dim=1)
        count = tags.sum(1, keepdim=True)
        starts = torch.where(before == 0, count, starts)
        positions = steps - starts + torch.where(ages == 0, count, 0)
        return cls(ages, torch.where(tags, steps, positions), real)

    @classmethod
    def of_targets(cls, ids: Tensor, separator: int) -> "Segments":
        """Find the sentences of rows of decoder inputs [B, T], which begin with BOS.

        Padding counts as real pieces of the current sentence. A causal mask hides it, because it
        follows the sentence.
        """
        begins = (ids == separator).long()
        breaks = begins.cumsum(1)
        steps = torch.arange(ids.size(1), device=ids.device).expand_as(ids)
        starts = torch.where(begins.bool(), steps, 0).cummax(1).values
        return cls(breaks[:, -1:] - breaks, steps - starts, torch.ones_like(begins.bool()))

    @property
    def current(self) -> Tensor:
        """Whether each piece is a real piece of the current sentence, [B, S] bool."""
        return self.real & (self.ages == 0)

    @property
    def within(self) -> Tensor:
        """The mask of self-attention within each sentence, [B, 1, S, S], True = may attend."""
        same = self.ages[:, :, None] == self.ages[:, None, :]
        return (same & self.real[:, None, :])[:, None]

    def previous(self, age: int) -> Tensor:
        """Return whether the sentence of each piece is ``age`` before the current one, [B, S]."""
        return self.real & (self.ages == age)


def _leading(ids: Tensor, tags: tuple[int, ...]) -> Tensor:
    """Return whether each piece and all pieces before it are tags, [B, S] bool."""
    found = torch.zeros_like(ids, dtype=torch.bool)
    for tag in tags:
        found = found | (ids == tag)
    return found.long().cumprod(1).bool()
