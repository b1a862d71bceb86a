"""Zip archives: the two files of a Moses download, or one table."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.config.source_settings import SourceConfig
from nmt.data.sources.open_source import open_source
from nmt.data_check.file_languages import languages_of_files
from nmt.errors import UserError

MOSES = {
    "README": "Corpus: X",
    "LICENSE": "CC",
    "X.de-en.en": "a dog\na cat\n",
    "X.de-en.de": "ein Hund\neine Katze\n",
    "X.de-en.xml": "<x/>",
    "X.de-en.ids": "1\n2\n",
}


def _zip(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def _open(path: Path, languages: tuple[str, str] = ("en", "de"), **settings: Any) -> Any:
    return open_source(SourceConfig(path=str(path), **settings), languages, "data.train")


@pytest.mark.parametrize("folder", ["", "corpus/"])
def test_a_moses_download_is_read_in_both_directions(
    tmp_path: Path, read: Callable[..., Any], folder: str
) -> None:
    files = {f"{folder}{name}": text for name, text in MOSES.items()}
    path = _zip(tmp_path / "de-en.txt.zip", files)
    reading = read(_open(path))
    assert reading.pairs == [("a dog", "ein Hund"), ("a cat", "eine Katze")]
    assert not reading.faults
    assert read(_open(path, ("de", "en"))).pairs[0] == ("ein Hund", "a dog")
    assert _open(path).fingerprint() == _open(path).fingerprint()
    assert languages_of_files([str(path)], (None, None)) == ("de", "en")


def test_faults_name_the_file_in_the_archive(tmp_path: Path, read: Callable[..., Any]) -> None:
    path = _zip(tmp_path / "x.zip", {**MOSES, "X.de-en.de": "ein Hund\n"})
    assert f"{path}/X.de-en.de has 1" in read(_open(path)).faults[0].message
    content = bytearray(_zip(path, {"a.en": "dog " * 999, "a.de": "Hund " * 999}).read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    assert read(_open(path)).rules == ["unreadable"]


def test_a_zipped_table_is_read(tmp_path: Path, read: Callable[..., Any]) -> None:
    path = _zip(tmp_path / "sheet.zip", {"sheet.csv": "en;de\na;b\n"})
    assert read(_open(path)).pairs == [("a", "b")]
    tmx = (
        '<tmx><body><tu><tuv xml:lang="en"><seg>a</seg></tuv>'
        '<tuv xml:lang="de"><seg>b</seg></tuv></tu></body></tmx>'
    )
    assert read(_open(_zip(path, {"m.tmx": tmx}))).pairs == [("a", "b")]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.en": "x", "a.fr": "y"}, "it contains a.en, a.fr"),
        ({"a.en": "x", "b.en": "x", "a.de": "y"}, "several files of a language, a.en, b.en"),
        ({}, "it contains no text"),
    ],
)
def test_other_archives_are_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        _open(_zip(tmp_path / "x.zip", files))
    (tmp_path / "x.zip").write_bytes(b"no archive")
    with pytest.raises(UserError, match="x.zip: File is not a zip file; download it again"):
        _open(tmp_path / "x.zip")


def test_an_entry_that_expands_as_text_never_does_is_refused(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    path = _zip(tmp_path / "x.zip", {"a.en": "a\n" * (1 << 23), "a.de": "b\n"})
    reading = read(_open(path))
    assert reading.rules == ["unreadable"]
    assert "a.en: its content is more than 200 times as large" in reading.faults[0].message
    assert not reading.pairs
