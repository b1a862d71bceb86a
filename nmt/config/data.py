"""Settings of the corpus and the tokenizer; values in ``configs/data``, ``configs/tokenizer``."""

from dataclasses import dataclass
from typing import Any

INDIFFERENT = ("cache_dir", "dropped", "workers", "loader_workers")
"""Settings of ``data`` that change nothing about what a model learns."""

SPLITS = ("train", "valid", "test")
"""What a corpus is divided into; ``test`` may be missing."""


@dataclass(kw_only=True)
class SourceConfig:
    """Where sentence pairs come from: two files, one file of both sides, or a dataset by name.

    Exactly one of the three is given. File names may be globs (``*``): shards, read in the order of
    their names. What is compressed (.gz, .xz, .bz2, .zst) is read as it is. The defaults stand here
    and not in ``configs/``, because no file there names the sources of ``data.extra``.
    """

    source: str | None = None  # two files, line i of both is a pair: the source side
    target: str | None = None  # and the target side
    path: str | None = None  # or one file of both sides, or shards/*.{lang}: one a language
    dataset: str | None = None  # or a dataset of the Hugging Face hub, or a folder made like one
    format: str | None = None  # of path: lines | tsv | csv | jsonl | parquet | tmx | xliff | po
    source_column: str | None = None  # of tables: name, or number from 1; null: source_language
    target_column: str | None = None
    subset: str | None = None  # of a dataset: its configuration, where it has several
    split: str | None = None  # of a dataset; null: train, validation or test
    streaming: bool = False  # of a dataset: read as it comes, without a copy on the disk
    tag: str | None = None  # put before every source sentence, as <2de> or <bt>: one piece
    weight: float = 1.0  # how many times its pairs are seen an epoch; for training


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
class FiltersConfig:
    """Which training pairs are left out, besides those with a blank side; null: rule off."""

    max_words: int | None  # more words than this on a side
    max_ratio: float | None  # of the longer side's characters to the shorter's
    duplicates: str  # keep | exact | normalized (case, punctuation and spaces apart): first is kept
    copies: bool  # leave out pairs whose sides are the same
    scripts: bool  # leave out sides mostly not in the script of their language
    language: float | None  # leave out sides surely (this probability) of another language
    test_overlap: bool  # leave out pairs with a side that is in validation or test


@dataclass(kw_only=True)
class DataConfig:
    """Base of the corpora."""

    name: str
    source_language: str
    target_language: str
    extra: dict[str, Any]  # further training text: a SourceConfig by name; see `extra_sources`
    temperature: float  # above 1 evens out sources of unlike size (Arivazhagan et al. 2019)
    filters: FiltersConfig
    max_length: int  # training pairs with more pieces than this on a side are left out, and counted
    on_doubt: str  # stop | warn: when the two sides look shifted or swapped
    dropped: str | None  # a .tsv file to write every training pair to that is left out
    shuffle_buffer: int | None  # pairs shuffled together; null: all
    workers: int | None  # processes and threads that prepare; null: as many as CPUs
    loader_workers: int  # processes that make batches ahead; 0: made when they are needed
    alignments: AlignmentFiles  # the phrasebook brings its own
    gold: GoldAlignments
    cache_dir: str | None  # prepared data; null: $NMT_CACHE, else the user's cache folder


@dataclass(kw_only=True)
class PhrasebookDataConfig(DataConfig):
    """The corpus that travels with the package, in either direction."""

    name: str = "phrasebook"


@dataclass(kw_only=True)
class FilesDataConfig(DataConfig):
    """Text of one's own: a source a split."""

    name: str = "files"
    train: SourceConfig
    valid: SourceConfig
    test: SourceConfig | None


@dataclass(kw_only=True)
class HuggingFaceDataConfig(DataConfig):
    """A dataset of the Hugging Face hub, or a local folder that holds the same files."""

    name: str = "huggingface"
    path: str  # the dataset's name on the hub
    subset: str | None  # its configuration, where it has several
    splits: SplitNames  # the splits' names on the hub
    streaming: bool  # read as it comes, without a copy on the disk
    root: str | None  # a local folder read in place of the hub
    stems: SplitNames  # the splits' file names there, without language and .gz


@dataclass(kw_only=True)
class TokenizerConfig:
    """SentencePiece, trained on the training side only, or given."""

    name: str  # unigram | bpe | char | word
    vocab_size: int  # pieces, special tokens included, of each vocabulary
    joint: bool  # one vocabulary for both languages
    byte_fallback: bool  # unseen characters become bytes, not <unk>
    character_coverage: float  # share of the text's characters that get a piece of their own
    normalization: str  # SentencePiece's rule: nmt_nfkc | nfkc | identity
    symbols: list[str]  # never split; those at the beginning of a sentence are tags
    sampling: float  # other cuts in training: unigram's alpha, or BPE-dropout's share; 0: off
    sample_size: int  # sentences a side it is trained on at most, drawn evenly from the text
    model: str | None  # a .model of SentencePiece's, of the source side or both; null: trained
    target_model: str | None  # of the target side, where it has its own
