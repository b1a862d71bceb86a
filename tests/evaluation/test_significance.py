"""Confidence intervals and paired tests equal those of the sacrebleu command, to the last digit."""

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nmt.errors import UserError
from nmt.evaluation import resampling
from nmt.evaluation.metrics import MetricName, ScoreOptions, corpus_score
from nmt.evaluation.significance import PairedTestName, paired_scores

ALL = tuple(MetricName)
_NAMES = {"BLEU": "bleu", "chrF2": "chrf", "chrF2++": "chrf++", "TER": "ter"}


def _noisy(lines: list[str], share: float, seed: int) -> list[str]:
    """Exchange a share of the words for others of the text."""
    draw = random.Random(seed)
    words = [word for line in lines for word in line.split()]
    return [
        " ".join(draw.choice(words) if draw.random() < share else word for word in line.split())
        for line in lines
    ]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Two references, and three systems of which two are equally good."""
    vocabulary = ("der", "die", "Hund", "Haus", "Mann", "geht", "sieht", "auf", "in", "Garten")
    draw = random.Random(1)
    reference = [" ".join(draw.choices(vocabulary, k=draw.randint(3, 12))) + "." for _ in range(60)]
    return {
        "reference": reference,
        "reference2": _noisy(reference, 0.2, 2),
        "good": _noisy(reference, 0.3, 3),
        "equal": _noisy(reference, 0.3, 4),
        "bad": _noisy(reference, 0.8, 5),
    }


def _sacrebleu(folder: Path, texts: dict[str, list[str]], *arguments: str) -> str:
    """Run the command on files named as the texts are."""
    for name, lines in texts.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "sacrebleu", *arguments, "--width", "12"],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=True,
    )
    return result.stdout


def _single(folder: Path, texts: dict[str, list[str]], *arguments: str) -> list[dict[str, Any]]:
    """Return what the command prints of one system."""
    found = json.loads(_sacrebleu(folder, texts, *arguments, "--format", "json"))
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize("references", [["reference"], ["reference", "reference2"]])
def test_the_confidence_of_one_system_is_that_of_the_command(
    texts: dict[str, list[str]], references: list[str], tmp_path: Path
) -> None:
    command = [*references, "-i", "good", "-m", "bleu", "chrf", "ter", "-ci"]
    expected = _single(tmp_path, texts, *command)
    expected += _single(tmp_path, texts, *command[:-4], "chrf", "-ci", "-cw", "2")
    assert {one["name"] for one in expected} == set(_NAMES)
    for one in expected:
        score = corpus_score(
            MetricName(_NAMES[one["name"]]),
            texts["good"],
            [texts[name] for name in references],
            ScoreOptions(resamples=1000),
        )
        assert score.value == pytest.approx(one["score"], abs=1e-11)
        assert score.mean == pytest.approx(one["confidence_mean"], abs=1e-11)
        assert score.interval == pytest.approx(one["confidence_var"], abs=1e-11)
        assert score.signature == one["signature"]


@pytest.mark.parametrize(
    ("test", "flag"),
    [(PairedTestName.BOOTSTRAP, "--paired-bs"), (PairedTestName.RANDOMIZATION, "--paired-ar")],
)
def test_paired_tests_are_those_of_the_command(
    texts: dict[str, list[str]], test: PairedTestName, flag: str, tmp_path: Path
) -> None:
    systems = ["good", "equal", "bad"]
    metrics = [MetricName.BLEU, MetricName.CHRF]
    command = ["reference", "-i", *systems, "-m", "bleu", "chrf", flag, "--no-color"]
    table = _sacrebleu(tmp_path, texts, *command, "--format", "latex")
    rows = [line for line in table.splitlines() if "&" in line][1:]
    found = paired_scores(
        {name: texts[name] for name in systems}, [texts["reference"]], metrics, test
    )
    assert len(rows) == len(systems)
    for number, row in enumerate(rows):
        for metric, cell in zip(metrics, row.split("&")[1:], strict=True):
            score = found[metric].scores[number]
            values = [score.value]
            if test is PairedTestName.BOOTSTRAP:
                values += [score.mean, score.interval]
            if number:
                values.append(score.p_value)
            expected = [float(digits) for digits in re.findall(r"\d+\.\d+", cell)]
            assert values[:-1] == pytest.approx(expected[:-1], abs=1e-11)
            assert values[-1] == pytest.approx(expected[-1], abs=5.1e-5)  # of p, 4 digits
    bleu = found[MetricName.BLEU].scores
    assert [score.significant for score in bleu] == [False, False, True]


def test_the_number_of_resamples_at_once_changes_no_score(
    texts: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long texts are resampled in blocks; sacreBLEU draws all resamples at once."""

    def score() -> object:
        options = ScoreOptions(resamples=50)
        return corpus_score(MetricName.CHRF, texts["good"], [texts["reference"]], options)

    whole = score()
    monkeypatch.setattr(resampling, "_BLOCK", 7 * len(texts["good"]))
    assert score() == whole


