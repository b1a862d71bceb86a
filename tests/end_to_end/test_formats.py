"""Every format trains the same model: the storage of a corpus does not change the result."""

import bz2
import csv
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow
import pyarrow.parquet
import pytest

from nmt.reporting.metric_log import read_metrics

Nmt = Callable[..., Any]
Tiny = Callable[[Path], list[str]]
Pairs = list[tuple[str, str]]
Writer = Callable[[Path, str, Pairs], str]
"""Writes a split into a folder and returns what data.<split>.path (or .dataset) is to be."""


def _lines(pairs: Pairs, side: int) -> bytes:
    return "".join(f"{pair[side]}\n" for pair in pairs).encode()


def _by_language(compress: Callable[[bytes], bytes], suffix: str) -> Writer:
    def write(folder: Path, split: str, pairs: Pairs) -> str:
        for side, language in enumerate(("en", "de")):
            content = compress(_lines(pairs, side))
            (folder / f"{split}.{language}{suffix}").write_bytes(content)
        return str(folder / f"{split}.{{lang}}{suffix}")

    return write


def _shards(folder: Path, split: str, pairs: Pairs) -> str:
    for number, start in enumerate(range(0, len(pairs), 7)):
        part = pairs[start : start + 7]
        for side, language in enumerate(("en", "de")):
            (folder / f"{split}-{number:03}.{language}").write_bytes(_lines(part, side))
    return str(folder / f"{split}-*.{{lang}}")


def _zstandard(content: bytes) -> bytes:
    return pyarrow.compress(content, codec="zstd", asbytes=True)


def _tsv(folder: Path, split: str, pairs: Pairs) -> str:
    rows = [("de", "en"), *((target, source) for source, target in pairs)]
    (folder / f"{split}.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    return str(folder / f"{split}.tsv")


def _csv(folder: Path, split: str, pairs: Pairs) -> str:
    with (folder / f"{split}.csv").open("w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([("id", "en", "de"), *((i, *pair) for i, pair in enumerate(pairs))])
    return str(folder / f"{split}.csv")


def _json_lines(folder: Path, split: str, pairs: Pairs) -> str:
    rows = [{"translation": {"en": source, "de": target}} for source, target in pairs]
    (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / f"{split}.jsonl")


def _parquet(folder: Path, split: str, pairs: Pairs) -> str:
    columns = {"en": [source for source, _ in pairs], "de": [target for _, target in pairs]}
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / f"{split}.parquet")
    return str(folder / f"{split}.parquet")


def _tmx(folder: Path, split: str, pairs: Pairs) -> str:
    units = "".join(
        f'<tu><tuv xml:lang="en-GB"><seg>{escape(source)}</seg></tuv>'
        f'<tuv xml:lang="DE"><seg>{escape(target)}</seg></tuv></tu>'
        for source, target in pairs
    )
    header = '<header srclang="en" datatype="plaintext" segtype="sentence" adminlang="en"/>'
    text = f'<?xml version="1.0"?><tmx version="1.4">{header}<body>{units}</body></tmx>'
    (folder / f"{split}.tmx").write_text(text)
    return str(folder / f"{split}.tmx")


def _xliff(folder: Path, split: str, pairs: Pairs) -> str:
    units = "".join(
        f'<trans-unit id="{i}"><source>{escape(source)}</source>'
        f"<target>{escape(target)}</target></trans-unit>"
        for i, (source, target) in enumerate(pairs)
    )
    (folder / f"{split}.xlf").write_text(
        '<?xml version="1.0"?><xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">'
        '<file original="a" source-language="en" target-language="de" datatype="plaintext">'
        f"<body>{units}</body></file></xliff>"
    )
    return str(folder / f"{split}.xlf")


def _po(folder: Path, split: str, pairs: Pairs) -> str:
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    # With a context each, because a catalogue must not contain the same message twice.
    units = "\n".join(
        f"msgctxt {json.dumps(str(i))}\nmsgid {json.dumps(source, ensure_ascii=False)}\n"
        f"msgstr {json.dumps(target, ensure_ascii=False)}\n"
        for i, (source, target) in enumerate(pairs)
    )
    (folder / f"{split}.po").write_text(head + units)
    return str(folder / f"{split}.po")


FORMATS: dict[str, Writer] = {
    "gz": _by_language(gzip.compress, ".gz"),
    "bz2": _by_language(bz2.compress, ".bz2"),
    "xz": _by_language(lzma.compress, ".xz"),
    "zst": _by_language(_zstandard, ".zst"),
    "shards": _shards,
    "tsv": _tsv,
    "csv": _csv,
    "jsonl": _json_lines,
    "parquet": _parquet,
    "tmx": _tmx,
    "xliff": _xliff,
    "po": _po,
}


@pytest.fixture
def losses(nmt: Nmt, tiny: Tiny, tmp_path: Path) -> Callable[..., list[float]]:
    """Train a few updates and return the loss of each."""

    def train(name: str, corpus: Path, *overrides: str) -> list[float]:
        settings = [o for o in tiny(corpus) if not o.startswith("data")]
        result = nmt(
            "train",
            *settings,
            *("data.source_language=en", "data.target_language=de", *overrides),
            *("logging.log_every=1", f"run.dir={tmp_path / name}"),
        )
        assert result.status == 0, result.err
        return [
            row["train/loss"]
            for row in read_metrics(tmp_path / name / "metrics.jsonl")
            if "train/loss" in row
        ]

    return train


def _pairs(corpus: Path, split: str) -> Pairs:
    sides = ((corpus / f"{split}.{language}").read_text().splitlines() for language in ("en", "de"))
    return list(zip(*sides, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_trains_the_same_model_as_plain_text(
    name: str, losses: Callable[..., list[float]], corpus: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "stored"
    folder.mkdir()
    paths = {s: FORMATS[name](folder, s, _pairs(corpus, s)) for s in ("train", "valid", "test")}
    plain = {s: str(corpus / f"{s}.{{lang}}") for s in paths}
    found, expected = (
        losses(run, corpus, "data=files", *(f"data.{s}.path={path}" for s, path in named.items()))
        for run, named in (("stored-run", paths), ("plain-run", plain))
    )
    assert len(found) >= 2
    assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [False, True])
def test_a_local_dataset_trains_the_same_model_as_plain_text(
    streaming: bool,
    losses: Callable[..., list[float]],
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    folder = tmp_path / "dataset"
    folder.mkdir()
    for split, name in (("train", "train"), ("valid", "validation"), ("test", "test")):
        _parquet(folder, name, _pairs(corpus, split))
    dataset = (
        "data=huggingface",
        f"data.path={folder}",
        f"data.streaming={str(streaming).lower()}",
    )
    plain = (f"data.{s}.path={corpus / s}.{{lang}}" for s in ("train", "valid", "test"))
    found = losses("dataset-run", corpus, *dataset)
    assert len(found) >= 2
    assert found == losses("plain-run", corpus, "data=files", *plain)
