"""Ranges and combinations of the ``data`` section."""

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping

from nmt.config.data import (
    SPLITS,
    DataConfig,
    FilesDataConfig,
    FiltersConfig,
    PhrasebookDataConfig,
    SourceConfig,
)
from nmt.config.plain import extra_sources
from nmt.config.ranges import Fault, at_least, one_of, positive
from nmt.errors import UserError

FORMATS = ("lines", "tsv", "csv", "jsonl", "parquet", "tmx", "xliff", "po")


def check_data(data: DataConfig) -> Iterator[Fault]:
    """Yield what is wrong with the settings of the corpus."""
    yield from at_least("data.max_length", data.max_length, 1)
    yield from _languages(data)
    yield from _preparation(data)
    yield from _filters(data.filters)
    yield from _splits(data)
    yield from _extra(data)
    yield from _alignments(data)
    yield from _gold(data)


def _languages(data: DataConfig) -> Iterator[Fault]:
    languages = (data.source_language, data.target_language)
    for name, language in zip(("source", "target"), languages, strict=True):
        if not language.strip():
            yield f"data.{name}_language is blank; give a code, as de or pt-BR"
    if data.name in ("phrasebook", "huggingface") and languages[0] == languages[1]:
        yield f"data.source_language and data.target_language are both {languages[0]!r}"
    if data.name == "phrasebook" and not set(languages) <= {"en", "de"}:
        yield f"data=phrasebook holds en and de, not {' and '.join(languages)}"


def _preparation(data: DataConfig) -> Iterator[Fault]:
    if not 1 <= data.temperature < math.inf:
        yield f"data.temperature is {data.temperature}; it must be a number, 1 or more"
    yield from one_of("data.on_doubt", data.on_doubt, "stop", "warn")
    if data.dropped is not None and not data.dropped.endswith((".tsv", ".tsv.gz")):
        yield f"data.dropped is {data.dropped}; the file's name must end in .tsv or .tsv.gz"
    if data.shuffle_buffer is not None:
        yield from at_least("data.shuffle_buffer", data.shuffle_buffer, 1)
    if data.workers is not None:
        yield from at_least("data.workers", data.workers, 1)
    yield from at_least("data.loader_workers", data.loader_workers, 0)


def _filters(filters: FiltersConfig) -> Iterator[Fault]:
    if filters.max_words is not None:
        yield from at_least("data.filters.max_words", filters.max_words, 1)
    if filters.max_ratio is not None and not 1 <= filters.max_ratio < math.inf:
        yield (
            f"data.filters.max_ratio is {filters.max_ratio}; the longer side has at least 1 times "
            "the characters of the shorter"
        )
    duplicates = ("keep", "exact", "normalized")
    yield from one_of("data.filters.duplicates", filters.duplicates, *duplicates)
    if filters.language is not None and not 0 < filters.language < 1:
        yield f"data.filters.language is {filters.language}; it must be between 0 and 1, or null"


def _splits(data: DataConfig) -> Iterator[Fault]:
    if not isinstance(data, FilesDataConfig):
        return
    splits = {name: getattr(data, name) for name in SPLITS}
    if not any(_kinds(source) for source in splits.values() if source is not None):
        yield (
            "data=files has no text: set data.train.source=FILE data.train.target=FILE, and so "
            "for data.valid and data.test (or data.test=null); one file of both sides is "
            "data.train.path=FILE"
        )
        return
    for name, source in splits.items():
        if source is not None:
            yield from _source(f"data.{name}", source, data)
            if name != "train" and source.weight != 1:
                yield f"data.{name}.weight is {source.weight}, but only training text is weighted"


