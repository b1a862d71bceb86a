"""Samples segmentations in training: subword regularization (unigram) and BPE-dropout.

A sentence is segmented again in each epoch. The random generator is seeded with the position of the
sentence, so that a resumed run gets the same segmentations as an uninterrupted one. SentencePiece
itself has one generator per process, so its sampling cannot be resumed.
"""

import math
import re
from bisect import bisect
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from nmt.config.tokenizer_settings import TokenizerKind
from nmt.errors import UserError
from nmt.text.special_tokens import WORD_START
from nmt.text.tokenizer import Tokenizer, TokenizerPair

SAMPLED_KINDS = ("unigram", "bpe")
"""The kinds of tokenizers that have several segmentations of a word."""

_CACHED_WORDS = 1 << 14
_WORDS = re.compile(f"{WORD_START}[^{WORD_START}]*|[^{WORD_START}]+")

Ends = list[tuple[list[float], list[tuple[int, int]]]]
"""For each position in a word, its pieces that end there: cumulative weights and (start, id)."""


def position_random(seed: int, epoch: int, pair: int, side: int) -> Random:
    """Return the generator for side 0 or 1 of a pair in an epoch, the same in all processes."""
    return Random(seed << 96 | epoch << 64 | pair << 1 | side)


class SubwordSampler:
    """Samples other segmentations of the text of piece ids.

    Symbols, bytes, unknown and special pieces do not change.
    """

    def __init__(self, tokenizer: Tokenizer, strength: float) -> None:
        """Sample segmentations for a tokenizer of kind unigram or bpe.

        Args:
            tokenizer: The tokenizer that encoded the sentences.
            strength: With unigram, α > 0 of Kudo (2018), section 3.3: segmentations are drawn in
                proportion to probability^α, so a small α deviates more from the best one. With bpe,
                the probability that a merge is dropped (Provilkov et al. 2020): 0 gives the best
                segmentation, 1 gives characters.

        Raises:
            UserError: The tokenizer has only one segmentation per word.
        """
        if tokenizer.kind not in SAMPLED_KINDS:
            raise UserError(
                f"a tokenizer of kind {tokenizer.kind} has only one segmentation per word: set "
                "tokenizer.sampling=0"
            )
        self._tokenizer, self._strength = tokenizer, strength
        ids = range(len(tokenizer))
        plain = [tokenizer.is_plain(piece) for piece in ids]
        names = tokenizer.pieces(ids)
        self._surfaces = [name if plain[piece] else "" for piece, name in enumerate(names)]
        self._ids = {name: piece for piece, name in enumerate(names) if plain[piece]}
        self._scores = tokenizer.scores()
        self._longest = max(map(len, self._ids), default=0)
        # Words are segmented separately, unless a piece spans more than one word.
        self._by_word = not any(WORD_START in name[1:] for name in self._ids)
        self._lattice = lru_cache(_CACHED_WORDS)(self._make_lattice)
        self._pairs = lru_cache(_CACHED_WORDS)(self._make_pairs)
        self._segment = self._draw_path if tokenizer.kind == TokenizerKind.UNIGRAM else self._merge

    def __reduce__(self) -> tuple[type["SubwordSampler"], tuple[Tokenizer, float]]:
        return SubwordSampler, (self._tokenizer, self._strength)

    def sample(
        self, ids: Sequence[int] | npt.NDArray[np.integer[Any]], random: Random
    ) -> list[int]:
        """Return the ids of a sampled segmentation of the same text.

        Args:
            ids: The ids of a sentence, without BOS and EOS.
            random: The random generator; see `position_random`.
        """
        known = ids.tolist() if isinstance(ids, np.ndarray) else ids
        sampled: list[int] = []
        text = ""
        for piece in known:
            surface = self._surfaces[piece]
            if surface and not (self._by_word and surface[0] == WORD_START):
                text += surface
                continue
            if text:
                sampled += self._segment_text(text, random)
            text = surface
            if not surface:
                sampled.append(piece)
        return sampled + self._segment_text(text, random) if text else sampled

    def _segment_text(self, text: str, random: Random) -> list[int]:
        if not self._by_word or text.rfind(WORD_START) <= 0:
            return self._segment(text, random)
        return [piece for word in _WORDS.findall(text) for piece in self._segment(word, random)]

    def _draw_path(self, word: str, random: Random) -> list[int]:
        """Draw a path through the lattice of a word, from its end (Kudo 2018, section 3.3).

        The weight of a piece is the sum of the weights of all paths that end with it (forward
        filtering, backward sampling). A path is therefore drawn in proportion to its weight. No
        n-best list is needed.
        """
        lattice = self._lattice(word)
        drawn: list[int] = []
        at = len(word)
        while at:
            running, pieces = lattice[at]
            chosen = bisect(running, random.random() * running[-1]) if len(pieces) > 1 else 0
            at, piece = pieces[min(chosen, len(pieces) - 1)]
            drawn.append(piece)
        drawn.reverse()
        return drawn

    def _make_lattice(self, word: str) -> Ends:
        """Sum the weights of all segmentations of each prefix of a word (forward pass)."""
        totals = [0.0] + [-math.inf] * len(
            word
        )  # logarithms, because segmentations of long words have tiny probabilities
        ends: Ends = [([], [])]
        for end in range(1, len(word) + 1):
            pieces, weights = [], []
            for start in range(max(0, end - self._longest), end):
                piece = self._ids.get(word[start:end])
                if piece is not None and totals[start] > -math.inf:
                    pieces.append((start, piece))
                    weights.append(totals[start] + self._strength * self._scores[piece])
            if pieces:
                highest = max(weights)
                running = list(accumulate(math.exp(weight - highest) for weight in weights))
                totals[end] = highest + math.log(running[-1])
                ends.append((running, pieces))
            else:
                ends.append(([], []))
        return ends

    def _merge(self, word: str, random: Random) -> list[int]:
        """Merge characters until no merge is left (Provilkov et al. 2020, section 3, algorithm 1).

        In each step, each possible merge is dropped with the given probability. Of the others, that
        with the highest score is applied; of equal scores, the first.
        """
        characters, pairs = self._pairs(word)
        parts, scores = characters.copy(), pairs.copy()
        draw, dropped = random.random, self._strength
        while True:
            best, position = -math.inf, -1
            for index, score in enumerate(scores):
                if score > best and (not dropped or draw() >= dropped):
                    best, position = score, index
            if position < 0:
                return [self._ids[part] for part in parts]
            parts[position : position + 2] = [parts[position] + parts[position + 1]]
            del scores[position]
            if position:
                pair = parts[position - 1], parts[position]
                scores[position - 1] = self._merged_score(*pair)
            if position < len(scores):
                pair = parts[position], parts[position + 1]
                scores[position] = self._merged_score(*pair)

    def _make_pairs(self, word: str) -> tuple[list[str], list[float]]:
        """Return the L characters of a word, and the L - 1 scores of merging neighbors."""
        parts = list(word)
        return parts, [self._merged_score(*pair) for pair in zip(parts, parts[1:], strict=False)]

    def _merged_score(self, left: str, right: str) -> float:
        piece = self._ids.get(left + right)
        return -math.inf if piece is None else self._scores[piece]


def subword_samplers(
    tokenizers: TokenizerPair, strength: float
) -> tuple[SubwordSampler, SubwordSampler] | None:
    """Return the samplers of both sides, one object for a joint model; None if strength is 0."""
    if not strength:
        return None
    source = SubwordSampler(tokenizers.source, strength)
    if tokenizers.joint:
        return source, source
    return source, SubwordSampler(tokenizers.target, strength)
