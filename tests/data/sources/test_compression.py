"""Compressed files: the original content, or a fault with the damaged position."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import pyarrow
import pytest

from nmt.data.sources.compression import open_binary, read_blocks
from nmt.errors import UserError

CONTENT = b"".join(b"line %d is this one\n" % number for number in range(40_000))


def _zstandard(content: bytes) -> bytes:
    buffer = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(buffer, "zstd") as stream:
        stream.write(content)
    return buffer.getvalue().to_pybytes()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": _zstandard,
}
each = pytest.mark.parametrize("suffix", list(COMPRESS))


@cache
def packed(suffix: str) -> bytes:
    """`CONTENT`, compressed."""
    return COMPRESS[suffix](CONTENT)


@each
def test_compression_round_trips(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text.{suffix}"
    path.write_bytes(packed(suffix))
    assert b"".join(read_blocks(path)) == CONTENT
    with open_binary(path) as file:
        assert file.read(7) == CONTENT[:7]
        assert file.read() == CONTENT[7:]


@each
def test_consecutive_frames_are_one_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text.{suffix.upper()}"
    path.write_bytes(COMPRESS[suffix](b"one\n") + COMPRESS[suffix](b"") + packed(suffix))
    assert b"".join(read_blocks(path)) == b"one\n" + CONTENT


@each
@pytest.mark.parametrize("keep", [0.01, 0.5, 0.99])
def test_a_file_that_is_truncated_is_refused(tmp_path: Path, suffix: str, keep: float) -> None:
    path = tmp_path / f"text.{suffix}"
    whole = packed(suffix)
    path.write_bytes(whole[: max(4, int(keep * len(whole)))])
    with pytest.raises(UserError, match=f"cannot read {path}"):
        list(read_blocks(path))


@each
@pytest.mark.parametrize("second", [b"garbage", b"\1\2\3\4" * 20, "damaged"])
def test_a_damaged_second_frame_is_not_the_end(
    tmp_path: Path, suffix: str, second: bytes | str
) -> None:
    path = tmp_path / f"text.{suffix}"
    first = COMPRESS[suffix](b"one\n")
    if isinstance(second, str):
        second = b"\xff" + COMPRESS[suffix](b"two\n")[1:]
    path.write_bytes(first + second)
    with pytest.raises(UserError, match=f"cannot read {path}"):
        list(read_blocks(path))


def test_content_before_the_damage_is_read_and_the_position_reported(tmp_path: Path) -> None:
    path = tmp_path / "text.bz2"
    path.write_bytes(bz2.compress(CONTENT) + b"garbage")
    blocks: list[bytes] = []
    with pytest.raises(UserError, match=f"{len(CONTENT):,} bytes into its content"):
        blocks.extend(read_blocks(path))
    assert b"".join(blocks) == CONTENT


def test_padding_between_frames_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "text.xz"
    path.write_bytes(lzma.compress(b"one\n") + b"\0" * 8 + lzma.compress(b"two\n") + b"\0" * 4)
    assert b"".join(read_blocks(path)) == b"one\ntwo\n"


@pytest.mark.parametrize("name", ["none.txt", "none.gz", "none.zst"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"there is no file {tmp_path / name}"):
        list(read_blocks(tmp_path / name))


@pytest.mark.parametrize("name", ["folder", "folder.gz", "folder.xz"])
def test_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=f"cannot read {tmp_path / name}: it is a folder"):
        list(read_blocks(tmp_path / name))


@each
@pytest.mark.parametrize(("unit", "frames"), [(b"\0", 1), (b"\n", 1), (b"a\n", 16)])
def test_nothing_is_read_of_a_file_that_expands_as_text_never_does(
    tmp_path: Path, suffix: str, unit: bytes, frames: int
) -> None:
    path = tmp_path / f"text.{suffix}"
    path.write_bytes(COMPRESS[suffix](unit * ((1 << 24) // frames // len(unit))) * frames)
    blocks = read_blocks(path)
    with pytest.raises(UserError, match=r"text\.\w+: its content is more than 200 times as large"):
        next(blocks)


@each
def test_a_part_that_expands_ends_the_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text.{suffix}"
    random = Random(1).randbytes((1 << 17) + (1 << 14))  # more than is examined at first
    path.write_bytes(COMPRESS[suffix](random) + COMPRESS[suffix](bytes(3 << 24)))
    sizes: list[int] = []
    with pytest.raises(UserError, match="times as large"):
        sizes.extend(map(len, read_blocks(path)))
    assert len(random) <= sum(sizes) < path.stat().st_size * 300


@each
def test_a_small_text_may_repeat_itself(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text.{suffix}"
    content = b"The same sentence.\n" * 100_000
    path.write_bytes(COMPRESS[suffix](content))
    assert b"".join(read_blocks(path)) == content
