"""scripts/search_figures: constraints come from the references, and are checked in the text."""

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import NUMBERS, ZAHLEN

from nmt.decoding.constrained.constraints import Constraints


@pytest.fixture(scope="module")
def figures(load_script: Callable[[str], Any]) -> Any:
    return load_script("search_figures")


@pytest.mark.parametrize(
    ("constraints", "text", "held"),
    [
        (Constraints(prefix="Ein Mann "), "Ein Mann schläft.", True),
        (Constraints(prefix="Ein Mann "), "Ein alter Mann.", False),
        (Constraints(required=("Haus",)), "Das Haus, alt", True),
        (Constraints(required=("Haus",)), "Das Hausboot", False),
        (Constraints(required=("Haus",)), "Das Hochhaus", False),
        (Constraints(required=("Haus", "rot")), "Das Haus", False),
        (Constraints(forbidden=("Haus",)), "Das Haus", False),
        (Constraints(forbidden=("Haus",)), "Das Hausboot", True),
        (Constraints(required=("(a)",)), "ein (a) b", True),
    ],
)
def test_a_constraint_holds_by_whole_words(
    figures: Any, constraints: Constraints, text: str, held: bool
) -> None:
    assert figures.holds(constraints, text) is held


def test_words_are_drawn_from_where_they_must_come(figures: Any) -> None:
    reference, translation = "Ein Mann, der T-Shirts trägt.", "Ein Herr, der Hemden trägt."
    for seed in range(20):
        draw = random.Random(seed)
        required = figures.required_words(reference, 2, draw).required
        assert len(set(required)) == 2
        assert set(required) <= {"Ein", "Mann", "der", "T-Shirts", "trägt"}
        (forbidden,) = figures.forbidden_word(translation, reference, draw).forbidden
        assert forbidden in {"Herr", "Hemden"}
    assert figures.forbidden_word(reference, reference, draw) == Constraints()
    assert figures.required_words("", 2, draw) == Constraints()
    assert figures.first_words("") == Constraints()
    assert figures.first_words("Ein Mann, der").prefix == "Ein Mann, "


@pytest.mark.slow
def test_every_constraint_of_an_untrained_model_is_held(
    figures: Any,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [[(i * k) % 10 for k in (1, 3, 7)] for i in range(8)]
    for side, words in (("source", NUMBERS), ("reference", ZAHLEN)):
        text = "".join(" ".join(words[n] for n in line) + "\n" for line in lines)
        (tmp_path / side).write_text(text)
    texts = [f"--{side}={tmp_path / side}" for side in ("source", "reference")]
    given = [f"--model={run}", f"--member={run}", *texts, "--samples=4", "--constrained=6"]
    monkeypatch.setattr(sys, "argv", ["search_figures", *given])
    figures.main()
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if "beam" in line]
    constrained = {name.strip("| "): held for name, count, held, *_ in rows if count == "6"}
    assert len(constrained) == 4
    assert all(kept == asked for kept, asked in (h.split(" of ") for h in constrained.values()))
    alone, together = (
        next(row[3] for row in rows if part in row[0]) for part in ("alone", "ensemble")
    )
    assert alone == together  # twice the same model
