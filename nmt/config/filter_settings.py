"""Settings of the filters, which leave out training pairs."""

from dataclasses import dataclass
from enum import StrEnum

from nmt.config.setting import setting


class Duplicates(StrEnum):
    """Which repeated training pairs are left out."""

    KEEP = "keep"
    EXACT = "exact"
    NORMALIZED = "normalized"


@dataclass(kw_only=True)
class FiltersConfig:
    """Rules that leave out training pairs, besides pairs with a blank side."""

    max_words: int | None = setting(
        None, "Longest side that is kept; null: no limit.", unit="words", at_least=1
    )
    max_ratio: float | None = setting(
        None,
        "Largest ratio of the two sides' lengths in characters, if the longer side has 21 or more; "
        "a Chinese character counts as 3, a Japanese or Korean one as 2. null: no limit.",
        at_least=1,
    )
    duplicates: str = setting(
        Duplicates.KEEP,
        "Which repeated pairs are left out: none (keep), identical pairs (exact), or pairs that "
        "are equal apart from case, punctuation and spaces (normalized). The first pair is kept.",
        choices=Duplicates,
    )
    copies: bool = setting(False, "Whether pairs with identical sides are left out.")
    scripts: bool = setting(
        False,
        "Whether pairs are left out if a side is mostly in a script of another language.",
    )
    language: float | None = setting(
        None,
        "Pairs are left out if a side is in another language with at least this probability; null: "
        'no pair is left out. This needs pip install "nmt[language]".',
        above=0,
        below=1,
    )
    numbers: bool = setting(
        False,
        "Whether pairs are left out if one side is only a number or a date, and the other has "
        "words without that number.",
        neutral=False,
    )
    test_overlap: bool = setting(
        False,
        "Whether a pair is left out if one of its sides has 4 words or more and is also in the "
        "validation or test text.",
    )
