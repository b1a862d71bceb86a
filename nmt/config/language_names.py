"""The codes of languages by their names, which e.g. the columns of a table have.

``language_names.tsv`` has one language per line: its code of two letters, its codes of three
letters, and its names in English, in the language itself, and in nine other languages.
`scripts/language_names` makes the file from the Unicode Common Locale Data Repository. It omits
names that two languages have.
"""

import re
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_suffix(".tsv")
_REGION = re.compile(r"\s*[([].*[)\]]\s*$")


@cache
def _codes() -> dict[str, str]:
    """Return the code of two letters by every code of three letters and every name."""
    codes = {}
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        code, longer, *names = line.split("\t")
        codes.update(dict.fromkeys([*longer.split(), *names], code))
    return codes


def code_of_name(name: str) -> str | None:
    """Return the code of a language by its name, in upper or lower case; None: it is not known.

    >>> code_of_name("German"), code_of_name("Deutsch (Schweiz)"), code_of_name("de")
    ('de', 'de', None)
    """
    folded = _REGION.sub("", name).strip().casefold()
    code = _codes().get(folded)
    return code if len(folded) > 3 or not folded.isascii() else None


def same_language(one: str, other: str) -> bool:
    """Return whether two codes or names are of one language; a missing region equals any region.

    >>> same_language("de", "Deutsch"), same_language("deu", "de-AT"), same_language("pt-BR", "pt")
    (True, True, True)
    """
    (first, first_region), (second, second_region) = _parts(one), _parts(other)
    agree = not first_region or not second_region or first_region == second_region
    return first == second and agree


def _parts(language: str) -> tuple[str, str]:
    """Return the code of a language and its region or script."""
    folded = language.strip().casefold()
    named = code_of_name(folded)
    if named is not None:
        return named, ""
    primary, _, region = folded.replace("_", "-").partition("-")
    return _codes().get(primary, primary) if len(primary) == 3 else primary, region
