"""A guided run, from a file of links to the alignment error in its summary."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.evaluation.attention.alignment_extractor import GUIDED_THRESHOLD
from nmt.reporting.metric_log import read_metrics

Nmt = Callable[..., Any]
Tiny = Callable[[Path], list[str]]

UPDATES = 80
GUIDED = ["training.guided_alignment.weight=2", "optimizer.learning_rate=0.02"]


@pytest.fixture
def aligned(corpus: Path) -> Path:
    """The tiny corpus, word i of one side linked with word i of the other."""
    for split in ("train", "valid", "test"):
        pairs = len((corpus / f"{split}.en").read_text().splitlines())
        (corpus / f"{split}.align").write_text("0-0 1-1 2-2\n" * pairs)
    return corpus


@pytest.fixture
def train(nmt: Nmt, aligned: Path, tiny: Tiny, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Train with overrides into the folder `run` and return its summary."""

    def call(*overrides: str) -> dict[str, Any]:
        result = nmt("train", *tiny(aligned), f"run.dir={tmp_path / 'run'}", *overrides)
        assert result.status == 0, result.err
        summary: dict[str, Any] = json.loads((tmp_path / "run" / "summary.json").read_text())
        return summary

    return call


def test_a_guided_run_learns_its_links_and_reports_on_the_test_split(
    train: Callable[..., dict[str, Any]], aligned: Path, tmp_path: Path
) -> None:
    links = [f"data.alignments.{split}={aligned / split}.align" for split in ("train", "test")]
    budget = [f"training.max_updates={UPDATES}", "logging.log_every=20", "training.coverage_loss=1"]
    alignment = train(*GUIDED, *links, *budget)["alignment"]
    assert (alignment["set"], alignment["sentences"]) == ("test", 5)
    reading = {"layer": 1, "head": 1, "shift": False, "threshold": GUIDED_THRESHOLD}
    assert alignment["reading"] == reading
    assert alignment["aer"] < 0.1
    assert min(alignment["precision"], alignment["recall"]) > 0.9
    metrics = read_metrics(tmp_path / "run" / "metrics.jsonl")
    curves = {
        name: [line[name] for line in metrics if name in line]
        for name in ("train/guided_alignment_loss", "train/coverage_loss")
    }
    assert all(len(curve) == UPDATES // 20 for curve in curves.values())
    assert curves["train/guided_alignment_loss"][-1] < curves["train/guided_alignment_loss"][0]


def test_a_separate_gold_set_is_reported_on(
    train: Callable[..., dict[str, Any]], aligned: Path
) -> None:
    (aligned / "gold.align").write_text("0-0\n" * 5)
    gold = {"source": "valid.en", "target": "valid.de", "links": "gold.align"}
    summary = train(*(f"data.gold.{key}={aligned / file}" for key, file in gold.items()))
    assert summary["alignment"]["set"] == "gold"
    assert summary["alignment"]["recall"] in {n / 5 for n in range(6)}


def test_a_run_without_links_has_no_alignment_error(train: Callable[..., dict[str, Any]]) -> None:
    assert "alignment" not in train()
