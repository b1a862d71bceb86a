"""Other cuts of the same words in training: subword regularization and BPE-dropout.

A sentence's cut is drawn anew whenever it is seen, from a generator that its place gives, so that a
resumed run sees what the uninterrupted one would have. SentencePiece's own sampling draws from one
generator of the whole process.
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

from nmt.errors import UserError
from nmt.text.special_tokens import WORD_START
from nmt.text.tokenizer import Tokenizer

SAMPLED_KINDS = ("unigram", "bpe")
"""The kinds of tokenizers that can cut a word in several ways."""

_CACHED_WORDS = 1 << 14
_WORDS = re.compile(f"{WORD_START}[^{WORD_START}]*|[^{WORD_START}]+")

Ends = list[tuple[list[float], list[tuple[int, int]]]]
"""For each end of a piece in a word: running weights, and where pieces that end there begin."""


def position_random(seed: int, epoch: int, pair: int, side: int) -> Random:
    """Return the generator of one side (0, 1) of a pair in an epoch: the same wherever it runs."""
    return Random(seed << 96 | epoch << 64 | pair << 1 | side)


class SubwordSampler:
    """BatchShapes the text of piece ids anew, at random.

    Symbols, bytes, unknown and special pieces stay as they are.
    """

    def __init__(self, tokenizer: Tokenizer, strength: float) -> None:
        """Take a tokenizer of kind unigram or bpe.

        Args:
            tokenizer: What has cut the sentences first.
            strength: With unigram, alpha of Kudo (2018), section 3.3: cuts are drawn in proportion
                to their probability to this power, so a small one is far from the best cut; above
                0. With bpe, the share of merges that is dropped (Provilkov et al. 2020), from 0,
                which gives the best cut, to 1, which gives characters.

        Raises:
            UserError: The tokenizer is of a kind that has one cut only.
        """
        if tokenizer.kind not in SAMPLED_KINDS:
            raise UserError(
                f"a tokenizer of kind {tokenizer.kind} has one cut only: set tokenizer.sampling=0"
            )
        self._tokenizer, self._strength = tokenizer, strength
        ids = range(len(tokenizer))
        plain = [tokenizer.is_plain(piece) for piece in ids]
        names = tokenizer.pieces(ids)
        self._surfaces = [name if plain[piece] else "" for piece, name in enumerate(names)]
        self._ids = {name: piece for piece, name in enumerate(names) if plain[piece]}
        self._scores = tokenizer.scores()
        self._longest = max(map(len, self._ids), default=0)
        # Words are cut one by one, unless there is a piece that goes from one to the next.
        self._by_word = not any(WORD_START in name[1:] for name in self._ids)
        self._lattice = lru_cache(_CACHED_WORDS)(self._make_lattice)
        self._pairs = lru_cache(_CACHED_WORDS)(self._make_pairs)
        self._cut = self._draw_path if tokenizer.kind == "unigram" else self._merge

    def __reduce__(self) -> tuple[type["SubwordSampler"], tuple[Tokenizer, float]]:
        return SubwordSampler, (self._tokenizer, self._strength)

    def sample(
        self, ids: Sequence[int] | npt.NDArray[np.integer[Any]], random: Random
    ) -> list[int]:
        """Return the ids of another cut of the same text.

        Args:
            ids: The best cut of a sentence, without BOS and EOS.
            random: Where chance comes from; see `position_random`.
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
                sampled += self._cut_text(text, random)
            text = surface
            if not surface:
                sampled.append(piece)
        return sampled + self._cut_text(text, random) if text else sampled

    def _cut_text(self, text: str, random: Random) -> list[int]:
        if not self._by_word or text.rfind(WORD_START) <= 0:
            return self._cut(text, random)
        return [piece for word in _WORDS.findall(text) for piece in self._cut(word, random)]

    def _draw_path(self, word: str, random: Random) -> list[int]:
        """Draw a path through the word's lattice, backward from its end (Kudo 2018, section 3.3).

        A piece is drawn by the weight of all paths that go through it to where we are, so a whole
        path is drawn in proportion to its own weight: no list of best cuts is needed.
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
        """Sum the weights of all cuts of all beginnings of a word."""
        totals = [0.0] + [-math.inf] * len(word)  # logarithms: a long word's cuts are improbable
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
        """Merge characters while merges are left (Provilkov et al. 2020, section 3, algorithm 1).

        Every step drops each merge that could be made with the given probability, and makes the one
        with the highest score among the others; the first such where there are several.
        """
        characters, pairs = self._pairs(word)
        parts, scores = characters.copy(), pairs.copy()
        draw, dropped = random.random, self._strength
        while True:
            best, place = -math.inf, -1
            for index, score in enumerate(scores):
                if score > best and (not dropped or draw() >= dropped):
                    best, place = score, index
            if place < 0:
                return [self._ids[part] for part in parts]
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
            del scores[place]
            if place:
                scores[place - 1] = self._merged_score(parts[place - 1], parts[place])
            if place < len(scores):
                scores[place] = self._merged_score(parts[place], parts[place + 1])

    def _make_pairs(self, word: str) -> tuple[list[str], list[float]]:
        """Return a word's characters, and the score of the merge of each with the next."""
        parts = list(word)
        return parts, [self._merged_score(*pair) for pair in zip(parts, parts[1:], strict=False)]

    def _merged_score(self, left: str, right: str) -> float:
        piece = self._ids.get(left + right)
        return -math.inf if piece is None else self._scores[piece]
