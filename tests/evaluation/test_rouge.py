"""ROUGE is that of the package rouge-score; exact match counts equal lines."""

from typing import Any

import pytest

from nmt.errors import UserError
from nmt.evaluation.rouge import KINDS, exact_match, rouge

FOUND = ["Storm hits Arlo", "bridge at Ode closed today", "nothing", "The TEAM of Ula won!"]
FIRST = ["storm reaches Arlo", "bridge at Ode closed", "all is well", "The team of Ula won"]
SECOND = ["a storm hits Arlo", "the closed bridge at Ode", "", "Ula won"]


@pytest.fixture
def installed() -> Any:
    pytest.importorskip("rouge_score", reason="needs the extra rouge")
    from rouge_score import rouge_scorer

    return rouge_scorer.RougeScorer(list(KINDS))


def test_scores_are_the_means_of_the_package(installed: Any) -> None:
    scores = rouge(FOUND, [FIRST])
    for kind in KINDS:
        each = [installed.score(a, b)[kind].fmeasure for a, b in zip(FIRST, FOUND, strict=True)]
        assert scores.values[kind] == pytest.approx(100 * sum(each) / len(each))
    assert scores.values["rouge1"] > scores.values["rouge2"] > 0
    assert "nrefs:1" in scores.signature


def test_the_best_of_several_references_counts(installed: Any) -> None:
    scores = rouge(FOUND, [FIRST, SECOND])
    for kind in KINDS:
        rows = zip(FIRST, SECOND, FOUND, strict=True)
        best = [max(installed.score(r, f)[kind].fmeasure for r in known) for *known, f in rows]
        assert scores.values[kind] == pytest.approx(100 * sum(best) / len(best))


def test_a_script_without_words_is_refused(installed: Any) -> None:
    with pytest.raises(UserError, match="letters a to z"):
        rouge(["привет"], [["привет"]])


def test_exact_match_is_the_share_of_equal_lines() -> None:
    assert exact_match([" a b", "A b", "c"], [["a b", "a b", "d"]]) == pytest.approx(100 / 3)
    assert exact_match(["c"], [["d"], ["c "]]) == 100
    with pytest.raises(UserError, match="1 translations but 2 references"):
        exact_match(["c"], [["c", "d"]])
