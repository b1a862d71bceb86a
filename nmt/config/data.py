"""Settings of the corpus."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nmt.config.setting import REQUIRED, section, setting
from nmt.config.word_link_settings import AlignmentFiles, GoldAlignments

SPLITS = ("train", "valid", "test")
"""The parts of a corpus; ``test`` may be missing."""


class Format(StrEnum):
    """The format of a file of sentence pairs."""

    LINES = "lines"
    TSV = "tsv"
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    TMX = "tmx"
    XLIFF = "xliff"
    PO = "po"


class Quotes(StrEnum):
    """What quotation marks mean in a table."""

    CELLS = "cells"
    LITERAL = "literal"


class Duplicates(StrEnum):
    """Which repeated training pairs are left out."""

    KEEP = "keep"
    EXACT = "exact"
    NORMALIZED = "normalized"


class OnDoubt(StrEnum):
    """What happens when the two sides of a corpus seem to be shifted or swapped."""

    STOP = "stop"
    WARN = "warn"


class Documents(StrEnum):
    """Where a document ends."""

    NONE = "none"
    BLANK_LINES = "blank_lines"
    COLUMN = "column"
    FILES = "files"


class Corpus(StrEnum):
    """The kinds of corpora."""

    PHRASEBOOK = "phrasebook"
    PHRASEBOOK_DOCUMENTS = "phrasebook_documents"
    FILES = "files"
    HUGGINGFACE = "huggingface"


@dataclass(kw_only=True)
class SourceConfig:
    """The location of sentence pairs: two files, one file of both sides, or a dataset by name.

    Exactly one of these is given, or pairs are held out from the training text (`held_out`). File
    names may be globs (``*``); such shards are read in the order of their names. Compressed files
    (.gz, .xz, .bz2, .zst) are decompressed while reading.
    """

    source: str | None = setting(
        None,
        "File of source sentences; line i of both files is a pair.",
        before=None,
        names_file=True,
    )
    target: str | None = setting(None, "File of target sentences.", before=None, names_file=True)
    path: str | None = setting(
        None,
        "One file of both sides, or one file per language if the name contains {lang}.",
        before=None,
        names_file=True,
    )
    dataset: str | None = setting(
        None,
        "Dataset of the Hugging Face hub, or a local folder with the files of such a dataset.",
        before=None,
    )
    format: str | None = setting(
        None,
        "Format of path; null: the end of its name decides.",
        choices=Format,
        before=None,
    )
    encoding: str | None = setting(
        None,
        "Encoding of text files, e.g. windows-1252, mac-roman or utf-16-le; null: UTF-8, or UTF-16 "
        "or UTF-32 if the file begins with a byte-order mark.",
        neutral=None,
    )
    quotes: str | None = setting(
        None,
        "Quotation marks in a table. cells: they enclose cells; literal: they are part of the "
        "text; null: cells in .csv, and in .tsv if its cells look quoted.",
        choices=Quotes,
        neutral=None,
    )
    source_column: str | None = setting(
        None,
        "Column of the source sentences in a table: name, or number from 1; null: the source "
        "language.",
        before=None,
    )
    target_column: str | None = setting(
        None,
        "Column of the target sentences in a table: name, or number from 1; null: the target "
        "language.",
        before=None,
    )
    subset: str | None = setting(None, "Configuration of a dataset that has several.", before=None)
    split: str | None = setting(
        None, "Split of a dataset; null: train, validation or test.", before=None
    )
    streaming: bool = setting(
        False, "Whether a dataset is read without a copy on the disk.", before=False
    )
    tag: str | None = setting(
        None,
        "One or several tags that are put before every source sentence, e.g. <2de> or <bt>.",
        before=None,
    )
    documents: str | None = setting(
        None,
        "Where a document of this source ends; null: as data.documents.",
        choices=Documents,
        neutral=None,
    )
    held_out: float | None = setting(
        None,
        "Number of training pairs that are held out for this split, if it has no file: a count, a "
        "share below 1, or 0 for 5 %, but at most 2,000. For data.valid and data.test only.",
        unit="pairs",
        at_least=0,
        neutral=None,
    )
    weight: float = setting(
        1.0,
        "How often the pairs are used per epoch; for training text only.",
        unit="times",
        above=0,
        before=1.0,
    )


@dataclass(kw_only=True)
class SplitNames:
    """The names of the three splits in the dataset."""

    train: str = setting("train", "Name of the training split, or of its files.")
    valid: str = setting("valid", "Name of the validation split, or of its files.")
    test: str = setting("test", "Name of the test split, or of its files.")


@dataclass(kw_only=True)
class FeatureFiles:
    """Features of the splits, an array [regions, size] beside each line; null: none.

    A file is a .npy file [sentences, regions, size], a .safetensors file, a folder of .npy files in
    the order of their names, or a .txt file that lists .npy files.
    """

    train: str | None = setting(
        None, "Features of the training pairs.", neutral=None, names_file=True
    )
    valid: str | None = setting(
        None, "Features of the validation pairs.", neutral=None, names_file=True
    )
    test: str | None = setting(None, "Features of the test pairs.", neutral=None, names_file=True)


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


@dataclass(kw_only=True)
class DataConfig:
    """Base of the corpora."""

    name: str
    source_language: str = setting(REQUIRED, "Code of the source language, e.g. de or pt-BR.")
    target_language: str = setting(REQUIRED, "Code of the target language, e.g. en.")
    extra: dict[str, Any] = setting(
        {},
        "Further training text under a NAME of your choice: data.extra.NAME.path=FILE, and the "
        "other settings of a source.",
        before={},
    )
    documents: str = setting(
        Documents.NONE,
        "Where a document ends. none: sentences are independent; blank_lines: at a line that is "
        "blank on both sides; column: where data.document_column changes; files: at the end of "
        "each file.",
        choices=Documents,
        neutral=Documents.NONE,
    )
    document_column: str | None = setting(
        None,
        "Column that names the document of a pair: name, or number from 1.",
        neutral=None,
    )
    context_sentences: int = setting(
        0,
        "Previous source sentences of the document that are put before each source sentence "
        "(Tiedemann & Scherrer 2017); 0: none.",
        unit="sentences",
        at_least=0,
        at_most=100,
        neutral=0,
    )
    context_targets: int = setting(
        0,
        "Previous target sentences that are put before each target sentence; in search, these "
        "are the model's translations. At most data.context_sentences; 0: none.",
        unit="sentences",
        at_least=0,
        at_most=100,
        neutral=0,
    )
    temperature: float = setting(
        1.0,
        "Temperature at which sources are sampled: above 1, small sources are used more often than "
        "in proportion to their size (Arivazhagan et al. 2019).",
        at_least=1,
        before=1.0,
    )
    filters: FiltersConfig = section(
        FiltersConfig, "Rules that leave out training pairs.", added=True
    )
    max_length: int = setting(
        128,
        "Longest side of a training pair; longer pairs are left out and counted.",
        unit="pieces",
        at_least=1,
        at_most=1_000_000,
    )
    on_doubt: str = setting(
        OnDoubt.STOP,
        "What happens when the two sides seem to be shifted or swapped.",
        choices=OnDoubt,
        before=OnDoubt.STOP,
    )
    max_faulty: float = setting(
        0.02,
        "Largest share of faulty rows (wrong number of columns, an open quote, an error of a "
        "formula, ...) that is accepted: these rows are left out and counted. If the share is "
        "larger, the text is refused.",
        at_least=0,
        at_most=1,
        neutral=0.02,
    )
    dropped: str | None = setting(
        None,
        "File (.tsv or .tsv.gz) that lists every training pair that is left out, and why.",
        before=None,
        indifferent=True,
    )
    shuffle_buffer: int | None = setting(
        None,
        "Pairs that are shuffled together, for a corpus larger than memory; null: all.",
        unit="pairs",
        at_least=1,
        before=None,
    )
    workers: int | None = setting(
        None,
        "Processes and threads that prepare the corpus; null: one per CPU.",
        unit="workers",
        at_least=1,
        at_most=1024,
        before=None,
        indifferent=True,
    )
    loader_workers: int = setting(
        0,
        "Processes that prepare batches in advance; 0: the training process makes each batch.",
        unit="processes",
        at_least=0,
        at_most=1024,
        before=0,
        indifferent=True,
    )
    alignments: AlignmentFiles = section(
        AlignmentFiles, "Word links of the splits; the phrasebook includes its links.", added=True
    )
    features: FeatureFiles = section(
        FeatureFiles,
        "Arrays in addition to the text, e.g. of pictures; see model.features.",
        neutral=True,
    )
    gold: GoldAlignments = section(
        GoldAlignments, "A separate hand-aligned set for the alignment error rate.", added=True
    )
    cache_dir: str | None = setting(
        None,
        "Folder of prepared data; null: $NMT_CACHE or, if it is not set, the user's cache folder.",
        indifferent=True,
    )


@dataclass(kw_only=True)
class PhrasebookDataConfig(DataConfig):
    """The embedded English-German phrasebook, in either direction."""

    name: str = "phrasebook"


@dataclass(kw_only=True)
class PhrasebookDocumentsDataConfig(DataConfig):
    """Embedded English-German documents, whose pronouns refer to an earlier sentence."""

    name: str = "phrasebook_documents"


@dataclass(kw_only=True)
class FilesDataConfig(DataConfig):
    """Your own text: one source per split."""

    name: str = "files"
    train: SourceConfig = section(SourceConfig, "Training text.")
    valid: SourceConfig = section(SourceConfig, "Validation text.")
    test: SourceConfig | None = section(SourceConfig, "Test text.", optional=True)
    split_seed: int = setting(
        1, "Seed by which pairs are held out; see data.valid.held_out.", at_least=0, neutral=1
    )


@dataclass(kw_only=True)
class HuggingFaceDataConfig(DataConfig):
    """A dataset of the Hugging Face hub, or a local folder with the same files."""

    name: str = "huggingface"
    path: str = setting(REQUIRED, "Name of the dataset on the hub.")
    subset: str | None = setting(None, "Configuration of a dataset that has several.")
    splits: SplitNames = section(
        lambda: SplitNames(valid="validation"), "Names of the splits on the hub."
    )
    streaming: bool = setting(
        False, "Whether the dataset is read without a copy on the disk.", before=False
    )
    root: str | None = setting(
        None, "Local folder that is read instead of the hub.", names_file=True
    )
    stems: SplitNames = section(
        SplitNames, "File names of the splits in root, without language and .gz."
    )
