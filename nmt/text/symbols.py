"""Symbols that no tokenizer splits: tags at the beginning of a sentence, names within it."""

import re
from collections.abc import Mapping, Sequence

from nmt.text.special_tokens import WORD_START

_VEILS = range(0x10F000, 0x10FFFE)  # private characters, which no text and no piece has


class Symbols:
    """A model's user-defined symbols, found in text."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        """Take the ids of the symbols; what holds a space or ``▁`` stands for space and is none."""
        self.ids = {
            symbol: place
            for symbol, place in ids.items()
            if WORD_START not in symbol and not any(character.isspace() for character in symbol)
        }
        self._names = {place: symbol for symbol, place in self.ids.items()}
        self.veils = dict(zip(self.ids, map(chr, _VEILS), strict=False))
        longest_first = sorted(self.ids, key=len, reverse=True)
        one = "|".join(map(re.escape, longest_first))
        self._tags = re.compile(rf" *(?:(?:{one})(?: +|$))+")
        self._veiled = re.compile(rf"{one}|[{chr(_VEILS[0])}-{chr(_VEILS[-1])}]")

    def __bool__(self) -> bool:
        return bool(self.ids)

    def split_tags(self, sentence: str) -> tuple[list[int], str]:
        """Return the ids of the tags that a sentence begins with, and the rest of it.

        Tags are symbols at the very beginning, each with a space or nothing behind it.
        """
        found = self._tags.match(sentence) if self.ids else None
        if found is None:
            return [], sentence
        return [self.ids[tag] for tag in found[0].split(" ") if tag], sentence[found.end() :]

    def leading(self, ids: Sequence[int]) -> list[str]:
        """Return the symbols that a sequence of ids begins with."""
        names: list[str] = []
        for place in ids:
            if place not in self._names:
                break
            names.append(self._names[place])
        return names

    def veil(self, sentence: str) -> str:
        """Return the sentence with one character for every symbol, longest symbols first."""
        return self._veiled.sub(lambda found: self.veils.get(found[0], "\ufffd"), sentence)
