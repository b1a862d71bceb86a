"""Validation and test from the training text: sizes, no shared sentence, the same both ways."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config.data import FilesDataConfig
from nmt.config.source_settings import SourceConfig
from nmt.data.corpus import open_corpus, split_sources
from nmt.data.held_out import PARTS, HeldOut, divide
from nmt.data.sources.open_source import read_all
from nmt.errors import UserError
from nmt.sweeps.overrides import compose_config

Pair = tuple[str, str]


def _sheet(path: Path, pairs: Sequence[Pair]) -> Path:
    path.write_text("".join(f"{s}\t{t}\n" for s, t in [("en", "de"), *pairs]))
    return path


def _parts(path: Path, languages: Pair = ("en", "de"), **changes: Any) -> dict[str, list[Pair]]:
    sizes = {"valid": 0.0, "test": 0.0} | changes
    data = FilesDataConfig(
        source_language=languages[0],
        target_language=languages[1],
        train=SourceConfig(path=str(path)),
        valid=SourceConfig(held_out=sizes.pop("valid")),
        test=SourceConfig(held_out=sizes.pop("test")),
        **sizes,
    )
    return {
        part: list(zip(*read_all(source), strict=True))
        for part, source in split_sources(data).items()
    }


def _pairs(count: int) -> list[Pair]:
    """Pairs of which one in ten shares a sentence with another one."""
    draw = random.Random(3)
    pairs = [(f"a {n}", f"A {n}") for n in range(count)]
    for n in range(0, count, 10):
        other = pairs[draw.randrange(count)]
        pairs[n] = (pairs[n][0], other[1]) if n % 20 else (other[0].upper(), pairs[n][1])
    return pairs


def test_no_sentence_is_in_two_parts_and_the_sizes_are_as_asked(tmp_path: Path) -> None:
    pairs = _pairs(1000)
    parts = _parts(_sheet(tmp_path / "x.tsv", pairs), valid=100.0, test=0.05)
    assert {part: len(found) for part, found in parts.items()} == {
        "train": 850,
        "valid": 100,
        "test": 50,
    }
    assert sorted(pair for found in parts.values() for pair in found) == sorted(pairs)
    for side in (0, 1):
        sentences = [{pair[side].casefold() for pair in parts[part]} for part in PARTS]
        assert not sentences[0] & sentences[1]
        assert not sentences[0] & sentences[2]
        assert not sentences[1] & sentences[2]


def test_both_directions_and_any_order_give_the_same_parts(tmp_path: Path) -> None:
    pairs = _pairs(400)
    there = _parts(_sheet(tmp_path / "x.tsv", pairs))
    back = _parts(tmp_path / "x.tsv", ("de", "en"))
    assert {part: [(t, s) for s, t in found] for part, found in back.items()} == there
    random.Random(1).shuffle(pairs)
    shuffled = _parts(_sheet(tmp_path / "y.tsv", pairs))
    assert {p: sorted(f) for p, f in shuffled.items()} == {p: sorted(f) for p, f in there.items()}
    assert _parts(tmp_path / "x.tsv", split_seed=2) != there


def test_blank_pairs_stay_in_training(tmp_path: Path) -> None:
    pairs = [*_pairs(100), *[("", "x")] * 50, *[("y", "")] * 50]
    parts = _parts(_sheet(tmp_path / "x.tsv", pairs))
    assert [len(parts[part]) for part in PARTS] == [190, 5, 5]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=60),
    st.integers(0, 5),
)
def test_pairs_that_are_connected_stay_together(links: list[tuple[int, int]], seed: int) -> None:
    source, target = (np.array(side, dtype=np.uint64) for side in zip(*links, strict=True))
    try:
        parts = divide(source, target, HeldOut(1.0, 1.0, seed))
    except UserError:  # too few pairs, or all of them are connected
        return
    with_text = int(((source != 0) & (target != 0)).any())
    assert (parts == 1).sum() == (parts == 2).sum() == with_text
    for side in (source, target):
        for value in set(side.tolist()) - {0}:
            blank = (source == 0) | (target == 0)
            assert len(set(parts[(side == value) & ~blank].tolist())) <= 1


def test_text_that_repeats_one_sentence_is_refused(tmp_path: Path) -> None:
    path = _sheet(tmp_path / "x.tsv", [("yes", f"ja {n}") for n in range(100)])
    with pytest.raises(UserError, match=r"data.test=split: only 0 of 5 pairs .* rest: give a file"):
        _parts(path)
    with pytest.raises(UserError, match="at most half"):
        _parts(_sheet(path, _pairs(100)), valid=51.0)


@pytest.mark.parametrize("value", ["split:0", "split:-5", "split:many", "split:1.2.3", "split:"])
def test_a_size_that_is_no_number_is_refused_as_it_was_typed(value: str) -> None:
    with pytest.raises(UserError, match=rf"data.valid={value} needs a number of pairs, as in"):
        compose_config(["data=files", f"data.valid={value}"], {})


def test_a_size_is_named_as_it_is_typed() -> None:
    one = np.arange(1, 21, dtype=np.uint64)
    with pytest.raises(UserError, match=r"data.valid=split:0.9 is 18 of 20 pairs; it must be"):
        divide(one, one, HeldOut(0.9, None, seed=1))


@pytest.mark.parametrize(("value", "size"), [("split", 0), ("split:500", 500), ("split:0.1", 0.1)])
def test_split_is_a_word_of_the_command_line(value: str, size: float) -> None:
    files = ["data=files", "data.source_language=en", "data.target_language=de"]
    overrides = [*files, "data.train.path=x.tsv", f"data.valid={value}", f"data.test={value}"]
    data = compose_config(overrides, {}).data
    assert isinstance(data, FilesDataConfig)
    assert data.test is not None
    assert (data.valid.held_out, data.test.held_out) == (size, size)
    with pytest.raises(UserError, match=r"data.train.held_out is for data.valid"):
        compose_config([*overrides, "data.train.held_out=5"], {})
    with pytest.raises(UserError, match="keep one of"):
        compose_config([*overrides, "data.valid.path=y.tsv"], {})
    with pytest.raises(UserError, match="divides the file"):
        compose_config([*overrides, "data.alignments.train=x"], {})


def test_a_run_reads_the_parts(tmp_path: Path) -> None:
    path = _sheet(tmp_path / "x.tsv", _pairs(200))
    data = FilesDataConfig(
        source_language="en",
        target_language="de",
        train=SourceConfig(path=str(path), tag="<x>"),
        valid=SourceConfig(held_out=0),
        test=None,
    )
    corpus = open_corpus(data)
    assert len(corpus.valid) == 10
    assert corpus.test is None
    assert all(source.startswith("<x> ") for source in corpus.valid.source)
    assert sum(map(len, corpus.train[0].pairs.chunks(7))) == 190
