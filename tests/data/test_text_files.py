"""Reading parallel text: line ends, removed characters, refused files."""

import gzip
from pathlib import Path

import pytest

from nmt.data.text_files import read_lines, read_pair, stream_aligned
from nmt.errors import UserError

TEXT = "Eins für alle\n\n  zwei  \n漢字 👍\n"
LINES = ["Eins für alle", "", "  zwei  ", "漢字 👍"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "text.de"


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (TEXT.encode(), LINES),
        (TEXT.rstrip("\n").encode(), LINES),
        (TEXT.replace("\n", "\r\n").encode(), LINES),
        (b"\xef\xbb\xbf" + TEXT.encode(), LINES),
        (
            "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\n".encode(),
            ["a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg"],
        ),
        (b"a\rb\n", ["a\rb"]),
        (b"\n\n", ["", ""]),
        (b"", []),
        (b"a\n\n", ["a", ""]),
    ],
)
def test_only_a_line_feed_ends_a_line(file: Path, content: bytes, lines: list[str]) -> None:
    file.write_bytes(content)
    assert read_lines(file) == lines
    zipped = file.with_name("text.de.gz")
    zipped.write_bytes(gzip.compress(content))
    assert read_lines(zipped) == lines


def test_a_missing_file_is_named(file: Path) -> None:
    with pytest.raises(UserError, match=f"there is no file {file}"):
        read_lines(file)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_the_line_that_is_not_utf_8_is_named(file: Path, number: int) -> None:
    lines = [line.encode() for line in LINES]
    lines[number - 1] = b"f\xfcnf"
    file.write_bytes(b"\n".join(lines))
    with pytest.raises(
        UserError, match=f"{file} is not UTF-8: line {number} contains the byte 0xfc"
    ):
        read_lines(file)


@pytest.mark.parametrize("cut", [3, 15, -4])
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "text.gz"
    file.write_bytes(gzip.compress(TEXT.encode())[:cut])
    with pytest.raises(UserError, match=f"cannot read {file}"):
        read_lines(file)


def test_a_gzip_file_with_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "text.gz"
    content = bytearray(gzip.compress(TEXT.encode()))
    content[-6] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"cannot read {file}"):
        read_lines(file)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"cannot read {tmp_path}"):
        read_lines(tmp_path)


def test_blank_lines_stay_so_that_pairs_stay_pairs(tmp_path: Path) -> None:
    (tmp_path / "en").write_text("one\n\nthree\n")
    (tmp_path / "de").write_text("eins\nzwei\n\n")
    assert read_pair(tmp_path / "en", tmp_path / "de") == (
        ["one", "", "three"],
        ["eins", "zwei", ""],
    )


def test_unequal_numbers_of_lines_are_refused_naming_both(tmp_path: Path) -> None:
    (tmp_path / "en").write_text("one\ntwo\n")
    (tmp_path / "de").write_text("eins\n")
    with pytest.raises(UserError, match=r"en has 2 lines but .*de has 1"):
        read_pair(tmp_path / "en", tmp_path / "de")


@pytest.mark.parametrize("side", ["en", "de"])
@pytest.mark.parametrize("content", ["", "\n", " \n", "\u3000\n"])
def test_a_side_without_text_is_refused(tmp_path: Path, side: str, content: str) -> None:
    for name in ("en", "de"):
        (tmp_path / name).write_text("\n" * content.count("\n"))
    other = {"en": "de", "de": "en"}[side]
    if content:
        (tmp_path / other).write_text("text\n")
    (tmp_path / side).write_text(content, encoding="utf-8")
    empty = side if content else "en"
    with pytest.raises(UserError, match=f"{tmp_path / empty} contains no text"):
        read_pair(tmp_path / "en", tmp_path / "de")


def test_lines_of_several_files_are_read_together_and_lazily(
    tmp_path: Path,
) -> None:
    texts = [b"a\n\nc\n", b"x\r\ny\r\nz", b"1\n2\n\xff\n"]
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, text in zip(paths, texts, strict=True):
        path.write_bytes(text)
    lines = stream_aligned(*paths)
    assert [next(lines), next(lines)] == [("a", "x", "1"), ("", "y", "2")]
    with pytest.raises(UserError, match="line 3 contains the byte 0xff"):
        next(lines)


@pytest.mark.parametrize("long", [0, 1, 2])
def test_a_shorter_file_is_reported_where_it_ends(tmp_path: Path, long: int) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for number, path in enumerate(paths):
        path.write_text("one\n" * (2 + (number == long)))
    lines = stream_aligned(*paths)
    assert [next(lines), next(lines)] == [("one",) * 3] * 2
    with pytest.raises(UserError, match=f"{paths[long]} has a line 3 but .* ends before it"):
        next(lines)
