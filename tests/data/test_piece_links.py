"""Word links become piece links, and distributions over source pieces in a batch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nmt.data.batches.batch import collate, collate_pairs
from nmt.data.corpus import ParallelText
from nmt.data.encoded import EncodedCorpus
from nmt.data.piece_links import LinkWriter, PieceLinks, dense_links, project
from nmt.data.word_links import parse_links

# "Haus boot" as ▁Haus ▁bo ot, "house boat" as ▁hou se ▁boat
GERMAN, ENGLISH = [0, 1, 1], [0, 0, 1]


def of(*pairs: list[tuple[int, int]]) -> PieceLinks:
    offsets = np.cumsum([0, *(len(pair) for pair in pairs)])
    flat = [link for pair in pairs for link in pair]
    return PieceLinks(np.array(flat, dtype=np.int32).reshape(-1, 2), offsets)


@pytest.mark.parametrize(
    ("words", "pieces"),
    [
        ("0-0 1-1", [(0, 0), (0, 1), (1, 2), (2, 2)]),
        ("1-0", [(1, 0), (1, 1), (2, 0), (2, 1)]),
        ("0-0 0-1", [(0, 0), (0, 1), (0, 2)]),
        ("0p0 1-1", [(1, 2), (2, 2)]),  # only sure links are used
        ("", []),
    ],
)
def test_every_piece_of_a_word_is_linked_with_every_piece_of_the_other(
    words: str, pieces: list[tuple[int, int]]
) -> None:
    assert project(parse_links(words), GERMAN, ENGLISH).tolist() == [list(p) for p in pieces]


def test_a_word_without_pieces_has_no_links() -> None:
    assert project(parse_links("0-0 1-2 7-1"), [0, 0], [0, 2]).tolist() == [[0, 0], [1, 0]]
    assert project(parse_links("0-0"), [], [0]).shape == (0, 2)


class Tokenizers:
    """Splits words into pieces of two characters."""

    def encode_words(self, sentence: str) -> tuple[list[int], list[int]]:
        words = [i for i, word in enumerate(sentence.split()) for _ in word[::2]]
        return [4] * len(words), words

    source = target = property(lambda self: self)


def test_the_links_of_a_text_are_those_of_its_pairs() -> None:
    text = ParallelText(
        ["ab cde", "a", "a b"],
        ["abc d", "b", "a b"],
        [parse_links("0-0 1-1"), parse_links(""), parse_links("0-1 1-0")],
    )
    links = PieceLinks.of_text(Tokenizers(), text)  # type: ignore[arg-type]
    assert len(links) == 3
    assert links[0].tolist() == [[0, 0], [0, 1], [1, 2], [2, 2]]
    assert links[1].tolist() == []
    assert links[2].tolist() == [[0, 1], [1, 0]]


def test_links_come_back_from_a_file(tmp_path: Path) -> None:
    links = of([(0, 1)], [], [(2, 0), (3, 3)])
    with LinkWriter(tmp_path / "train") as writer:
        writer.append(links.keep(np.array([0, 1])))
        writer.append(links.keep(np.array([2])))
    again = PieceLinks.load(tmp_path / "train")
    assert [again[i].tolist() for i in range(3)] == [links[i].tolist() for i in range(3)]
    assert isinstance(again.links, np.memmap)


def test_links_follow_their_pairs_when_others_are_dropped() -> None:
    links = of([(0, 0)], [], [(1, 0)], [(0, 0), (0, 1)])
    kept = links.keep(np.array([0, 3]))
    assert [kept[i].tolist() for i in range(2)] == [[[0, 0]], [[0, 0], [0, 1]]]


def test_a_target_piece_shares_its_row_among_its_source_pieces() -> None:
    dense = dense_links([of([(0, 0), (2, 0), (1, 2)])[0], of([])[0]], 4, 3)
    expected = np.zeros((2, 4, 3))
    expected[0, 0] = (0.5, 0, 0.5)
    expected[0, 2] = (0, 1, 0)
    np.testing.assert_array_equal(dense, expected)
    assert dense.dtype == np.float32


def test_eos_and_pads_of_a_batch_have_no_links(
    corpus_of: Callable[..., EncodedCorpus],
) -> None:
    pairs: Any = [([4, 5], [4]), ([4], [4, 5, 6]), ([4], [4])]
    corpus = replace(corpus_of(pairs), links=of([(1, 0)], [(0, 0), (0, 2)], [(0, 0)]))
    batch = collate_pairs(corpus, np.array([1, 0]))
    assert batch.alignment is not None
    assert batch.alignment.shape == (*batch.target_output_ids.shape, batch.source_ids.size(1))
    assert batch.alignment.nonzero().tolist() == [[0, 0, 0], [0, 2, 0], [1, 0, 1]]
    assert batch.alignment.dtype == torch.float32
    moved = batch.to(torch.device("meta")).alignment
    assert moved is not None
    assert moved.device.type == "meta"


def test_a_batch_of_pairs_without_links_has_none() -> None:
    assert collate([[4]], [[5]]).alignment is None
    assert collate([[4]], [[5]]).to(torch.device("cpu")).alignment is None
