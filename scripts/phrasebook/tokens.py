"""Words that carry alignment keys, and the parsers of marked-up phrases."""

from __future__ import annotations

import re
from dataclasses import dataclass

PUNCTUATION = ".,!?;:"
_MARKED = re.compile(r"^(?P<text>[^_]+?)(?:_(?P<keys>\w+))?(?P<punct>[.,!?;:]*)$")
NO_KEYS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Token:
    """One word; words of the two languages that share a key are linked."""

    text: str
    keys: frozenset[str] = NO_KEYS
    fixed: bool = False


Words = list[Token]


@dataclass(frozen=True, slots=True)
class Pair:
    """A fixed phrase and its translation, word by word with local keys."""

    en: tuple[tuple[str, str], ...]
    de: tuple[tuple[str, str], ...]

    def side(self, lang: str, slot: str) -> Words:
        """Return the words of one language; a slot name is the prefix of their keys."""
        marked = self.en if lang == "en" else self.de
        return [Token(text, frozenset(f"{slot}.{k}" for k in keys)) for text, keys in marked]


def _marked_words(text: str) -> tuple[tuple[str, str], ...]:
    words = []
    for word in text.split():
        match = _MARKED.match(word)
        if match is None:
            raise ValueError(f"cannot read the marked word {word!r}")
        words.append((match["text"] + match["punct"], match["keys"] or ""))
    return tuple(words)


def parse_pair(en: str, de: str) -> Pair:
    """Read two marked phrases; unmarked ones of equal length are linked in order."""
    left, right = _marked_words(en), _marked_words(de)
    if "_" in en + de:
        return Pair(left, right)
    if len(left) == len(right):
        names = [chr(ord("a") + i) for i in range(len(left))]
        return Pair(
            tuple((w, k) for (w, _), k in zip(left, names, strict=True)),
            tuple((w, k) for (w, _), k in zip(right, names, strict=True)),
        )
    if 1 in (len(left), len(right)):
        return Pair(tuple((w, "a") for w, _ in left), tuple((w, "a") for w, _ in right))
    raise ValueError(f"mark the links of {en!r} = {de!r}")


def split_equation(line: str) -> tuple[str, str]:
    """Split 'English = German' into its two sides."""
    left, separator, right = line.partition(" = ")
    if not separator:
        raise ValueError(f"no ' = ' in {line!r}")
    return left.strip(), right.strip()


def attach(words: Words, punct: str) -> None:
    """Attach punctuation to the last word."""
    if punct and words:
        last = words[-1]
        words[-1] = Token(last.text + punct, last.keys, last.fixed)


def capitalise(words: Words) -> Words:
    """Give the first word of each sentence a capital letter."""
    out: Words = []
    start = True
    for word in words:
        text = word.text[0].upper() + word.text[1:] if start else word.text
        out.append(Token(text, word.keys, word.fixed))
        start = word.text[-1] in "!?" or (word.text[-1] == "." and word.text not in ("Mr.", "Mrs."))
    return out


def links(en: Words, de: Words) -> list[tuple[int, int]]:
    """Link every two words that share a key, in order of English then German position."""
    where: dict[str, list[int]] = {}
    for j, word in enumerate(de):
        for key in word.keys:
            where.setdefault(key, []).append(j)
    found = {(i, j) for i, word in enumerate(en) for key in word.keys for j in where.get(key, ())}
    return sorted(found)
