"""Array files are written row by row and read back unchanged."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.array_file import ArrayWriter, open_array


@given(parts=st.lists(st.lists(st.integers(0, 65_535), max_size=5), max_size=6))
def test_parts_come_back_as_one_array(
    parts: list[list[int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("arrays") / "a.npy"
    with ArrayWriter(file, np.uint16) as writer:
        for part in parts:
            writer.append(np.asarray(part, dtype=np.int64))
    found = open_array(file)
    assert found.dtype == np.uint16
    assert found.tolist() == [number for part in parts for number in part]


def test_rows_may_have_a_shape(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.int32).reshape(6, 2)
    with ArrayWriter(tmp_path / "a.npy", np.int32, (2,)) as writer:
        writer.append(rows[:1])
        writer.append(rows[1:])
    assert (np.load(tmp_path / "a.npy") == rows).all()


def test_rows_stay_on_the_disk(tmp_path: Path) -> None:
    with ArrayWriter(tmp_path / "a.npy", np.int64) as writer:
        writer.append(np.arange(10))
    assert isinstance(open_array(tmp_path / "a.npy"), np.memmap)


def test_a_file_that_is_truncated_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    with ArrayWriter(file, np.int64) as writer:
        writer.append(np.arange(1000))
    content = file.read_bytes()
    for length in (len(content) - 1, 130, 100, 5):
        file.write_bytes(content[:length])
        with pytest.raises((ValueError, OSError, EOFError)):
            open_array(file)


def test_a_writer_that_was_not_closed_left_no_rows(tmp_path: Path) -> None:
    """A killed writer leaves a file without rows."""
    writer = ArrayWriter(tmp_path / "a.npy", np.int64)
    writer.append(np.arange(1000))
    assert len(open_array(tmp_path / "a.npy")) == 0
    writer.close()
    assert len(open_array(tmp_path / "a.npy")) == 1000
