"""The corpora of reports: names of one split alone, headlines and answers that reports support."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from phrasebook import reports

SIZES = {"valid": 20, "test": 60, "train": 300}


def names_in(text: str, names: set[str]) -> set[str]:
    return set(re.findall(r"\w+", text)) & names


def test_no_name_is_in_two_splits() -> None:
    splits, names = reports.generate(SIZES)
    assert {split: len(found) for split, found in splits.items()} == SIZES
    for split, found in splits.items():
        others = set().union(*(names[other] for other in splits if other != split))
        text = " ".join(f"{one.text} {one.headline} {one.question} {one.answer}" for one in found)
        assert not names[split] & others
        assert not names_in(text, others)
        assert names_in(text, names[split])


def test_headlines_and_answers_are_in_the_report() -> None:
    splits, names = reports.generate(SIZES)
    every = set().union(*names.values())
    for one in splits["test"]:
        here = names_in(one.text, every)
        assert names_in(one.headline, every), one
        assert names_in(one.headline, every) <= here
        assert one.answer.removeprefix("the ").lower() in one.text.lower(), one
        numbers = re.findall(r"\d+", one.headline)
        assert set(numbers) <= set(re.findall(r"\d+", one.text))


def test_a_report_has_names_that_its_headline_leaves_out() -> None:
    """So a headline is a choice among names, not all of them."""
    splits, names = reports.generate(SIZES)
    found = splits["train"]
    more = [
        names_in(one.text, names["train"]) > names_in(one.headline, names["train"]) for one in found
    ]
    assert sum(more) > len(found) / 2


def test_files_have_a_line_for_each_report(tmp_path: Path) -> None:
    splits, _ = reports.generate(SIZES)
    assert splits == reports.generate(SIZES)[0], "the corpus depends on more than its seed"
    reports.write(splits, tmp_path)
    for split, count in SIZES.items():
        for name in ("summaries/{}.report", "summaries/{}.headline", "questions/{}.answer"):
            lines = (tmp_path / name.format(split)).read_text(encoding="utf-8").splitlines()
            assert len(lines) == count
        sources = (tmp_path / f"questions/{split}.question").read_text(encoding="utf-8")
        assert sources.splitlines()[0] == f"{splits[split][0].question} {splits[split][0].text}"
