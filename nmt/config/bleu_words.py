"""The choices of the words that BLEU counts."""

from enum import StrEnum


class BleuTokenizer(StrEnum):
    """The tokenizer by which BLEU counts words."""

    AUTO = "auto"
    V13A = "13a"
    INTL = "intl"
    CHAR = "char"
    ZH = "zh"
    JA_MECAB = "ja-mecab"
    KO_MECAB = "ko-mecab"
    FLORES101 = "flores101"
    FLORES200 = "flores200"
    NONE = "none"
