"""An unfinished run resumes when the same text, by content, stands at another path."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_an_unfinished_run_resumes_with_moved_text_only(
    nmt: Call,
    refused: Callable[..., str],
    corpus: Path,
    tiny: Callable[[Path], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    run = ["run.dir=~/run", "training.save_every=1"]
    result = nmt("train", *tiny(corpus), *run)
    assert result.status == 0, result.err
    assert (tmp_path / "run" / "summary.json").exists()
    assert not Path("~").exists()
    (tmp_path / "run" / "summary.json").unlink()  # as if it had been killed before the end
    more = [*run, "training.max_updates=3"]
    moved = tmp_path / "moved"
    shutil.move(corpus, moved)
    for name, change in (("train.de", "neun"), ("valid.en", "two")):
        before = (moved / name).read_text()
        first, rest = before.split("\n", 1)
        (moved / name).write_text(f"{' '.join([change] * len(first.split()))}\n{rest}")
        message = refused("train", *tiny(moved), *more, after_progress=True)
        assert "the text has changed" in message
        (moved / name).write_text(before)
    result = nmt("train", *tiny(moved), *more)
    assert result.status == 0, result.err
    assert "resuming after update 2" in result.err
    message = refused("train", *tiny(corpus), *more, after_progress=True)  # it is finished now
    assert "data.train.source was" in message


def test_an_unwritable_run_folder_is_refused_before_the_corpus_is_prepared(
    refused: Callable[..., str], corpus: Path, tiny: Callable[[Path], list[str]]
) -> None:
    message = refused("train", *tiny(corpus), f"run.dir={corpus / 'train.en' / 'run'}")
    assert "cannot write the run folder" in message or "cannot read the run folder" in message
