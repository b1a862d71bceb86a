"""A cache folder is made once; it is complete or absent."""

import multiprocessing
import time
from pathlib import Path

import pytest

from nmt.data.preparation.cache import made_once
from nmt.errors import UserError


def _ignore() -> None:
    pass


def test_a_created_entry_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "key"
    with made_once(folder, _ignore) as partial:
        assert partial is not None
        (partial / "file").write_text("content")
        assert not folder.exists()
    assert (folder / "file").read_text() == "content"
    with made_once(folder, _ignore) as partial:
        assert partial is None


@pytest.mark.parametrize("kind", [UserError, KeyboardInterrupt, ValueError])
def test_a_failed_creation_leaves_no_folder(tmp_path: Path, kind: type[BaseException]) -> None:
    folder = tmp_path / "key"

    def fail() -> None:
        with made_once(folder, _ignore) as partial:
            assert partial is not None
            (partial / "file").write_text("half")
            raise kind("no")

    with pytest.raises(kind):
        fail()
    assert [file.name for file in tmp_path.iterdir() if file.suffix != ".lock"] == []


def test_the_incomplete_folder_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".partial-key"
    left.mkdir()
    (left / "half").write_text("half")
    with made_once(tmp_path / "key", _ignore) as partial:
        assert partial is not None
        assert not list(partial.iterdir())
    assert not left.exists()


def _make(folder: Path, made: Path) -> None:
    with made_once(folder, lambda: (made / "waited").touch()) as partial:
        if partial is not None:
            with (made / "times").open("a") as file:
                file.write("x")
            while not (made / "waited").exists():  # until the other process waits
                time.sleep(0.01)
            (partial / "file").write_text("content")
    assert (folder / "file").read_text() == "content"


def test_only_one_of_two_processes_creates_an_entry(tmp_path: Path) -> None:
    folder, made = tmp_path / "key", tmp_path / "made"
    made.mkdir()
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_make, args=(folder, made)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert (made / "times").read_text() == "x"


def test_a_cache_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with (
        pytest.raises(UserError, match=r"cannot write the cache .*file.*data\.cache_dir=FOLDER"),
        made_once(tmp_path / "file" / "key", _ignore),
    ):
        pass


def test_remains_of_killed_processes_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".partial-killed").mkdir()
    (tmp_path / ".partial-killed" / "half").write_text("half")
    with made_once(tmp_path / "under way", _ignore) as busy:
        assert busy is not None
        with made_once(tmp_path / "key", _ignore):
            assert busy.is_dir()
    assert not list(tmp_path.glob(".partial-*"))
