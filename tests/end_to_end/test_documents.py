"""Models of documents from training to translation: context arrives, and what it is good for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nmt = Callable[..., Any]
Tiny = Callable[[Path], list[str]]

EMBEDDED = Path(__file__).resolve().parents[2] / "data" / "phrasebook_documents"
TRAINED = ["experiment=documents", "training.device=cpu", "logging.samples=0"]


@pytest.fixture
def documents(corpus: Path) -> list[str]:
    """The tiny corpus with a blank line after every third pair."""
    for file in corpus.iterdir():
        lines = file.read_text().splitlines()
        parts = ["".join(f"{x}\n" for x in lines[i : i + 3]) for i in range(0, len(lines), 3)]
        file.write_text("\n".join(parts))
    return ["data.documents=blank_lines", "data.context_sentences=2"]


@pytest.mark.parametrize("targets", [0, 1])
def test_a_run_trains_validates_and_translates_documents(
    targets: int, nmt: Nmt, tiny: Tiny, corpus: Path, documents: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    settings = [*tiny(corpus), *documents, f"data.context_targets={targets}", f"run.dir={run}"]
    result = nmt("train", *settings)
    assert result.status == 0, result.err
    tested = (run / "test.translations.txt").read_text().splitlines()
    assert "<brk>" not in "".join(tested)
    given = (corpus / "test.en").read_text().splitlines()
    assert given.count("") == 1
    for batch_size in (1, 4):
        device = ("--batch-size", batch_size, "--device", "cpu", "--precision", "float32")
        found = nmt("translate", "--model", run, "--input", corpus / "test.en", *device)
        assert found.status == 0, found.err
        lines = found.out.splitlines()
        assert len(lines) == len(given)
        assert lines.pop(given.index("")) == ""
        assert lines == tested


def test_a_model_of_documents_refuses_what_has_none(
    nmt: Nmt,
    refused: Callable[..., str],
    tiny: Tiny,
    corpus: Path,
    documents: list[str],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    assert nmt("train", *tiny(corpus), *documents, f"run.dir={run}").status == 0
    (tmp_path / "page.html").write_text("<p>one two three</p>")
    message = refused("translate", "--model", run, "--input", tmp_path / "page.html")
    assert "data.context_sentences=2" in message
    assert "one sentence a line" in message


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.context_sentences=1"], "data.documents=none has no previous sentences"),
        (["data.documents=column"], "data.document_column is null"),
        (["data.document_column=doc"], "set data.documents=column"),
        (
            ["data.documents=blank_lines", "data.context_targets=1"],
            "more than data.context_sentences",
        ),
        (
            ["data.documents=blank_lines", "data.alignments.train=x"],
            "cannot be combined with data.documents",
        ),
    ],
)
def test_contradictory_settings_are_refused(
    overrides: list[str], message: str, refused: Callable[..., str], tiny: Tiny, corpus: Path
) -> None:
    assert message in refused("train", *tiny(corpus), *overrides)


@pytest.mark.slow
def test_a_pronoun_needs_the_sentence_before_it(nmt: Nmt, tmp_path: Path) -> None:
    """The contrastive set is balanced: one translation in three is right without the context."""
    contrast: list[object] = ["--source", EMBEDDED / "contrastive.en"]
    for name in ("right", "wrong-1", "wrong-2"):
        contrast += ["--target", EMBEDDED / f"contrastive.{name}.de"]
    accuracy = {}
    for context, updates in ((0, 20), (1, 600)):
        run = tmp_path / f"run-{context}"
        settings = [f"data.context_sentences={context}", f"training.max_updates={updates}"]
        result = nmt("train", *TRAINED, *settings, f"run.dir={run}")
        assert result.status == 0, result.err
        found = json.loads(nmt("score", "--model", run, *contrast, "--contrastive", "--json").out)
        assert found["sentences"] == 300
        accuracy[context] = found["accuracy"]
    assert accuracy[0] == pytest.approx(1 / 3, abs=0.01)  # but for ties
    assert accuracy[1] >= 0.95
