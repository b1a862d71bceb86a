"""Two text files: any lines stay paired, and every fault has a location."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.data.sources.encodings import UNDECODED
from nmt.data.sources.line_pairs import LinePairs
from nmt.data.sources.pair_source import PairChunk
from nmt.data.sources.text_lines import LONGEST, line_batches
from nmt.errors import UserError

Read = Callable[..., Any]


@pytest.fixture
def pairs_of(tmp_path: Path) -> Callable[..., LinePairs]:
    """Writes two files and returns a source that reads them."""

    def make(source: bytes, target: bytes, suffix: str = "") -> LinePairs:
        paths = tmp_path / f"text.en{suffix}", tmp_path / f"text.de{suffix}"
        for path, content in zip(paths, (source, target), strict=True):
            path.write_bytes(gzip.compress(content) if suffix else content)
        return LinePairs([paths[0]], [paths[1]])

    return make


@pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
def test_chunks_of_any_size_hold_all_pairs_in_order(
    pairs_of: Callable[..., LinePairs], read: Read, size: int
) -> None:
    source = pairs_of(b"a\nb\n\nd", "ä\nö\nü\n\n".encode())
    reading = read(source, size)
    assert reading.pairs == [("a", "ä"), ("b", "ö"), ("", "ü"), ("d", "")]
    assert reading.lines == [1, 2, 3, 4]
    assert set(reading.sizes[:-1]) <= {size}
    assert not reading.faults


def test_text_is_unchanged(pairs_of: Callable[..., LinePairs], read: Read) -> None:
    source = "\ufeffa\u2028b\r\nc\x0bd\x85\n"
    reading = read(pairs_of(source.encode(), b"x\r\r\ny\n"))
    assert reading.pairs == [("\ufeffa\u2028b\r", "x\r\r"), ("c\x0bd\x85", "y")]


def test_only_the_line_that_is_not_utf_8_is_replaced_and_reported(
    pairs_of: Callable[..., LinePairs], read: Read, tmp_path: Path
) -> None:
    source = pairs_of(b"a\nb\nc\nd\n", b"A\nf\xfcnf\nC\n\xc3\n")
    reading = read(source, 2)
    assert reading.pairs == [("a", "A"), ("b", f"f{UNDECODED}nf"), ("c", "C"), ("d", UNDECODED)]
    assert [(f.rule, f.file, f.line) for f in reading.faults] == [
        ("not_utf8", str(tmp_path / "text.de"), 2),
        ("not_utf8", str(tmp_path / "text.de"), 4),
    ]
    with pytest.raises(UserError, match=r"line 2 contains the byte 0xfc.*iconv"):
        list(source.chunks(10))


@pytest.mark.parametrize("counts", [(5, 3), (3, 5), (3, 40_000), (40_000, 3)])
def test_unequal_numbers_of_lines_are_reported_after_the_pairs(
    pairs_of: Callable[..., LinePairs], read: Read, counts: tuple[int, int]
) -> None:
    source = pairs_of(b"a\n" * counts[0], b"b\n" * counts[1])
    reading = read(source, 2)
    assert reading.pairs == [("a", "b")] * 3
    assert reading.rules == ["unequal_lines"]
    assert f"text.en has {counts[0]:,} lines but " in reading.faults[0].message
    assert f"text.de has {counts[1]:,}" in reading.faults[0].message
    chunks: list[PairChunk] = []
    with pytest.raises(UserError, match="find the line that is missing or doubled"):
        chunks.extend(source.chunks(2))
    assert [text for chunk in chunks for text in chunk.sources] == ["a"] * 3


@pytest.mark.parametrize("content", [b"", b"\n", b" \n\xe3\x80\x80\n", b"\xef\xbb\xbf", b"\r\n"])
def test_a_side_without_text_is_reported(
    pairs_of: Callable[..., LinePairs], read: Read, content: bytes
) -> None:
    reading = read(pairs_of(b"a\nb\n", content))
    assert reading.rules == ["no_text"]
    assert reading.faults[0].message.endswith("text.de contains no text")
    both = read(pairs_of(content, content))
    assert both.rules == ["no_text", "no_text"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_byte_order_mark_names_the_encoding(
    pairs_of: Callable[..., LinePairs], read: Read, encoding: str
) -> None:
    lines = [f"Grüße {n}" for n in range(9)]
    reading = read(pairs_of(b"a\n" * 9, "\n".join(lines).encode(encoding)))
    assert [target.strip("\ufeff") for _, target in reading.pairs] == lines
    assert [(fault.rule, fault.kind) for fault in reading.faults] == [("read_as", "note")]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_mark_is_reported_once(
    pairs_of: Callable[..., LinePairs], read: Read, encoding: str
) -> None:
    reading = read(pairs_of(b"a\n" * 9, ("Wie geht es?\n" * 9).encode(encoding)))
    assert reading.pairs == []
    assert reading.rules == ["utf16"]
    assert f"looks like {encoding.upper()}" in reading.faults[0].message
    iconv = encoding.upper().replace("6-", "6")
    assert f"iconv -f {iconv} -t UTF-8" in reading.faults[0].message


def test_a_file_that_is_truncated_ends_with_its_last_complete_line(
    pairs_of: Callable[..., LinePairs], read: Read, tmp_path: Path
) -> None:
    lines = [f"sentence {number} {number**7}" for number in range(30_000)]
    content = "".join(f"{line}\n" for line in lines).encode()
    source = pairs_of(content, content, ".gz")
    whole = (tmp_path / "text.de.gz").read_bytes()
    (tmp_path / "text.de.gz").write_bytes(whole[: len(whole) // 2])
    reading = read(source, 1000)
    assert reading.rules == ["unreadable"]
    count = len(reading.pairs)
    assert 1000 < count < 29_000
    assert reading.pairs == [(line, line) for line in lines[:count]]
    assert reading.faults[0].line == count + 1
    assert f"after line {count:,}" in reading.faults[0].message


def test_a_missing_file_is_reported_once(tmp_path: Path, read: Read) -> None:
    (tmp_path / "en").write_text("a\n")
    reading = read(LinePairs([tmp_path / "en"], [tmp_path / "de"]))
    assert reading.rules == ["missing_file"]
    assert reading.faults[0].message == f"there is no file {tmp_path / 'de'}"


def test_shards_follow_each_other_and_faults_name_theirs(tmp_path: Path, read: Read) -> None:
    sources, targets = ([tmp_path / f"{n}.{side}" for n in range(3)] for side in ("en", "de"))
    for number, (source, target) in enumerate(zip(sources, targets, strict=True)):
        source.write_text("".join(f"{number}{letter}\n" for letter in "abcd"))
        target.write_text("".join(f"{number}{letter}\n" for letter in "ABCD"[: 3 + number % 2]))
    reading = read(LinePairs(sources, targets), 3)
    assert [s.lower() for s, _ in reading.pairs] == [t.lower() for _, t in reading.pairs]
    assert len(reading.pairs) == 3 + 4 + 3
    assert [(f.rule, f.file, f.line) for f in reading.faults] == [
        ("unequal_lines", str(targets[0]), 4),
        ("unequal_lines", str(targets[2]), 4),
    ]


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.data.sources.text_lines.LONGEST", 1 << 20)
    assert LONGEST > 1 << 20
    path = tmp_path / "text"
    path.write_bytes(b"a\n" + b"x" * (3 << 20))
    faults = []
    assert list(line_batches(path, faults.append)) == [["a"]]
    assert [(fault.rule, fault.line) for fault in faults] == [("long_line", 2)]


def test_the_fingerprint_is_of_content_and_order_not_of_names(tmp_path: Path) -> None:
    names = ("a.en", "b.en", "a.de", "b.de", "copy.x", "copy.y")
    contents = (b"one\n", b"two\n", b"eins\n", b"zwei\n", b"one\n", b"eins\n")
    a_en, b_en, a_de, b_de, x, y = (tmp_path / name for name in names)
    for path, content in zip((a_en, b_en, a_de, b_de, x, y), contents, strict=True):
        path.write_bytes(content)
    two = LinePairs([a_en, b_en], [a_de, b_de]).fingerprint()
    assert two == LinePairs([x, b_en], [y, b_de]).fingerprint()
    others = [
        LinePairs([b_en, a_en], [b_de, a_de]),
        LinePairs([a_de, b_de], [a_en, b_en]),
        LinePairs([a_en], [a_de]),
        LinePairs([a_en, a_de], [b_en, b_de]),
    ]
    assert len({two, *(other.fingerprint() for other in others)}) == 5
    x.write_bytes(b"one \n")
    assert two != LinePairs([x, b_en], [y, b_de]).fingerprint()
    x.unlink()
    with pytest.raises(UserError, match=f"there is no file {x}"):
        LinePairs([x], [y]).fingerprint()


def test_reading_twice_gives_the_same_pairs(pairs_of: Callable[..., LinePairs], read: Read) -> None:
    source = pairs_of(b"a\nb\n", b"c\nd\n", ".gz")
    assert read(source).pairs == read(source).pairs == [("a", "c"), ("b", "d")]
