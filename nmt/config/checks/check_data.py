"""Checks combinations of the settings of a corpus."""

import dataclasses
import re
from collections.abc import Iterator, Mapping

from nmt.config.checks.check_ranges import check_ranges, shown
from nmt.config.data import SPLITS, Corpus, DataConfig, FilesDataConfig, PhrasebookDataConfig
from nmt.config.encoding_names import is_encoding
from nmt.config.language_names import code_of_name
from nmt.config.plain import extra_sources
from nmt.config.source_settings import Documents, Format, SourceConfig
from nmt.errors import UserError

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_@][A-Za-z0-9]+)*")  # BCP 47, or as in NLLB
_LONGEST_CODE = 35  # characters (RFC 5646, section 4.4.1)
_EMBEDDED = (Corpus.PHRASEBOOK, Corpus.PHRASEBOOK_DOCUMENTS)
_SPLIT_OFF = ("data.valid", "data.test")


def check_data(data: DataConfig) -> Iterator[str]:
    """Yield a message for each impossible combination."""
    yield from _languages(data)
    if data.dropped is not None and not data.dropped.endswith((".tsv", ".tsv.gz")):
        yield f"data.dropped is {data.dropped}; the file's name must end in .tsv or .tsv.gz"
    yield from _splits(data)
    yield from _extra(data)
    yield from _held_out(data)
    yield from _documents(data)
    yield from _alignments(data)
    yield from _gold(data)


def _languages(data: DataConfig) -> Iterator[str]:
    languages = (data.source_language, data.target_language)
    for name, language in zip(("source", "target"), languages, strict=True):
        if not language.strip():
            yield f"data.{name}_language is blank; give a code, e.g. de or pt-BR"
        elif (code := code_of_name(language)) is not None:
            yield f"data.{name}_language is {shown(language)}: write its code, {code}"
        elif len(language) > _LONGEST_CODE or not _CODE.fullmatch(language):
            yield (
                f"data.{name}_language is {shown(language)}, which is not a language code: write "
                "letters and digits, e.g. de or pt-BR"
            )
    if data.name in (*_EMBEDDED, Corpus.HUGGINGFACE) and languages[0] == languages[1]:
        yield (
            f"data.source_language and data.target_language are both {languages[0]!r}; "
            "choose two languages"
        )
    if data.name in _EMBEDDED and not set(languages) <= {"en", "de"}:
        yield f"data={data.name} has en and de, not {' and '.join(languages)}"


def _splits(data: DataConfig) -> Iterator[str]:
    if not isinstance(data, FilesDataConfig):
        return
    splits = {name: getattr(data, name) for name in SPLITS}
    if not any(_locations(source) for source in splits.values() if source is not None):
        yield (
            "data=files has no text: set data.train.source=FILE data.train.target=FILE, and the "
            "same for data.valid and data.test (or data.test=null); for one file of both sides, "
            "set data.train.path=FILE"
        )
        return
    for name, source in splits.items():
        if source is not None:
            yield from _source(f"data.{name}", source, data)
            if name != "train" and source.weight != 1:
                yield (
                    f"data.{name}.weight is {source.weight}, but only training text has a weight: "
                    "set it to 1"
                )


def _extra(data: DataConfig) -> Iterator[str]:
    known = {field.name for field in dataclasses.fields(SourceConfig)}
    unknown = [
        f"data.extra.{name}.{key} is not a setting of a source; "
        f"choose from {', '.join(sorted(known))}"
        for name, source in data.extra.items()
        if isinstance(source, Mapping)
        for key in set(source) - known
    ]
    yield from unknown
    if unknown:
        return
    try:
        sources = extra_sources(data)
    except UserError as error:
        yield str(error)
        return
    for name, source in sources.items():
        yield from check_ranges(source, f"data.extra.{name}.")
        yield from _source(f"data.extra.{name}", source, data)


def _locations(source: SourceConfig) -> list[str]:
    """Return the kinds of location that a source gives; exactly one is allowed."""
    return [
        *(["source and target"] if (source.source, source.target) != (None, None) else []),
        *(kind for kind in ("path", "dataset", "held_out") if getattr(source, kind) is not None),
    ]


def _source(key: str, source: SourceConfig, data: DataConfig) -> Iterator[str]:
    kinds = _locations(source)
    if source.held_out is not None and key not in ("data.valid", "data.test"):
        yield f"{key}.held_out is for data.valid and data.test: remove it"
        return
    if len(kinds) != 1:
        found = f"both {' and '.join(kinds)}: keep" if kinds else "no text: give"
        ways = f"{key}.source with {key}.target, {key}.path, {key}.dataset"
        none = ", or data.test=null" if key == "data.test" and not kinds else ""
        part = f", or {key}=split for a part of the training text" if key in _SPLIT_OFF else ""
        yield f"{key} has {found} one of {ways}{none}{part}"
        return
    for side, other in (("source", "target"), ("target", "source")):
        if kinds == ["source and target"] and getattr(source, side) is None:
            yield f"{key}.{side} is null, but {key}.{other} is {getattr(source, other)}: set both"
    if source.source is not None and source.source == source.target:
        yield f"{key}.source and {key}.target are the same file, {source.source}"
    yield from _format(key, source, data)
    if source.encoding is not None and not is_encoding(source.encoding):
        yield (
            f"{key}.encoding is {shown(source.encoding)}, which is not an encoding that Python has "
            "for text: write e.g. windows-1252, windows-1250, mac-roman or utf-16"
        )
    yield from _unused(key, source, kinds[0])
    if source.tag is not None and (not source.tag or re.search(r"\s", source.tag)):
        yield f"{key}.tag is {source.tag!r}; it must be tags without spaces, e.g. <2de>"


