"""Shifts are found at their beginning; intact or unrelated sides are accepted."""

import gzip
import random
from pathlib import Path

import numpy as np
import pytest

from nmt.data.pair_outlines import SideOutline, outline_chunk
from nmt.data.shifted_sides import are_related, first_shift, first_unrelated
from nmt.data.sources.pair_source import PairChunk
from nmt.data.text_signatures import text_signatures

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
REAL = {
    "multi30k": (SHARED / "multi30k", "train"),
    "multi30k valid": (SHARED / "multi30k", "val"),
    "tatoeba, sorted by length": (SHARED / "tatoeba-de-en", "train"),
    "tatoeba valid": (SHARED / "tatoeba-de-en", "valid"),
    "hand-aligned": (SHARED / "align-de-en", "test"),
    "phrasebook": (ROOT / "data" / "phrasebook", "train"),
    "phrasebook valid": (ROOT / "data" / "phrasebook", "valid"),
}


def _lengths(pairs: int, seed: int = 1) -> tuple[SideOutline, SideOutline]:
    """Lengths of sentences and of their translations, without signatures."""
    random = np.random.default_rng(seed)
    source = random.lognormal(4, 0.5, pairs)
    target = source * random.lognormal(0.1, 0.2, pairs)
    return _side(source), _side(target)


def _side(lengths: np.ndarray) -> SideOutline:  # type: ignore[type-arg]
    return SideOutline(lengths.astype(np.uint16), np.zeros(len(lengths), dtype=np.uint8))


def _without(side: SideOutline, index: int, count: int = 1) -> SideOutline:
    kept = np.delete(np.arange(len(side)), np.arange(index, index + count))
    return SideOutline(side.lengths[kept], side.signatures[kept])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("index", [0, 700, 1800])
def test_missing_targets_are_found(index: int, count: int) -> None:
    source, target = _lengths(2000)
    shift = first_shift(source, _without(target, index, count))
    assert shift is not None
    assert shift.lag == -count
    assert abs(shift.index - index) <= 8


def test_missing_sources_are_found() -> None:
    source, target = _lengths(2000)
    shift = first_shift(_without(source, 500), target)
    assert shift is not None
    assert shift.lag == 1
    assert abs(shift.index - 500) <= 8


def test_the_first_of_several_is_named() -> None:
    source, target = _lengths(3000)
    target = _without(_without(target, 2000), 1000)
    shift = first_shift(source, target)
    assert shift is not None
    assert shift.lag == -1
    assert abs(shift.index - 1000) <= 8


def test_a_shift_between_equal_line_counts_is_found() -> None:
    source, target = _lengths(3000)
    source, target = _without(source, 2000), _without(target, 1000)
    assert len(source) == len(target)
    shift = first_shift(source, target)
    assert shift is not None
    assert abs(shift.index - 1000) <= 8


def test_a_line_missing_at_the_end_is_not_a_shift() -> None:
    source, target = _lengths(1000)
    assert first_shift(source, _without(target, 999), unequal=True) is None
    assert are_related(source, target)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("pairs", [5, 30, 400])
def test_intact_pairs_are_accepted(pairs: int, seed: int) -> None:
    assert first_shift(*_lengths(pairs, seed)) is None


@pytest.mark.parametrize("seed", range(20))
def test_unrelated_pairs_are_not_a_shift(seed: int) -> None:
    source, _ = _lengths(1000, seed)
    _, target = _lengths(1000, seed + 100)
    assert first_shift(source, target) is None
    assert first_shift(source, target, unequal=True) is None


def test_sorting_by_length_is_not_a_shift() -> None:
    source, target = _lengths(5000)
    order = np.argsort(source.lengths, kind="stable")
    assert first_shift(_side(source.lengths[order]), _side(target.lengths[order])) is None


def test_identical_pairs_are_not_a_shift() -> None:
    side = _side(np.full(300, 20))
    assert first_shift(side, side) is None


def test_signatures_suffice_if_all_texts_are_equally_long() -> None:
    random = np.random.default_rng(1)
    marks = random.choice([1, 2, 3], 4000, p=[0.7, 0.2, 0.1]).astype(np.uint8)
    side = SideOutline(np.full(4000, 20, dtype=np.uint16), marks)
    shift = first_shift(side, _without(side, 1500))
    assert shift is not None
    assert shift.lag == -1
    assert abs(shift.index - 1500) <= 40


