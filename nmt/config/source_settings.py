"""Settings of a source: where sentence pairs stand, and how they are read."""

from dataclasses import dataclass
from enum import StrEnum

from nmt.config.setting import setting


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


class Documents(StrEnum):
    """Where a document ends."""

    NONE = "none"
    BLANK_LINES = "blank_lines"
    COLUMN = "column"
    FILES = "files"


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
        "Training pairs that are held out for this split, if it has no file: a count, or a share "
        "below 1; 0: 5 %, at most 2,000 pairs. For data.valid and data.test only.",
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
