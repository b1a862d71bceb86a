"""Opens the source that a section of the settings names."""

import os
from collections.abc import Collection
from functools import partial
from pathlib import Path

from nmt.config.source_settings import Documents, Format, SourceConfig
from nmt.data.sources.columns import Columns, is_number
from nmt.data.sources.documents import Boundaries, with_documents
from nmt.data.sources.encodings import Encoding
from nmt.data.sources.file_patterns import find_files, find_pairs, format_suffix
from nmt.data.sources.hub import HubPairs
from nmt.data.sources.json_lines import read_json_lines
from nmt.data.sources.language_tags import Languages
from nmt.data.sources.line_pairs import LinePairs
from nmt.data.sources.pair_source import PairSource, clean_text, with_tag
from nmt.data.sources.parquet import read_parquet
from nmt.data.sources.po_catalogues import read_po
from nmt.data.sources.records import FilePairs
from nmt.data.sources.tables import read_csv, read_tsv
from nmt.data.sources.tagged import TaggedPairs
from nmt.data.sources.translation_memories import read_tmx, read_xliff
from nmt.data.sources.zip_archives import find_sides, find_table, is_archive
from nmt.errors import UserError

TEXT_TABLES = {
    Format.TSV: read_tsv,
    Format.CSV: read_csv,
    Format.JSONL: read_json_lines,
}
QUOTED = (Format.TSV, Format.CSV)
MEMORIES = {Format.TMX: read_tmx, Format.XLIFF: read_xliff, Format.PO: read_po}
SUFFIXES = {
    ".tsv": Format.TSV,
    ".tab": Format.TSV,
    ".csv": Format.CSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".parquet": Format.PARQUET,
    ".tmx": Format.TMX,
    ".xlf": Format.XLIFF,
    ".xliff": Format.XLIFF,
    ".po": Format.PO,
}

WORKBOOKS = {
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls"), "Excel"),
    **dict.fromkeys((".ods", ".fods"), "LibreOffice"),
    ".numbers": "Numbers",
    ".gsheet": "Google Sheets",
}

CHUNK = 20_000  # pairs per chunk when a whole source is read into memory

NO_BOUNDARIES = Boundaries()
TEXT_BOUNDARIES = (Documents.BLANK_LINES, Documents.FILES)
TABLE_BOUNDARIES = (Documents.COLUMN, Documents.FILES)


def open_source(
    config: SourceConfig,
    languages: Languages,
    key: str,
    split: str = "train",
    boundaries: Boundaries = NO_BOUNDARIES,
) -> PairSource:
    """Return the source that the settings name; its files must exist but are not read yet.

    Args:
        config: Two files, one file with both sides, or a dataset.
        languages: Codes of the source and the target language.
        key: Name of the settings in messages, e.g. ``data.train``.
        split: The split of a dataset if the settings do not name one.
        boundaries: What ends a document.

    Raises:
        UserError: The settings do not name exactly one source, it does not exist, or it does not
            have such boundaries.
    """
    source = with_documents(_open(config, languages, key, split, boundaries), boundaries)
    if config.tag is None:
        return source
    if not config.tag.strip() or len(config.tag.split()) > 1:
        raise UserError(f"{key}.tag is {config.tag!r}; it must be one word, such as '<bt>'")
    return TaggedPairs(source, config.tag.strip())


def read_all(source: PairSource) -> tuple[list[str], list[str]]:
    """Return both sides of a source that fits into memory, cleaned and tagged.

    Raises:
        UserError: A file is faulty.
    """
    return read_whole(source)[:2]


def read_whole(source: PairSource) -> tuple[list[str], list[str], list[int] | None]:
    """Return both sides as `read_all` does, and the document number of each pair, or None.

    Raises:
        UserError: A file is faulty.
    """
    sources: list[str] = []
    targets: list[str] = []
    documents: list[int] = []
    for chunk in source.chunks(CHUNK):
        sources += with_tag(list(map(clean_text, chunk.sources)), chunk.tag)
        targets += map(clean_text, chunk.targets)
        documents += chunk.documents or ()
    return sources, targets, documents if documents else None


