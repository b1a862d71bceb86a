"""The names of the tokenizers that split text into the words that BLEU counts."""

from enum import StrEnum


class BleuTokenizer(StrEnum):
    """The tokenizer that splits text into the words that BLEU counts."""

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
