"""Symbols, which are never split: tags at the beginning of a sentence, or words inside it."""

import re
from collections.abc import Mapping, Sequence

from nmt.text.special_tokens import WORD_START

# Private-use characters, which do not occur in text or pieces.
_PLACEHOLDERS = range(0x10F000, 0x10FFFE)


class Symbols:
    """Finds the user-defined symbols of a model in text.

    Attributes:
        ids: The id of each symbol.
        placeholders: The character that replaces each symbol.
    """

    def __init__(self, ids: Mapping[str, int]) -> None:
        """Use the symbols with these ids, except those that contain white space or ``▁``."""
        self.ids = {
            symbol: piece
            for symbol, piece in ids.items()
            if WORD_START not in symbol and not any(character.isspace() for character in symbol)
        }
        self._names = {piece: symbol for symbol, piece in self.ids.items()}
        self.placeholders = dict(zip(self.ids, map(chr, _PLACEHOLDERS), strict=False))
        longest_first = sorted(self.ids, key=len, reverse=True)
        one = "|".join(map(re.escape, longest_first))
        self._tags = re.compile(rf" *(?:(?:{one})(?: +|$))+")
        self._hidden = re.compile(rf"{one}|[{chr(_PLACEHOLDERS[0])}-{chr(_PLACEHOLDERS[-1])}]")

    def __bool__(self) -> bool:
        return bool(self.ids)

    def split_tags(self, sentence: str) -> tuple[list[int], str]:
        """Return the ids of the tags at the beginning of a sentence, and the rest of the sentence.

        A tag is a symbol there that is followed by a space or by the end of the sentence.
        """
        found = self._tags.match(sentence) if self.ids else None
        if found is None:
            return [], sentence
        return [self.ids[tag] for tag in found[0].split(" ") if tag], sentence[found.end() :]

    def leading(self, ids: Sequence[int]) -> list[str]:
        """Return the symbols at the beginning of a sequence of ids."""
        names: list[str] = []
        for piece in ids:
            if piece not in self._names:
                break
            names.append(self._names[piece])
        return names

    def hide(self, sentence: str) -> str:
        """Replace each symbol of a sentence by its placeholder; longer symbols take precedence."""
        return self._hidden.sub(lambda found: self.placeholders.get(found[0], "\ufffd"), sentence)
