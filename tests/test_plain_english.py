"""Idioms that readers stumbled over do not come back into the source, the settings and the docs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(
    [
        *(ROOT / "nmt").rglob("*.py"),
        *(ROOT / "configs").rglob("*.yaml"),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
    ]
)

_COUNTED = "(tokens|pieces|words|sentences|pairs|lines|updates|rows)"
_UNIT = "(second|minute|hour|sentence|batch|update|epoch|row|step)"

# a regular expression, what to write instead, and an example
IDIOMS = [
    (r"\bmend(s|ed|ing)?\b", "fix", "mend the file"),
    (r"\b(is|are|was|were) no numbers?\b", "is not finite", "The loss is no number."),
    (r"\bso many\b", "the number, k or N", "after so many updates"),
    (r"\bgo(es|ing)? on with\b", "continue with, resume", "the run goes on with it"),
    (r"\bnothing to complain\b", "no problems found", "nothing to complain about"),
    (r"\blook(s|ing)? away\b", "does nothing", "this one looks away"),
    (r"\b(anew|afresh)\b", "again, from scratch", "It starts anew."),
    (r"\blearn(s|ed|t)? by heart\b", "memorize", "pairs are learned by heart"),
    (r"\bunder way\b", "while it runs", "a training under way"),
    (r"\bwhile learning\b", "while training", "while learning, units are dropped"),
    (r"\b(is|are|was|were) told\b", "gets, is passed, is configured", "as it is told"),
    (r"\bthe one before\b", "the previous one, the earlier one", "and the one before it"),
    (r"\bwhat is missing to\b", "the difference, 1 - p", "what is missing to 1"),
    (r"\bone may speak\b", "is scored", "begin alike; one may speak"),
    (r"\bnobody reads\b", "is not used", "where nobody reads them"),
    (r"\b(amidst|in the midst)\b", "during, within", "fails in the midst"),
    (rf"\b{_COUNTED} an? {_UNIT}\b", "per", "4,000 tokens a second"),
    (r"\b(sentence|pair|word|text)s? a line\b", "per line", "write one sentence a line"),
    (r"\breads? [^.]{0,30}\bfastest\b", "is fastest for", "as search reads them fastest"),
    (r"\btakes? the place of\b", "replaces", "It takes the place of an attention."),
    (r"\bat hand\b", "available, given", "the kernels of the device at hand"),
    (r"\bdrop (it|one)\b", "remove", "choose that or drop it"),
    (r"\bother way round\b", "or the reverse, in words", "it reads none, or the other way round"),
]


@pytest.mark.parametrize(("idiom", "instead"), [row[:2] for row in IDIOMS])
def test_no_file_contains_the_idiom(idiom: str, instead: str) -> None:
    pattern = re.compile(idiom, re.IGNORECASE)
    found = [
        f"{file.relative_to(ROOT)}, line {number}: {line.strip()}"
        for file in FILES
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, f"write: {instead}\n" + "\n".join(found)


@pytest.mark.parametrize(("idiom", "example"), [(row[0], row[2]) for row in IDIOMS])
def test_the_expression_matches_its_example(idiom: str, example: str) -> None:
    assert re.search(idiom, example, re.IGNORECASE)


def test_every_kind_of_file_is_read() -> None:
    assert {file.suffix for file in FILES} == {".py", ".yaml", ".md"}
    assert len(FILES) > 200