def _open(
    config: SourceConfig, languages: Languages, key: str, split: str, boundaries: Boundaries
) -> PairSource:
    given = [
        name
        for name, values in (
            ("source", (config.source, config.target)),
            ("path", (config.path,)),
            ("dataset", (config.dataset,)),
        )
        if any(value is not None for value in values)
    ]
    if len(given) != 1:
        raise UserError(
            f"{key} {'names no text' if not given else 'names several texts'}: set either "
            f"{key}.source and {key}.target, or {key}.path, or {key}.dataset"
        )
    if config.dataset is not None:
        return _open_dataset(config, config.dataset, languages, key, split, boundaries)
    if config.path is not None:
        return _open_path(config, config.path, languages, key, boundaries)
    boundaries.check(key, "two text files", TEXT_BOUNDARIES)
    return _open_two(config, key)


def _open_two(config: SourceConfig, key: str) -> PairSource:
    if config.source is None or config.target is None:
        missing = "source" if config.source is None else "target"
        raise UserError(f"{key}.{missing} is null: a pair of files needs both sides")
    if config.format not in (None, Format.LINES):
        raise UserError(f"{key}.format={config.format} is the format of one file: set {key}.path")
    _refuse_unused(config, key, "two files", ("format", "encoding"))
    sides = find_pairs(config.source, config.target, (f"{key}.source", f"{key}.target"))
    return LinePairs(*sides, Encoding(config.encoding, key))


def _open_path(
    config: SourceConfig, path: str, languages: Languages, key: str, boundaries: Boundaries
) -> PairSource:
    if config.format not in (None, *Format):
        raise UserError(f"{key}.format is {config.format!r}; it must be one of {', '.join(Format)}")
    form = None if config.format is None else Format(config.format)
    if "{lang}" in path:
        boundaries.check(key, "two text files", TEXT_BOUNDARIES)
        return _open_by_language(config, path, languages, key)
    if form == Format.LINES:
        raise UserError(
            f"{key}.format=lines needs one file per language: write {{lang}} in {key}.path, "
            f"or set {key}.source and {key}.target"
        )
    files = find_files(path, f"{key}.path")
    if files and all(map(is_archive, files)):
        sides = find_sides(files, languages) if form is None else None
        if sides is not None:
            boundaries.check(key, "two text files", TEXT_BOUNDARIES)
            _refuse_unused(config, key, "two files", ("format", "encoding"))
            both = [source for source, _ in sides], [target for _, target in sides]
            return LinePairs(*both, Encoding(config.encoding, key))
        files = [find_table(file, SUFFIXES, languages) for file in files]
    forms = [form or _format_of(file, key) for file in files]
    if len(set(forms)) > 1:
        raise UserError(
            f"{key}.path={path} matches files of several formats, first {files[0]}: "
            f"set {key}.format"
        )
    return _open_files(config, files, forms[0], languages, key, boundaries)


def _open_by_language(
    config: SourceConfig, path: str, languages: Languages, key: str
) -> PairSource:
    found = SUFFIXES.get(format_suffix(Path(path)))
    if config.format not in (None, Format.LINES) or (config.format is None and found):
        raise UserError(
            f"{key}.path={path} names one text file per language, but {config.format or found} has "
            f"both sides in one file: remove {{lang}}, or set {key}.format=lines"
        )
    _refuse_unused(config, key, "two files", ("format", "encoding"))
    source, target = (path.replace("{lang}", language) for language in languages)
    sides = find_pairs(source, target, (f"{key}.path", f"{key}.path"))
    return LinePairs(*sides, Encoding(config.encoding, key))


def _format_of(file: Path, key: str) -> Format:
    suffix = format_suffix(file)
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    if suffix in WORKBOOKS:
        raise UserError(
            f"{key}.path: {file} is a workbook of {WORKBOOKS[suffix]}, which is not read: open it "
            "and save the sheet as CSV UTF-8"
        )
    found = f"the suffix {suffix}" if suffix else "no suffix"
    raise UserError(
        f"{key}.path: {file} has {found}, so its format is unknown: "
        f"set {key}.format to one of {', '.join((*TEXT_TABLES, Format.PARQUET, *MEMORIES))}"
    )


