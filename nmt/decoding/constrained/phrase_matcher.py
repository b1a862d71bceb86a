"""Finds phrases in text, character by character.

A phrase matches whole words: if it begins or ends with a letter or digit, the adjacent character of
the text must not be one. In scripts without spaces between words, a phrase matches anywhere.
"""

import unicodedata
from collections.abc import Iterable, Sequence

State = tuple[bool, frozenset[tuple[int, int]]]
"""Whether a word may begin here; each begun phrase, by its index, and the characters read of it."""

_UNSPACED = (  # Thai to Myanmar, Khmer, kana, ideographs
    (0x0E00, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x3400, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


def in_word(character: str) -> bool:
    """Return whether a character is a letter, digit or mark of a script with spaces."""
    code = ord(character)
    if any(first <= code <= last for first, last in _UNSPACED):
        return False
    return character.isalnum() or unicodedata.category(character).startswith("M")


class PhraseMatcher:
    """Finds phrases in text."""

    def __init__(self, phrases: Sequence[str]) -> None:
        """Find these phrases; none is empty."""
        self.phrases = tuple(phrases)
        self._by_first: dict[str, list[int]] = {}
        for number, phrase in enumerate(self.phrases):
            self._by_first.setdefault(phrase[0], []).append(number)

    def firsts(self) -> Iterable[tuple[str, bool]]:
        """Return the first characters of the phrases, and whether a word must begin with each."""
        return [(character, in_word(character)) for character in self._by_first]

    def read(self, state: State, character: str) -> tuple[State, bool]:
        """Return the state after a character, and whether a phrase is then surely complete."""
        begins, begun = state
        letter = in_word(character)
        found = False
        following = set()
        for number, read in begun:
            phrase = self.phrases[number]
            if read == len(phrase):
                found = found or not letter
            elif phrase[read] == character:
                following.add((number, read + 1))
        for number in self._by_first.get(character, ()):
            if begins or not letter:
                following.add((number, 1))
        found = found or any(
            read == len(self.phrases[number]) and not in_word(self.phrases[number][-1])
            for number, read in following
        )
        return (not letter, frozenset(following)), found

    def complete(self, state: State) -> bool:
        """Return whether a phrase is complete, provided that no letter follows."""
        return any(read == len(self.phrases[number]) for number, read in state[1])

    def found_in(self, text: str) -> bool:
        """Return whether a text contains a phrase."""
        state: State = (True, frozenset())
        for character in text:
            state, found = self.read(state, character)
            if found:
                return True
        return self.complete(state)
