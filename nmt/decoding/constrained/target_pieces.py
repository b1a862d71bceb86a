"""The target vocabulary as text: the characters of each piece.

Legend: V vocabulary.
"""

import re
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor

from nmt.decoding.constrained.phrase_matcher import in_word
from nmt.errors import UserError
from nmt.text.special_tokens import EOS, UNK, WORD_START
from nmt.text.tokenizer import Tokenizer

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_FIRST_BYTE = 0xF700  # first of the private characters that represent byte pieces

Trie: TypeAlias = "dict[str, tuple[Trie, list[int]]]"
"""For each character, the trie of the next characters, and the pieces that end with it."""


class TargetPieces:
    """The pieces of a tokenizer as text, in which ``▁`` is a space.

    Attributes:
        surfaces: The characters of each piece; empty for PAD, BOS and EOS.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Read the pieces of the target tokenizer."""
        self._tokenizer = tokenizer
        names = tokenizer.pieces(range(len(tokenizer)))
        self.surfaces = [self._surface(piece, name) for piece, name in enumerate(names)]
        self._ids = {name: piece for piece, name in enumerate(names)}
        self._characters = frozenset("".join(self.surfaces))

    def _surface(self, piece: int, name: str) -> str:
        if piece <= EOS:
            return WORD_START if piece == UNK else ""
        byte = _BYTE.fullmatch(name)
        if byte and not self._tokenizer.is_plain(piece):
            return chr(_FIRST_BYTE + int(byte.group(1), 16))
        return name

    @cached_property
    def continues_word(self) -> Tensor:
        """[V] bool, whether a piece begins with a letter and so continues the previous word."""
        return torch.tensor([bool(text) and in_word(text[0]) for text in self.surfaces])

    @cached_property
    def ends_in_word(self) -> list[bool]:
        """Whether each piece ends with a letter."""
        return [bool(text) and in_word(text[-1]) for text in self.surfaces]

    @cached_property
    def trie(self) -> Trie:
        """The trie of the characters of all pieces."""
        root: Trie = {}
        for piece, text in enumerate(self.surfaces):
            node: Trie = root
            ends: list[int] = []
            for character in text:
                node, ends = node.setdefault(character, ({}, []))
            ends.append(piece)
        return root

    @cached_property
    def places(self) -> dict[tuple[str, str], list[int]]:
        """The pieces that contain a character ``at start``, ``after space`` or ``anywhere``.

        ``after space`` means after the start or after any character that is not part of a word.
        """
        found: dict[tuple[str, str], set[int]] = {}
        for piece, text in enumerate(self.surfaces):
            for before, character in zip(" " + text, text, strict=False):
                kinds = ["anywhere", *(["after space"] if not in_word(before) else [])]
                for kind in kinds:
                    found.setdefault((character, kind), set()).add(piece)
            if text:
                found.setdefault((text[0], "at start"), set()).add(piece)
        return {key: sorted(pieces) for key, pieces in found.items()}

    def ids(self, text: str) -> list[int]:
        """Return the pieces of a text that translations must contain.

        Raises:
            UserError: The text is blank, or contains a character that no piece contains.
        """
        ids = self._tokenizer.encode(text)
        if UNK in ids:
            unknown = [c for c in text if not c.isspace() and UNK in self._tokenizer.encode(c)]
            which = f"{unknown[0]!r}" if unknown else "a character"
            raise UserError(f"{text!r}: the target vocabulary has no piece for {which}")
        if not ids:
            raise UserError(f"{text!r} is blank after normalization")
        return ids

    def phrase_ids(self, text: str) -> list[int]:
        """Return the pieces of a phrase within a translation.

        They begin with a space only if the phrase begins with a letter of a script with spaces.

        Raises:
            UserError: See `ids`.
        """
        ids = self.ids(text)
        first = self.surfaces[ids[0]]
        letter = next((c for i in ids for c in self.surfaces[i] if c != WORD_START), "")
        if first.startswith(WORD_START) and letter and not in_word(letter):
            bare = first.removeprefix(WORD_START)
            if not bare:
                return ids[1:]
            if bare in self._ids:
                return [self._ids[bare], *ids[1:]]
        return ids

    def spelled(self, text: str) -> str:
        """Return a text as its pieces spell it, without the first space; empty if it has UNK.

        Byte pieces spell the characters that no other piece contains.
        """
        ids = self._tokenizer.encode(text)
        if UNK in ids:
            return ""
        plain = self._tokenizer.decode(ids).strip().replace(" ", WORD_START)
        return "".join(
            c if c in self._characters else "".join(chr(_FIRST_BYTE + byte) for byte in c.encode())
            for c in plain
        )
