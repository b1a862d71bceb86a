"""The rules by which a tokenizer normalizes text, as arguments of SentencePiece.

The rule `nfc` is made here. It composes letters and their accents, and keeps all other characters.
Unicode calls two sequences canonically equivalent if they are the same text, such as "é" and "e"
with a combining accent (Unicode Standard Annex #15, section 1.1). The rule replaces each sequence
that is equivalent to a composed character by this character. SentencePiece stores the rule in the
model as a table, so that all programs that read the model apply it. The other rules are those of
SentencePiece.
"""

import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

import sentencepiece

from nmt.config.tokenizer_settings import Normalization

_ERRORS = 2  # the log level at which SentencePiece writes only errors


@contextmanager
def normalization_rule(name: str) -> Iterator[dict[str, Any]]:
    """Yield a rule as an argument of SentencePiece: ``rule_name``, or the file ``rule_tsv``.

    The file exists only inside the block.
    """
    if name != Normalization.NFC:
        yield {"rule_name": name}
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "nfc.tsv"
        file.write_text(composition_table(), encoding="utf-8")
        sentencepiece.SetMinLogLevel(_ERRORS)  # else it logs each file that it reads
        yield {"rule_tsv": str(file)}


@cache
def composition_table() -> str:
    """Return the rule in the format of SentencePiece: code points, a tab, one code point per line.

    Characters that NFC replaces by another character, e.g. the ohm sign by omega, do not change.
    """
    table = []
    for code in range(sys.maxunicode + 1):
        composed = chr(code)
        for spelling in _other_spellings(composed):
            points = " ".join(f"{ord(character):X}" for character in spelling)
            table.append(f"{points}\t{code:X}\n")
    return "".join(table)


def _other_spellings(composed: str) -> list[str]:
    """Return the other sequences that NFC composes to this character, in all orders of marks."""
    if unicodedata.is_normalized("NFD", composed):
        return []
    parted = unicodedata.normalize("NFD", composed)
    spellings = set()
    for order in permutations(parted[1:]):
        parts = parted[0] + "".join(order)
        for end in range(1, len(parts) + 1):
            spelling = unicodedata.normalize("NFC", parts[:end]) + parts[end:]
            if spelling != composed and unicodedata.normalize("NFC", spelling) == composed:
                spellings.add(spelling)
    return sorted(spellings)
