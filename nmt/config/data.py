"""Settings of the corpus and the tokenizer; values in ``configs/data``, ``configs/tokenizer``."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class SplitFiles:
    """The two files of one split: line i of both is a pair; ``.gz`` is read as gzip."""

    source: str
    target: str


@dataclass(kw_only=True)
class SplitNames:
    """What the three splits are called where the data comes from."""

    train: str
    valid: str
    test: str


@dataclass(kw_only=True)
class AlignmentFiles:
    """Word links of the splits in Pharaoh format, ``0-0 1-2``, a line a pair; null: none."""

    train: str | None  # what training.guided_alignment learns from
    valid: str | None
    test: str | None


@dataclass(kw_only=True)
class GoldAlignments:
    """A hand-aligned set of its own, on which the finished run's alignment error is measured.

    Null files: the links of the test split, else those of validation, where there are any.
    """

    source: str | None
    target: str | None
    links: str | None  # Pharaoh format; 0p1 or 0?1 is a possible link
    flip: bool  # the links are target word - source word


@dataclass(kw_only=True)
class DataConfig:
    """Base of the corpora."""

    name: str
    source_language: str
    target_language: str
    max_length: int  # training pairs with more pieces than this on a side are left out, and counted
    alignments: AlignmentFiles  # the phrasebook brings its own
    gold: GoldAlignments
    cache_dir: str | None  # prepared data; null: $NMT_CACHE, else the user's cache folder


@dataclass(kw_only=True)
class PhrasebookDataConfig(DataConfig):
    """The corpus that travels with the package, in either direction."""

    name: str = "phrasebook"


@dataclass(kw_only=True)
class FilesDataConfig(DataConfig):
    """Parallel text files, two a split."""

    name: str = "files"
    train: SplitFiles
    valid: SplitFiles
    test: SplitFiles | None


@dataclass(kw_only=True)
class HuggingFaceDataConfig(DataConfig):
    """A dataset of the Hugging Face hub, or a local folder that holds the same files."""

    name: str = "huggingface"
    path: str  # the dataset's name on the hub
    subset: str | None  # its configuration, where it has several
    splits: SplitNames  # the splits' names on the hub
    root: str | None  # a local folder read in place of the hub
    stems: SplitNames  # the splits' file names there, without language and .gz


@dataclass(kw_only=True)
class TokenizerConfig:
    """SentencePiece, trained on the training side only."""

    name: str  # unigram | bpe
    vocab_size: int  # pieces, special tokens included, of each vocabulary
    joint: bool  # one vocabulary for both languages
    byte_fallback: bool  # unseen characters become bytes, not <unk>
    character_coverage: float  # share of the text's characters that get a piece of their own
    normalization: str  # SentencePiece's rule: nmt_nfkc | nfkc | identity