def _extra(data: DataConfig) -> Iterator[Fault]:
    known = {field.name for field in dataclasses.fields(SourceConfig)}
    unknown = [
        f"data.extra.{name}.{key} is no setting of a source; choose from {', '.join(sorted(known))}"
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
        yield from _source(f"data.extra.{name}", source, data)


def _kinds(source: SourceConfig) -> list[str]:
    """Return in which of the three ways it is said where the pairs are."""
    return [
        *(["source and target"] if (source.source, source.target) != (None, None) else []),
        *(kind for kind in ("path", "dataset") if getattr(source, kind) is not None),
    ]


def _source(key: str, source: SourceConfig, data: DataConfig) -> Iterator[Fault]:
    kinds = _kinds(source)
    if len(kinds) != 1:
        found = f"both {' and '.join(kinds)}: keep" if kinds else "no text: give"
        ways = f"{key}.source with {key}.target, {key}.path, {key}.dataset"
        none = ", or data.test=null" if key == "data.test" and not kinds else ""
        yield f"{key} has {found} one of {ways}{none}"
        return
    for side, other in (("source", "target"), ("target", "source")):
        if kinds == ["source and target"] and getattr(source, side) is None:
            yield f"{key}.{side} is null, but {key}.{other} is {getattr(source, other)}: set both"
    if source.source is not None and source.source == source.target:
        yield f"{key}.source and {key}.target are the same file, {source.source}"
    yield from _format(key, source, data)
    yield from _unused(key, source, kinds[0])
    if source.tag is not None and (not source.tag or re.search(r"\s", source.tag)):
        yield f"{key}.tag is {source.tag!r}; it must be a tag or several without spaces, as <2de>"
    yield from positive(f"{key}.weight", source.weight)


def _format(key: str, source: SourceConfig, data: DataConfig) -> Iterator[Fault]:
    if source.format is not None:
        yield from one_of(f"{key}.format", source.format, *FORMATS)
    if source.path is None:
        return
    if "{lang}" in source.path and data.source_language == data.target_language:
        yield (
            f"{key}.path is {source.path}, one file for both sides: data.source_language and "
            f"data.target_language are both {data.source_language!r}"
        )
    if source.format == "lines" and "{lang}" not in source.path:
        yield (
            f"{key}.path is {source.path}, but format=lines has a file a side: write {{lang}} "
            "where the language stands in their names"
        )


def _unused(key: str, source: SourceConfig, kind: str) -> Iterator[Fault]:
    """A setting that nothing would read is a mistake."""
    readers = {
        "format": ("path",),
        "source_column": ("path", "dataset"),
        "target_column": ("path", "dataset"),
        "subset": ("dataset",),
        "split": ("dataset",),
        "streaming": ("dataset",),
    }
    for name, kinds in readers.items():
        if getattr(source, name) and kind not in kinds:
            yield f"{key}.{name} belongs to {key}.{' or '.join(kinds)}, which is not given: drop it"


def _alignments(data: DataConfig) -> Iterator[Fault]:
    for name in SPLITS:
        links = getattr(data.alignments, name)
        if links is None:
            continue
        if isinstance(data, PhrasebookDataConfig):
            yield f"data.alignments.{name} is {links}, but data=phrasebook brings its own"
        if isinstance(data, FilesDataConfig) and getattr(data, name) is None:
            yield f"data.alignments.{name} is {links}, but data.{name} is null"
    links = data.alignments.train
    if links is not None and data.extra:
        yield f"data.alignments.train is {links}: word links cannot go with data.extra; drop one"
    if links is not None and isinstance(data, FilesDataConfig):
        for side in ("source", "target", "path"):
            text = getattr(data.train, side)
            if text is not None and re.search(r"[*?[]", text):
                yield (
                    f"data.alignments.train is {links}, one file, but data.train.{side} is the "
                    f"shards {text}: join them, or drop the word links"
                )


def _gold(data: DataConfig) -> Iterator[Fault]:
    gold = {name: getattr(data.gold, name) for name in ("source", "target", "links")}
    for name, file in gold.items():
        if file is None and any(gold.values()):
            yield f"data.gold.{name} is null: give data.gold its source, target and links, or none"
