"""The rules by which a tokenizer rewrites characters, as SentencePiece takes them.

The rule `nfc` is made here: letters and their accents are composed, all else is kept. calls
two spellings canonically equivalent if they are the same text, such as "é" and "e" with a combining
accent (Unicode Standard Annex #15, section 1.1). The rule replaces each spelling of a composed
character by the character itself. SentencePiece stores the rule in the model as a table, so that
every program that reads the model applies it. The other rules are SentencePiece's own.
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

_ERRORS = 2  # SentencePiece's level of messages about errors only


@contextmanager
def normalization_rule(name: str) -> Iterator[dict[str, Any]]:
    """Yield a rule as an argument of SentencePiece: ``rule_name``, or the file ``rule_tsv``.

    The file exists inside the block only.
    """
    if name != Normalization.NFC:
        yield {"rule_name": name}
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "nfc.tsv"
        file.write_text(composition_table(), encoding="utf-8")
        sentencepiece.SetMinLogLevel(_ERRORS)  # it reports every file that it reads
        yield {"rule_tsv": str(file)}


@cache
def composition_table() -> str:
    """Return the rule as SentencePiece reads it: per line code points, a tab, the code point.

    Characters that Unicode replaces by another character (e.g. the sign of ohm by Omega) stay as
    they are.
    """
    table = []
    for code in range(sys.maxunicode + 1):
        composed = chr(code)
        for spelling in _other_spellings(composed):
            points = " ".join(f"{ord(character):X}" for character in spelling)
            table.append(f"{points}\t{code:X}\n")
    return "".join(table)


def _other_spellings(composed: str) -> list[str]:
    """Return the sequences that Unicode composes to this character, marks in every order."""
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
