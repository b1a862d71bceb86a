"""Properties of the embedded documents, of their contrastive test set and of their generator."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
CORPUS = REPO / "data" / "phrasebook_documents"
sys.path.insert(0, str(REPO / "scripts"))

from phrasebook.documents import CONTRASTS, DOCUMENTS, generate, write  # noqa: E402

TARGETS = ("right.de", "wrong-1.de", "wrong-2.de")
PRONOUNS = ({"er", "sie", "es"}, {"ihn", "sie", "es"})
Document = tuple[tuple[str, str], ...]


def _documents(stem: str, target: str = "de") -> list[Document]:
    sides = [(CORPUS / f"{stem}.{x}").read_text(encoding="utf-8") for x in ("en", target)]
    parts = [[one.splitlines() for one in side.split("\n\n")] for side in sides]
    return [tuple(zip(*both, strict=True)) for both in zip(*parts, strict=True)]


def test_the_generator_writes_the_committed_bytes(tmp_path: Path) -> None:
    write(*generate(), tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in CORPUS.glob("*.[de][en]")}


def test_the_splits_have_whole_documents_that_are_not_in_the_training_text() -> None:
    splits = {split: _documents(split) for split in DOCUMENTS}
    assert {split: len(found) for split, found in splits.items()} == DOCUMENTS
    assert {len(one) for one in splits["train"]} == {2, 4}
    topics = {
        split: {one[i : i + 2] for one in found for i in range(0, len(one), 2)}
        for split, found in splits.items()
    }
    for split in ("valid", "test"):
        assert not topics[split] & topics["train"]
    assert not set(_documents("contrastive", "right.de")) & topics["train"]


@pytest.fixture(scope="module")
def contrasts() -> list[tuple[Document, ...]]:
    columns = [_documents("contrastive", target) for target in TARGETS]
    return list(zip(*columns, strict=True))


def test_right_and_wrong_translations_differ_in_one_pronoun(
    contrasts: list[tuple[Document, ...]],
) -> None:
    for right, *wrong in contrasts:
        assert len(right) == 2
        assert all(other[0] == right[0] for other in wrong)
        words = [one[1][1].rstrip(".?!").lower().split() for one in (right, *wrong)]
        assert len(set(map(len, words))) == 1
        differing = [column for column in zip(*words, strict=True) if len(set(column)) > 1]
        assert len(differing) == 1
        assert set(differing[0]) in PRONOUNS


def test_a_second_sentence_alone_does_not_tell_which_translation_is_right(
    contrasts: list[tuple[Document, ...]],
) -> None:
    """Each English sentence has each of its three translations as the right one equally often."""
    right: dict[str, Counter[str]] = {}
    for first, *_ in contrasts:
        right.setdefault(first[1][0], Counter())[first[1][1]] += 1
    assert sum(map(len, right.values())) == 3 * len(right)
    assert all(len(set(counts.values())) == 1 for counts in right.values())
    assert sum(sum(counts.values()) for counts in right.values()) == 3 * CONTRASTS


def test_the_first_sentence_tells_which_pronoun_is_right(
    contrasts: list[tuple[Document, ...]],
) -> None:
    """No two documents with the same source have different right translations."""
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    for first, *_ in contrasts:
        source, target = (tuple(pair[side] for pair in first) for side in (0, 1))
        assert known.setdefault(source, target) == target
