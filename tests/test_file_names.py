"""Names of files: compressions, and the message about a missing file."""

import gzip
from pathlib import Path

import pytest

from nmt.data.text_files import stream_lines
from nmt.errors import UserError
from nmt.file_names import COMPRESSED, no_file, without_compression

FILES = ["train.en.gz", "train.de", "train.zh", "Notes.txt", "test_2016.de"]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("train.en", "train.en.gz"),  # compressed
        ("train.de.xz", "train.de"),  # decompressed since
        ("notes.txt", "Notes.txt"),  # a file system may ignore case, another one does not
        ("test_2106.de", "test_2016.de"),  # a typing error
        ("test_2016.en", None),  # the other language is no suggestion
        ("valid.de", None),
        ("folder.de", None),  # a folder is not a file
    ],
)
def test_a_missing_file_is_reported_with_the_file_that_is_meant(
    asked: str, meant: str | None, tmp_path: Path
) -> None:
    for name in FILES:
        (tmp_path / name).write_text("text\n")
    (tmp_path / "folders.de").mkdir()
    expected = f"there is no file {tmp_path / asked}"
    if meant is not None:
        expected += f"; did you mean {tmp_path / meant}?"
    assert no_file(tmp_path / asked) == expected


def test_readers_name_the_file_that_is_meant(tmp_path: Path) -> None:
    (tmp_path / "train.en.gz").write_bytes(gzip.compress(b"text\n"))
    with pytest.raises(UserError) as refused:
        list(stream_lines(tmp_path / "train.en"))
    assert str(refused.value) == no_file(tmp_path / "train.en")
    assert "did you mean" in str(refused.value)


@pytest.mark.parametrize("folder", ["none", "with\0null"])
def test_a_missing_file_of_a_missing_folder_has_no_suggestion(folder: str, tmp_path: Path) -> None:
    path = tmp_path / folder / "train.en"
    assert no_file(path) == f"there is no file {path}"


def test_a_name_without_its_compression_keeps_its_other_suffixes() -> None:
    for suffix in COMPRESSED:
        assert without_compression(Path(f"a/b.tsv{suffix}")) == Path("a/b.tsv")
        assert without_compression(Path(f"a/b.tsv{suffix.upper()}")) == Path("a/b.tsv")
    assert without_compression(Path("a/b.tsv")) == Path("a/b.tsv")
    assert without_compression(Path("a/.gz")) == Path("a/.gz")  # a hidden file