def _held_out(data: DataConfig) -> Iterator[str]:
    if not isinstance(data, FilesDataConfig):
        return
    held_out = [name for name in ("valid", "test") if _is_held_out(getattr(data, name))]
    for name in SPLITS:
        links = getattr(data.alignments, name)
        if held_out and links is not None and name in ("train", *held_out):
            yield (
                f"data.alignments.{name} is {links}, one line per pair of a file, but "
                f"data.{held_out[0]}=split divides the file: give a separate file, or remove "
                "the word links"
            )


def _documents(data: DataConfig) -> Iterator[str]:
    kinds = {"data": data.documents}
    try:
        extra = {f"data.extra.{name}": source for name, source in extra_sources(data).items()}
    except UserError:
        extra = {}  # reported by another check
    splits = {f"data.{name}": getattr(data, name, None) for name in SPLITS}
    for key, source in {**splits, **extra}.items():
        if isinstance(source, SourceConfig) and source.documents is not None:
            kinds[key] = source.documents
    by_column = [key for key, kind in kinds.items() if kind == Documents.COLUMN]
    if by_column and data.document_column is None:
        yield (
            f"{by_column[0]}.documents=column, but data.document_column is null: name the column "
            "of the documents"
        )
    if data.document_column is not None and not by_column:
        yield (
            f"data.document_column is {data.document_column}, but data.documents is "
            f"{data.documents}: set data.documents=column, or remove data.document_column"
        )
    if set(kinds.values()) == {Documents.NONE} and data.context_sentences:
        yield (
            f"data.context_sentences is {data.context_sentences}, but data.documents=none has no "
            "previous sentences: set data.documents to blank_lines, column or files"
        )
    if data.context_targets > data.context_sentences:
        yield (
            f"data.context_targets is {data.context_targets}, more than data.context_sentences, "
            f"{data.context_sentences}: lower data.context_targets, or raise data.context_sentences"
        )
    links = [name for name in SPLITS if getattr(data.alignments, name) is not None]
    if links and set(kinds.values()) != {Documents.NONE}:
        yield (
            f"data.alignments.{links[0]} cannot be combined with data.documents, because a word "
            "has no index in its document: remove the word links, or set data.documents=none"
        )


def _is_held_out(source: SourceConfig | None) -> bool:
    return source is not None and source.held_out is not None


def _format(key: str, source: SourceConfig, data: DataConfig) -> Iterator[str]:
    if source.path is None:
        return
    if "{lang}" in source.path and data.source_language == data.target_language:
        yield (
            f"{key}.path is {source.path}, one file for both sides: data.source_language and "
            f"data.target_language are both {data.source_language!r}"
        )
    if source.format == Format.LINES and "{lang}" not in source.path:
        yield (
            f"{key}.path is {source.path}, but format=lines has one file per side: write "
            "{lang} in place of the language in their names"
        )


def _unused(key: str, source: SourceConfig, kind: str) -> Iterator[str]:
    """Refuse settings that have no effect on this kind of location."""
    readers = {
        "format": ("path",),
        "encoding": ("path", "source and target"),
        "source_column": ("path", "dataset"),
        "target_column": ("path", "dataset"),
        "subset": ("dataset",),
        "split": ("dataset",),
        "streaming": ("dataset",),
    }
    for name, kinds in readers.items():
        if getattr(source, name) and kind not in kinds:
            yield (
                f"{key}.{name} belongs to {key}.{' or '.join(kinds)}, which is not set: remove "
                f"{key}.{name}"
            )


def _alignments(data: DataConfig) -> Iterator[str]:
    for name in SPLITS:
        links = getattr(data.alignments, name)
        if links is None:
            continue
        if isinstance(data, PhrasebookDataConfig):
            yield (
                f"data.alignments.{name} is {links}, but data=phrasebook has links: remove "
                f"data.alignments.{name}"
            )
        if isinstance(data, FilesDataConfig) and getattr(data, name) is None:
            yield (
                f"data.alignments.{name} is {links}, but data.{name} is null: remove "
                f"data.alignments.{name}"
            )
    links = data.alignments.train
    if links is not None and data.extra:
        yield (
            f"data.alignments.train is {links}: word links cannot be combined with data.extra; "
            "remove one of the two"
        )
    if links is not None and isinstance(data, FilesDataConfig):
        for side in ("source", "target", "path"):
            text = getattr(data.train, side)
            if text is not None and re.search(r"[*?[]", text):
                yield (
                    f"data.alignments.train is {links}, one file, but data.train.{side} is the "
                    f"shards {text}: concatenate them, or remove the word links"
                )


def _gold(data: DataConfig) -> Iterator[str]:
    gold = {name: getattr(data.gold, name) for name in ("source", "target", "links")}
    for name, file in gold.items():
        if file is None and any(gold.values()):
            yield f"data.gold.{name} is null: set data.gold.source, target and links, or none"