def test_signatures_distinguish_endings_and_digits() -> None:
    alike = [("Yes.", "是。"), ("Who?", "誰？"), ("In 1984", "1984"), ("He said:", "他说：")]
    for one, other in alike:
        assert text_signatures([one]) == text_signatures([other])
    assert len(set(text_signatures(["a.", "a?", "a!", "a:", "a", "", "7", "8"]).tolist())) == 8


def _read(folder: Path, stem: str, language: str) -> list[str]:
    plain, zipped = folder / f"{stem}.{language}", folder / f"{stem}.{language}.gz"
    if not plain.exists() and not zipped.exists():
        pytest.skip(f"the development corpora are no part of the project: there is no {plain}")
    data = plain.read_bytes() if plain.exists() else gzip.decompress(zipped.read_bytes())
    return data.decode().split("\n")[:-1]


def _outline(texts: list[str]) -> SideOutline:
    return SideOutline(
        np.array([len(text) for text in texts], dtype=np.uint16), text_signatures(texts)
    )


@pytest.mark.parametrize("name", REAL)
def test_real_corpora_are_intact_and_shuffled_ones_are_unrelated(name: str) -> None:
    source, target = (_outline(_read(*REAL[name], language)) for language in ("en", "de"))
    assert first_shift(source, target) is None
    order = np.random.default_rng(1).permutation(len(target))
    shuffled = SideOutline(target.lengths[order], target.signatures[order])
    assert first_shift(source, shuffled) is None


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_a_line_missing_from_a_real_corpus_is_found(name: str, share: float) -> None:
    source, target = (_outline(_read(*REAL[name], language)) for language in ("en", "de"))
    index = int(share * len(target))
    shift = first_shift(source, _without(target, index), unequal=True)
    assert shift is not None
    assert shift.lag == -1
    # Neighbours in a corpus sorted by length are equally long: only their endings differ.
    assert abs(shift.index - index) <= (400 if "sorted" in name else 30)


def test_rows_in_another_order_are_found() -> None:
    draw = random.Random(5)
    lengths = [draw.randrange(10, 120) for _ in range(6000)]
    ends = [draw.choice(".?!.,") for _ in lengths]
    sources = ["x" * n + end for n, end in zip(lengths, ends, strict=True)]
    targets = [
        "y" * round(n * draw.uniform(0.8, 1.3)) + end for n, end in zip(lengths, ends, strict=True)
    ]

    def found(targets: list[str]) -> int | None:
        pairs = PairChunk("a", "b", list(range(1, len(sources) + 1)), sources, targets)
        outline = outline_chunk(pairs)
        return first_unrelated(outline.source, outline.target)

    assert found(targets) is None
    assert found(sorted(targets)) == 0
    for start in (3000, 5500):
        index = found(targets[:start] + draw.sample(targets[start:], 6000 - start))
        assert index is not None
        assert abs(index - start) <= 50
    index = found([*targets[:1000], *draw.sample(targets[1000:1500], 500), *targets[1500:]])
    assert index is not None
    assert abs(index - 1000) <= 50


def _noisy(pairs: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    random = np.random.default_rng(seed)
    source = random.lognormal(4, 0.5, pairs)
    return source, source * random.lognormal(0.1, noise, pairs)


def test_a_looser_corpus_after_a_tight_one_is_related() -> None:
    # Lengths of back-translations agree less than those of human translations. Under the
    # parameters of both together, the looser corpus seems worse than unrelated.
    tight, loose = _noisy(20_000, 0.05, seed=1), _noisy(6_000, 0.35, seed=2)
    source, target = (np.concatenate(sides) for sides in zip(tight, loose, strict=True))
    assert first_unrelated(_side(source), _side(target)) is None
    shuffled = target.copy()
    shuffled[23_000:24_000] = np.random.default_rng(3).permutation(shuffled[23_000:24_000])
    index = first_unrelated(_side(source), _side(shuffled))
    assert index is not None
    assert abs(index - 23_000) <= 50
