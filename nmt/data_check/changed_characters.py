"""Finds the characters of target text that a tokenizer changes."""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nmt.data_check.character_rules import has_own_rule
from nmt.data_check.check_report import Finding, Severity
from nmt.text.tokenizer import Tokenizer

CHANGED = "changed_characters"
_SHOWN = 5  # kinds of characters in a message
_UNKNOWN = "\u2047"  # SentencePiece's surface of <unk>


@dataclass(frozen=True)
class ChangedCharacter:
    """A character that encoding and decoding replaces by another text.

    Attributes:
        character: The character.
        count: Number of its occurrences.
        becomes: The decoded text instead of the character.
    """

    character: str
    count: int
    becomes: str

    def __str__(self) -> str:
        name = unicodedata.name(self.character, "")
        shown = f" {self.character}" if self.character.isprintable() else ""
        result = {"": "nothing", " ": "a space"}.get(self.becomes.strip("\n"), self.becomes)
        label = f"U+{ord(self.character):04X}{shown}{f' {name}' if name else ''}"
        return f"{label} {self.count:,} x becomes {result}"


def changed_characters(tokenizer: Tokenizer, counts: Mapping[str, int]) -> list[ChangedCharacter]:
    """Return the characters that encoding and decoding changes, the most frequent first.

    Left out are characters with a rule of their own (see `has_own_rule`), and combining marks that
    NFC composes with the letter a.
    """
    found = []
    for character, count in counts.items():
        if has_own_rule(character) or len(unicodedata.normalize("NFC", f"a{character}")) == 1:
            continue
        back = tokenizer.decode(tokenizer.encode(f"a{character}a"))
        if back != f"a{character}a":
            found.append(ChangedCharacter(character, count, back.removeprefix("a")[:-1]))
    return sorted(found, key=lambda changed: (-changed.count, changed.character))


def changed_character_findings(
    tokenizer: Tokenizer, counts: Mapping[str, int], language: str
) -> Iterator[Finding]:
    """Yield a finding if a model with this tokenizer cannot write some characters.

    Args:
        tokenizer: The tokenizer of the target side.
        counts: How often each character of the training targets occurs.
        language: Code of the target language.
    """
    changed = changed_characters(tokenizer, counts)
    if not changed:
        return
    total = sum(one.count for one in changed)
    more = f"; and {len(changed) - _SHOWN:,} more kinds" if len(changed) > _SHOWN else ""
    kinds = "; ".join(map(str, changed[:_SHOWN])) + more
    unknown = any(_UNKNOWN in one.becomes for one in changed)
    yield Finding(
        CHANGED,
        Severity.WARNING,
        "train",
        "target",
        total,
        [],
        f"{total:,} character{'' if total == 1 else 's'} of the target side ({language}) can never "
        f"be written by the model, because the tokenizer changes them: {kinds}",
        "set tokenizer.byte_fallback=true to keep them"
        if unknown
        else "set tokenizer.normalization=nfc to keep them; nothing has to be done if these "
        "changes are welcome",
    )
