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


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [
        ("zh", "zh"),
        ("zh-Hant", "zh"),
        ("ZH_TW", "zh"),
        ("yue", "zh"),
        ("de", "13a"),
        ("zza", "13a"),
    ],
)
def test_the_words_of_bleu_follow_the_target_language(language: str, tokenizer: str) -> None:
    assert metrics.bleu_tokenizer(language) == tokenizer
    assert metrics.bleu_tokenizer(language, "char") == "char"


@pytest.mark.parametrize(("language", "extra"), [("ja", "ja"), ("ko-KR", "ko")])
def test_a_missing_analyser_is_named_with_its_extra(
    language: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=rf'needs the tokenizer {extra}-mecab: pip install "nmt\['):
        metrics.bleu_tokenizer(language)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert metrics.bleu_tokenizer(language) == f"{extra}-mecab"


def test_chinese_bleu_counts_characters_and_says_so_in_its_signature() -> None:
    translation, reference = ["你好，世界！我在家里。"], ["你好，世界！我在学校里。"]
    assert metrics.bleu(translation, reference).value == 0
    score = metrics.bleu(translation, reference, "zh")
    assert score.value > 30
    assert "tok:zh" in score.signature
