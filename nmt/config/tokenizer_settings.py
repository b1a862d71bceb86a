"""Settings of the tokenizer."""

from dataclasses import dataclass
from enum import StrEnum

from nmt.config.setting import setting

SPECIAL_PIECES = ("<pad>", "<unk>", "<s>", "</s>")
"""The texts of the special tokens, by id; `nmt.text.special_tokens` names the ids."""


class TokenizerKind(StrEnum):
    """The models that SentencePiece trains."""

    UNIGRAM = "unigram"
    BPE = "bpe"
    CHAR = "char"
    WORD = "word"


class Normalization(StrEnum):
    """The rules by which a tokenizer rewrites characters."""

    NFC = "nfc"
    NMT_NFKC = "nmt_nfkc"
    NFKC = "nfkc"
    IDENTITY = "identity"


@dataclass(kw_only=True)
class TokenizerConfig:
    """A SentencePiece model, trained on the training text or given as a file."""

    name: str = setting(
        TokenizerKind.BPE, "Kind of the SentencePiece model.", choices=TokenizerKind
    )
    vocab_size: int = setting(
        3000,
        "Size of each vocabulary, special tokens included. 3,000 suits the phrasebook, 4,000 to "
        "8,000 Multi30k, 32,000 millions of pairs.",
        unit="pieces",
        at_least=8,
        at_most=10_000_000,
    )
    joint: bool = setting(True, "Whether both languages share one vocabulary.")
    byte_fallback: bool = setting(
        True, "Whether characters without a piece are encoded as bytes instead of <unk>."
    )
    character_coverage: float = setting(
        1.0,
        "Share of the text's characters that get a separate piece; 0.9995 suits Chinese and "
        "Japanese.",
        at_least=0.98,  # SentencePiece's own bounds
        at_most=1.0,
    )
    normalization: str = setting(
        Normalization.NFC,
        "How the tokenizer rewrites characters. nfc: letters and accents are composed; identity: "
        "nothing changes; nfkc, nmt_nfkc: in addition to nfc, many characters (½, m², …, "
        "full-width forms) are replaced by similar ones, so the model never writes these "
        "characters.",
        choices=Normalization,
    )
    symbols: list[str] = setting(
        [],
        "Pieces that are never split; at the beginning of a sentence they are tags, e.g. "
        "['<2de>','<2fr>'].",
        before=[],
    )
    sampling: float = setting(
        0.0,
        "Random segmentation in training: with unigram alpha (Kudo 2018; 0.1 to 0.5 is usual), "
        "with bpe the share of dropped merges (Provilkov et al. 2020; 0.1 is usual). 0: off.",
        at_least=0,
        before=0.0,
    )
    sample_size: int = setting(
        2_000_000,
        "Largest number of sentences per side on which the SentencePiece model is trained, drawn "
        "evenly from the text.",
        unit="sentences",
        at_least=1,
        before=2_000_000,
    )
    model: str | None = setting(
        None,
        "Existing SentencePiece .model of the source side or of both sides, which sets the "
        "vocabulary size; null: a model is trained.",
        before=None,
        names_file=True,
    )
    target_model: str | None = setting(
        None,
        "Existing SentencePiece .model of the target side, if it has its own.",
        before=None,
        names_file=True,
    )
