"""From settings to sources: exactly one existing source, or a message with the reason."""

import glob
import gzip
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.config.source_settings import SourceConfig
from nmt.data.sources.file_patterns import find_files
from nmt.data.sources.open_source import open_source, read_all
from nmt.errors import UserError

Read = Callable[..., Any]

LANGUAGES = ("en", "de")


def _open(**settings: Any) -> Any:
    return open_source(SourceConfig(**settings), LANGUAGES, "data.train")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the same two pairs in many files."""
    (tmp_path / "text.en").write_text("a\nb\n")
    (tmp_path / "text.de").write_text("A\nB\n")
    (tmp_path / "text.de.gz").write_bytes(gzip.compress(b"A\nB\n"))
    (tmp_path / "text.tsv").write_text("en\tde\na\tA\nb\tB\n")
    (tmp_path / "text.CSV").write_text("de,en\nA,a\nB,b\n")
    (tmp_path / "other").write_text("en\tde\na\tA\nb\tB\n")
    rows = "".join(json.dumps({"en": s, "de": s.upper()}) + "\n" for s in "ab")
    (tmp_path / "text.jsonl.gz").write_bytes(gzip.compress(rows.encode()))
    return tmp_path


@pytest.mark.parametrize(
    "settings",
    [
        {"source": "text.en", "target": "text.de"},
        {"source": "text.en", "target": "text.de.gz"},
        {"path": "text.{lang}"},
        {"path": "text.tsv"},
        {"path": "*.tsv"},
        {"path": "text.CSV"},
        {"path": "other", "format": "tsv"},
        {"path": "text.jsonl.gz"},
    ],
)
def test_every_way_to_name_the_same_pairs(folder: Path, settings: dict[str, str]) -> None:
    paths = ("source", "target", "path")
    inside = {k: str(folder / v) if k in paths else v for k, v in settings.items()}
    source = _open(**inside)
    assert read_all(source) == (["a", "b"], ["A", "B"])
    again = pickle.loads(pickle.dumps(source))  # it is sent to worker processes
    assert read_all(again) == (["a", "b"], ["A", "B"])
    assert again.fingerprint() == source.fingerprint()
    assert str(folder) in source.name


def test_swapping_the_languages_swaps_the_sides(folder: Path) -> None:
    for path in ("text.{lang}", "text.tsv", "text.jsonl.gz"):
        source = open_source(SourceConfig(path=str(folder / path)), ("de", "en"), "data.train")
        assert read_all(source) == (["A", "B"], ["a", "b"])


def test_a_tilde_is_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert read_all(_open(path="~/text.tsv")) == (["a", "b"], ["A", "B"])


def test_what_is_read_at_once_is_cleaned(folder: Path) -> None:
    (folder / "text.en").write_bytes(b"\xef\xbb\xbfa\r\n b\rc\r\n")
    assert read_all(_open(path=str(folder / "text.{lang}"))) == (["a", " b c"], ["A", "B"])


def test_shards_are_matched_by_their_wildcards(tmp_path: Path, read: Read) -> None:
    names = ["a", "a.b", "b"]  # sorted by whole names, a.aa and a.b.aa would be exchanged
    for name in names:
        (tmp_path / f"{name}.aa").write_text(f"{name}\n")
        (tmp_path / f"{name}.zz").write_text(f"{name}\n")
    source = open_source(SourceConfig(path=str(tmp_path / "*.{lang}")), ("aa", "zz"), "data.train")
    assert read(source).pairs == [(name, name) for name in names]
    (tmp_path / "b.zz").rename(tmp_path / "c.zz")
    with pytest.raises(UserError, match=r"are not the same: .*b\.aa would be paired with .*c\.zz"):
        open_source(SourceConfig(path=str(tmp_path / "*.{lang}")), ("aa", "zz"), "data.train")
    (tmp_path / "c.zz").unlink()
    with pytest.raises(UserError, match=r"matches 3 files but .* 2: .*; .*b\.aa has none"):
        open_source(SourceConfig(path=str(tmp_path / "*.{lang}")), ("aa", "zz"), "data.train")


def test_shards_of_different_patterns_are_matched_by_order(tmp_path: Path, read: Read) -> None:
    for side, names in (("en", ("1", "2")), ("de", ("x7", "x9"))):
        (tmp_path / side).mkdir()
        for number, name in enumerate(names):
            (tmp_path / side / name).write_text(f"{number}\n")
    source = _open(source=str(tmp_path / "en" / "*"), target=str(tmp_path / "de" / "x[79]"))
    assert read(source).pairs == [("0", "0"), ("1", "1")]


def test_files_in_folders_below_and_names_with_brackets(tmp_path: Path, read: Read) -> None:
    for name in ("b/2.tsv", "a/c/1.tsv", "0.tsv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"en\tde\n{name}\t{name}\n")
    found = [source for source, _ in read(_open(path=str(tmp_path / "**" / "*.tsv"))).pairs]
    assert found == ["0.tsv", "a/c/1.tsv", "b/2.tsv"]
    (tmp_path / "[1].tsv").write_text("en\tde\na\tb\n")
    assert read(_open(path=str(tmp_path / "[1].tsv"))).pairs == [("a", "b")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "data.train names no text: set either data.train.source and data.train.target, or"),
        ({"path": "x", "dataset": "y"}, "names several texts"),
        ({"source": "x", "path": "y"}, "names several texts"),
        ({"source": "text.en"}, "data.train.target is null"),
        ({"target": "text.de"}, "data.train.source is null"),
        ({"path": "x" * 300 + ".tsv"}, "cannot read x+.tsv: File name too long"),
        ({"source": "text.en", "target": "none.de"}, "data.train.target=none.de: there is no file"),
        ({"path": "none.tsv"}, "data.train.path=none.tsv: there is no file none.tsv"),
        ({"path": "none*.tsv"}, r"data.train.path=none\*.tsv matches no file"),
        ({"path": "none.{lang}"}, "there is no file none.en"),
        ({"path": "folder"}, "data.train.path=folder: folder is a folder"),
        ({"source": "folder", "target": "text.de"}, "folder is a folder"),
        ({"path": "/dev/null", "format": "tsv"}, "not a regular file"),
        (
            {"path": "text.de"},
            "has the suffix .de, so its format is unknown: set data.train.format",
        ),
        (
            {"path": "other"},
            "has no suffix, so its format is unknown: .* tsv, csv, jsonl, parquet, ",
        ),
        ({"path": "text.tsv", "format": "excel"}, "data.train.format is 'excel'; it must be one"),
        ({"path": "text.en", "format": "lines"}, "format=lines needs one file per language"),
        ({"path": "text.{lang}", "format": "csv"}, "remove {lang}"),
        ({"path": "text.{lang}.tsv"}, "but tsv has both sides"),
        ({"path": "text.*"}, "has the suffix|several formats"),
        ({"source": "text.en", "target": "./text.en"}, "are the same file, text.en"),
        ({"source": "text.en", "target": "link"}, "source and data.train.target are the same file"),
        ({"source": "text.en", "target": "text.de", "format": "csv"}, "set data.train.path"),
        ({"path": "text.{lang}", "source_column": "en"}, "source_column=en has no meaning for two"),
        ({"path": "text.tsv", "split": "dev"}, "data.train.split=dev has no meaning for tsv"),
        ({"path": "text.tsv", "streaming": True}, "data.train.streaming=True has no meaning"),
        ({"dataset": "x", "format": "tsv"}, "data.train.format=tsv has no meaning for a dataset"),
        ({"path": "text.tsv", "source_column": "1"}, "both as numbers, or both as names"),
        (
            {"path": "text.tsv", "source_column": "0", "target_column": "1"},
            "columns are counted from 1",
        ),
        ({"path": "text.tsv", "source_column": "de"}, "are the same column, 'de'"),
        (
            {"path": "text.jsonl.gz", "source_column": "1", "target_column": "2"},
            "JSON keys have names, not numbers",
        ),
        ({"path": "text.tsv", "tag": "two words"}, "data.train.tag is 'two words'; it must be one"),
        ({"path": "text.tsv", "tag": " "}, "it must be one word"),
        ({"path": "text.parquet.gz"}, "compressed twice"),
    ],
)
def test_invalid_settings_are_refused_with_a_message(
    folder: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(folder)
    (folder / "folder").mkdir()
    (folder / "link").symlink_to("text.en")
    (folder / "text.parquet.gz").touch()
    with pytest.raises(UserError, match=message):
        _open(**settings)


def test_a_language_to_itself_from_one_pattern_is_refused(folder: Path) -> None:
    config = SourceConfig(path=str(folder / "text.{lang}"))
    with pytest.raises(UserError, match=r"data\.train\.path makes the same file, .*text\.en"):
        open_source(config, ("en", "en"), "data.train")


def test_a_tag_is_added_before_every_text_that_is_not_blank(tmp_path: Path, read: Read) -> None:
    (tmp_path / "x.en").write_bytes("\ufeffa\r\n\n \nb".encode())
    (tmp_path / "x.de").write_text("A\nB\nC\nD")
    path = str(tmp_path / "x.{lang}")
    tagged, plain = _open(path=path, tag="<bt>"), _open(path=path)
    assert read(tagged).pairs == read(plain).pairs  # filters ignore the tag
    assert {chunk.tag for chunk in tagged.chunks(2)} == {"<bt>"}
    assert read_all(tagged)[0] == ["<bt> a", "", " ", "<bt> b"]
    assert tagged.name == plain.name
    prints = {source.fingerprint() for source in (tagged, plain, _open(path=path, tag="<2de>"))}
    assert len(prints) == 3


def test_the_fingerprint_depends_on_the_way_of_reading(tmp_path: Path) -> None:
    table = "en\tde\tfr\na\tb\tc\n"
    for name in ("one.tsv", "two.tsv"):
        (tmp_path / name).write_text(table)
    one, two = (str(tmp_path / name) for name in ("one.tsv", "two.tsv"))
    by_number = {"source_column": "1", "target_column": "2"}
    assert _open(path=one).fingerprint() == _open(path=two).fingerprint()
    sources = [
        _open(path=one),
        _open(path=one, **by_number),
        _open(path=one, target_column="fr"),
        _open(path=one, format="csv"),
        open_source(SourceConfig(path=one), ("de", "en"), "data.train"),
        open_source(SourceConfig(path=one), ("en", "fr"), "data.train"),
    ]
    # A column named by its setting or by the target language is read the same way.
    assert len({source.fingerprint() for source in sources}) >= len(sources) - 1


def test_several_files_of_one_format_follow_each_other(tmp_path: Path, read: Read) -> None:
    for number in range(3):
        (tmp_path / f"{number}.tsv").write_text(f"en\tde\n{number}\t{number}\n")
    source = _open(path=str(tmp_path / "*.tsv"))
    assert read(source).pairs == [(str(n), str(n)) for n in range(3)]
    assert source.name == f"{tmp_path / '0.tsv'} and 2 more"
    assert [chunk.source_file for chunk in source.chunks(9)] == [
        str(tmp_path / f"{n}.tsv") for n in range(3)
    ]


@pytest.mark.parametrize("pattern", ["**/*.tsv", "./**/*.tsv", "**/**/*.tsv", "**", "a/../**"])
def test_links_that_loop_are_followed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "x.tsv").touch()
    (tmp_path / "y.tsv").touch()
    for name in range(5):
        (folder / f"up{name}").symlink_to(tmp_path, target_is_directory=True)
        (tmp_path / "a" / f"again{name}").symlink_to(folder, target_is_directory=True)
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    monkeypatch.chdir(tmp_path)
    found = [path for path in find_files(pattern, "data.train.path") if path.suffix == ".tsv"]
    assert sorted(path.resolve() for path in found) == [folder / "x.tsv", tmp_path / "y.tsv"]


def test_two_stars_match_what_glob_matches(tmp_path: Path) -> None:
    for name in ("x.en", "a/x.en", "a/b/x.en", "a/b/c.en/x.en", ".hidden/x.en", "a/.x.en"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for pattern in ("**/x.en", "a/**/x.en", "**/b/**/x.en", "**/b/*.en/*", "*/**/x.en"):
        expected = sorted(set(glob.glob(f"{tmp_path}/{pattern}", recursive=True)))
        assert sorted(map(str, find_files(f"{tmp_path}/{pattern}", "x"))) == expected


@pytest.mark.parametrize("name", ["a\0b.tsv", "a\ud800b.tsv", "a\0*.tsv", "\ud800/**"])
def test_names_that_no_file_can_have_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="which no file name can contain"):
        open_source(SourceConfig(path=name), ("en", "de"), "data.train")
    with pytest.raises(UserError, match="which no file name can contain"):
        open_source(SourceConfig(source=name, target="x"), ("en", "de"), "data.train")