def _open_files(
    config: SourceConfig,
    files: list[Path],
    form: Format,
    languages: Languages,
    key: str,
    boundaries: Boundaries,
) -> PairSource:
    allowed = (Documents.FILES,) if form in MEMORIES else TABLE_BOUNDARIES
    boundaries.check(key, f"a file of format {form}", allowed)
    if form in MEMORIES:
        _refuse_unused(config, key, form, ("format",))
        read = partial(MEMORIES[form], languages=languages)
        return FilePairs(files, read, f"{form} {languages}")
    used = ["format", "source_column", "target_column"]
    used += [] if form == Format.PARQUET else ["encoding"]
    _refuse_unused(config, key, form, [*used, "quotes"] if form in QUOTED else used)
    packed = next((file for file in files if file.suffix.lower() != format_suffix(file)), None)
    if form == Format.PARQUET and packed is not None:
        raise UserError(f"{key}.path: {packed} is compressed twice: decompress it to plain Parquet")
    columns = _columns(config, languages, key, boundaries)
    if form == Format.JSONL and columns.positions is not None:
        raise UserError(
            f"{key}.source_column={config.source_column}: JSON keys have names, not numbers"
        )
    reading = f"{form} {columns.names} {columns.given}"
    reading += f" document={columns.document}" if columns.document is not None else ""
    if form == Format.PARQUET:
        return FilePairs(files, partial(read_parquet, columns=columns), reading)
    encoding = Encoding(config.encoding, key)
    reading += f" {encoding.name}" if encoding.name else ""
    read = partial(TEXT_TABLES[form], columns=columns, encoding=encoding)
    if form in QUOTED and config.quotes is not None:
        read, reading = partial(read, quotes=config.quotes), f"{reading} quotes={config.quotes}"
    return FilePairs(files, read, reading)


def _open_dataset(
    config: SourceConfig,
    dataset: str,
    languages: Languages,
    key: str,
    split: str,
    boundaries: Boundaries,
) -> PairSource:
    boundaries.check(key, "a dataset", (Documents.COLUMN, Documents.BLANK_LINES))
    used = ("subset", "split", "streaming", "source_column", "target_column")
    _refuse_unused(config, key, "a dataset", used)
    local = os.path.expanduser(dataset)
    return HubPairs(
        local if os.path.isdir(local) else dataset,
        config.split or split,
        _columns(config, languages, key, boundaries),
        config.subset,
        config.streaming,
        f"{key}.dataset=FOLDER",
    )


def _columns(
    config: SourceConfig, languages: Languages, key: str, boundaries: Boundaries
) -> Columns:
    both = (config.source_column, config.target_column)
    if is_number(both[0]) != is_number(both[1]):
        raise UserError(
            f"{key}.source_column={both[0]} and {key}.target_column={both[1]}: "
            "give both as numbers, or both as names"
        )
    columns = Columns(languages, key, *both, boundaries.column)
    if is_number(boundaries.column) and columns.positions is None:
        raise UserError(
            f"data.document_column={boundaries.column} is a number: give {key}.source_column and "
            f"{key}.target_column as numbers, too, or name it"
        )
    if columns.names[0] == columns.names[1]:
        raise UserError(f"{key}: source and target are the same column, {columns.names[0]!r}")
    if columns.positions is not None and min(columns.positions) < 0:
        raise UserError(f"{key}: columns are counted from 1, not from 0")
    return columns


def _refuse_unused(config: SourceConfig, key: str, what: str, used: Collection[str]) -> None:
    """Refuse a setting that would have no effect."""
    columns = ("source_column", "target_column")
    options = ("format", "encoding", "quotes", *columns, "subset", "split", "streaming")
    for name in options:
        value = getattr(config, name)
        if name not in used and value not in (None, False):
            raise UserError(f"{key}.{name}={value} has no meaning for {what}: remove it")
