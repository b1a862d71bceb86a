"""Scores and signatures equal those of the sacrebleu command."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nmt.errors import UserError
from nmt.evaluation import metrics
from nmt.evaluation.metrics import Score

TRANSLATIONS = [
    "Der kleine Hund läuft über die Wiese.",
    "Zwei Männer stehen am Fluss, und warten",
    "",
    "Ein Mädchen isst 3,50 € teures Eis!",
]
REFERENCES = [
    "Der kleine Hund rennt über die grüne Wiese.",
    "Zwei Männer stehen am Fluss und warten.",
    "Niemand ist da.",
    "Ein Mädchen isst Eis für 3,50 €!",
]

Metric = Callable[[Sequence[str], Sequence[str]], Score]


@pytest.mark.parametrize(
    ("metric", "name"), [(metrics.bleu, "bleu"), (metrics.chrf, "chrf"), (metrics.ter, "ter")]
)
def test_scores_equal_those_of_the_sacrebleu_command(
    metric: Metric, name: str, tmp_path: Path
) -> None:
    (tmp_path / "references").write_text("\n".join(REFERENCES) + "\n", encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "sacrebleu", tmp_path / "references"]
        + ["--metrics", name, "--width", "6", "--format", "json"],
        input="\n".join(TRANSLATIONS) + "\n",
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=True,
    )
    expected = json.loads(result.stdout)
    score = metric(TRANSLATIONS, REFERENCES)
    assert score.value == pytest.approx(expected["score"], abs=1e-6)
    assert score.signature == expected["signature"]
    assert 0 < score.value < 100


def test_equal_texts_have_the_best_score() -> None:
    assert metrics.bleu(REFERENCES, REFERENCES).value == pytest.approx(100)
    assert metrics.chrf(REFERENCES, REFERENCES).value == pytest.approx(100)
    assert metrics.ter(REFERENCES, REFERENCES).value == 0


def test_case_and_order_matter() -> None:
    assert metrics.bleu([t.lower() for t in REFERENCES], REFERENCES).value < 99
    assert metrics.bleu(REFERENCES[::-1], REFERENCES).value < 50


@pytest.mark.parametrize("metric", [metrics.bleu, metrics.chrf, metrics.ter])
def test_different_numbers_of_texts_raise(metric: Metric) -> None:
    with pytest.raises(UserError, match="3 translations but 4 references"):
        metric(TRANSLATIONS[:3], REFERENCES)
