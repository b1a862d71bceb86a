"""A vocabulary shortlist: the target pieces that can translate the pieces of a sentence.

The candidates of a sentence are the most probable translations of each of its pieces, the target
pieces that copy a source piece, and the pieces of all sentences (Jean et al. 2015, section 3.2;
L'Hostis et al. 2016; Devlin 2017). The output layer and the choice of the best continuations then
take only a fraction of their time.

Legend: B sentences of a batch, E source and F target pieces of the vocabularies, N candidates of
all source pieces.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from nmt.config.model import ModelConfig, RegionEncoderConfig, copies
from nmt.data.content_hash import content_hash
from nmt.decoding.constrained.allowed_pieces import ALWAYS, AllowedPieces
from nmt.errors import UserError
from nmt.text.special_tokens import EOS, WORD_START
from nmt.text.tokenizer import Tokenizer, TokenizerPair

CANDIDATES = 50
"""The default number of candidates of a source piece."""

FREQUENT = 100
"""The default number of frequent target pieces that are candidates of every sentence."""

Places = npt.NDArray[np.int64]


def check_shortlisted_model(config: ModelConfig) -> None:
    """Refuse a shortlist for a model whose translations it would restrict wrongly.

    Raises:
        UserError: The model copies pieces of the source, or does not read the source text.
    """
    if copies(config.decoder):
        raise UserError(
            "a model that copies pieces of the source (model.decoder.copy=pointer) needs all "
            "pieces of the vocabulary: use it without a shortlist"
        )
    if isinstance(config.encoder, RegionEncoderConfig):
        raise UserError(
            "a model that reads only features (model/encoder=regions) does not read the source "
            "text, which determines the candidates: use it without a shortlist"
        )


@dataclass(frozen=True)
class Shortlist:
    """The candidates of every source piece.

    Attributes:
        offsets: [E + 1], the index of the first candidate of each source piece, then N.
        candidates: [N], target pieces.
        always: Target pieces that are candidates of every sentence.
        target_size: F.
        vocabularies: Hashes of the source and target pieces; models must have the same.
    """

    offsets: Places
    candidates: Places
    always: Places
    target_size: int
    vocabularies: tuple[str, str]

    @classmethod
    def of(
        cls,
        tokenizers: TokenizerPair,
        translations: tuple[Places, Places],
        counts: Places,
        frequent: int,
    ) -> "Shortlist":
        """Build a shortlist from translations, copies and frequent pieces.

        Args:
            tokenizers: The tokenizers of source and target.
            translations: Source pieces and target pieces; each pair is a translation.
            counts: [F], the count of each target piece in training text.
            frequent: The number of frequent target pieces that are candidates of every sentence.
        """
        size = len(tokenizers.target)
        copies = np.array(list(_copies(tokenizers)), dtype=np.int64).reshape(-1, 2)
        sources = np.concatenate([translations[0], copies[:, 0]])
        targets = np.concatenate([translations[1], copies[:, 1]])
        keys = np.unique(sources * size + targets)
        offsets = np.searchsorted(keys, np.arange(len(tokenizers.source) + 1) * size)
        most = np.argsort(-counts, kind="stable")[:frequent]
        always = np.unique([*ALWAYS, *most[counts[most] > 0], *_signs(tokenizers.target)])
        return cls(offsets, keys % size, always, size, vocabulary_hashes(tokenizers))

    def __len__(self) -> int:
        """Return the number of candidates of all source pieces."""
        return len(self.candidates)

    def allowed(
        self,
        sources: Sequence[Sequence[int]],
        extra: Sequence[Sequence[int]] = (),
        device: torch.device | None = None,
    ) -> AllowedPieces:
        """Return the candidates of each sentence of a batch.

        Args:
            sources: B sentences in source pieces.
            extra: Further target pieces of each sentence; empty: none.
            device: The device of the search; None: the CPU.
        """
        mask = self._mask(sources)
        for row, pieces in zip(mask, extra, strict=False):
            row[list(pieces)] = True
        return AllowedPieces.of(torch.from_numpy(mask), device or torch.device("cpu"))

    def covered(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> int:
        """Return the number of pieces of translations that are candidates of their sentences."""
        mask = self._mask(sources)
        return sum(int(row[list(ids)].sum()) for row, ids in zip(mask, targets, strict=True))

    def sizes(self, sources: Sequence[Sequence[int]]) -> list[int]:
        """Return the number of candidates of each sentence."""
        found: list[int] = self._mask(sources).sum(1).tolist()
        return found

    def _mask(self, sources: Sequence[Sequence[int]]) -> npt.NDArray[np.bool_]:
        """Return whether each target piece is a candidate of each sentence, [B, F]."""
        mask = np.zeros((len(sources), self.target_size), dtype=bool)
        mask[:, self.always] = True
        for row, ids in zip(mask, sources, strict=True):
            for piece in set(ids):
                row[self.candidates[self.offsets[piece] : self.offsets[piece + 1]]] = True
        return mask

    def check(self, tokenizers: TokenizerPair, name: str) -> None:
        """Check that the shortlist fits these vocabularies.

        Raises:
            UserError: The shortlist was made for other vocabularies.
        """
        hashes = vocabulary_hashes(tokenizers)
        sides = zip(("source", "target"), hashes, self.vocabularies, strict=True)
        for side, mine, other in sides:
            if mine != other:
                raise UserError(
                    f"{name} was made for another {side} vocabulary than that of the model: make "
                    "one with nmt shortlist RUN"
                )


def vocabulary_hashes(tokenizers: TokenizerPair) -> tuple[str, str]:
    """Return a hash of the ordered pieces of source and target."""
    source, target = (
        content_hash(side.pieces(range(len(side))))
        for side in (tokenizers.source, tokenizers.target)
    )
    return source, target


def _copies(tokenizers: TokenizerPair) -> Iterable[tuple[int, int]]:
    """Yield pairs of a source piece and a target piece that spells it or a part of it."""
    source, target = tokenizers.source, tokenizers.target
    ids = {name: piece for piece, name in enumerate(target.pieces(range(len(target))))}
    for piece, name in enumerate(source.pieces(range(len(source)))):
        if piece <= EOS:
            continue
        if name in ids:
            yield piece, ids[name]
        elif text := name.replace(WORD_START, " ").strip():
            for copy in target.encode(text):
                yield piece, copy
                bare = target.pieces([copy])[0].removeprefix(WORD_START)
                if bare in ids:
                    yield piece, ids[bare]


def _signs(tokenizer: Tokenizer) -> list[int]:
    """Return the pieces that spell at most one character, which is not a letter."""
    names = enumerate(tokenizer.pieces(range(len(tokenizer))))
    signs = ((piece, name.removeprefix(WORD_START)) for piece, name in names)
    return [piece for piece, sign in signs if piece > EOS and len(sign) <= 1 and not sign.isalpha()]