def test_resamples_of_which_some_score_0_have_a_mean() -> None:
    """sacreBLEU itself fails to average them."""
    texts = ["zwei Hunde laufen", "ja"] + [""] * 6
    score = corpus_score(
        MetricName.CHRF,
        texts,
        [["zwei Hunde laufen", "ja", *["nein"] * 6]],
        ScoreOptions(resamples=200),
    )
    assert score.mean is not None
    assert score.interval is not None
    assert 0 < score.mean < 100
    assert score.interval > 0
    assert "bs:200" in score.signature


def test_a_wrong_seed_of_the_environment_is_refused_for_one_system(
    texts: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SACREBLEU_SEED", "1.5")
    with pytest.raises(UserError, match=r"SACREBLEU_SEED is 1\.5; give a whole number"):
        corpus_score(
            MetricName.BLEU, texts["good"], [texts["reference"]], ScoreOptions(resamples=10)
        )


def test_the_seed_of_the_environment_is_used(
    texts: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def compared() -> object:
        systems = {name: texts[name] for name in ("good", "bad")}
        test = PairedTestName.BOOTSTRAP
        return paired_scores(systems, [texts["reference"]], [MetricName.BLEU], test)

    first = compared()
    monkeypatch.setenv("SACREBLEU_SEED", "7")
    assert compared() != first
    monkeypatch.setenv("SACREBLEU_SEED", "seven")
    with pytest.raises(UserError, match="SACREBLEU_SEED is seven; give a whole number"):
        compared()


@pytest.mark.parametrize("language", ["zh", "ja-mecab", "ko-mecab"])
def test_text_without_spaces_is_scored_as_the_command_does(language: str, tmp_path: Path) -> None:
    package = {"ja-mecab": "MeCab", "ko-mecab": "mecab_ko"}.get(language, "sacrebleu")
    pytest.importorskip(package, reason="needs the extra ja or ko")
    text = {
        "zh": ("我在家里看书。", "我在学校里看书，很高兴。"),
        "ja-mecab": ("私は家で本を読みます。", "私は学校で本を読みます。"),
        "ko-mecab": ("나는 집에서 책을 읽는다.", "나는 학교에서 책을 읽는다."),
    }[language]
    texts = {"output": [text[0]] * 3, "reference": [text[1], text[0], text[1]]}
    (expected,) = _single(
        tmp_path, texts, "reference", "-i", "output", "-m", "bleu", "-tok", language, "-ci"
    )
    score = corpus_score(
        MetricName.BLEU, texts["output"], [texts["reference"]], ScoreOptions(language, 1000)
    )
    assert score.value == pytest.approx(expected["score"], abs=1e-11)
    assert score.interval == pytest.approx(expected["confidence_var"], abs=1e-11)
    assert score.signature == expected["signature"]
