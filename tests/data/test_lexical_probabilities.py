"""IBM model 1, compared with expectation maximization written plainly with dictionaries."""

from collections import defaultdict

import numpy as np
import pytest

from nmt.data.encoded import EncodedCorpus, PieceSequences
from nmt.data.lexical_probabilities import EMPTY, LexicalTable, learn_lexical_probabilities

Pairs = list[tuple[list[int], list[int]]]
SOURCES, TARGETS = 9, 11


def random_pairs(count: int, seed: int = 1) -> Pairs:
    """Return pairs of 0 to 5 pieces a side; target piece i often translates source piece i."""
    random = np.random.default_rng(seed)
    pairs: Pairs = []
    for _ in range(count):
        source = random.integers(4, SOURCES, random.integers(0, 6)).tolist()
        noise = random.integers(4, TARGETS, random.integers(0, 2)).tolist()
        pairs.append((source, [piece for piece in source if random.random() < 0.8] + noise))
    return pairs


def corpus(pairs: Pairs) -> EncodedCorpus:
    sides = (PieceSequences.from_lists([pair[side] for pair in pairs]) for side in (0, 1))
    source, target = sides
    return EncodedCorpus(source, target)


def plain(pairs: Pairs, rounds: int) -> tuple[dict[tuple[int, int], float], list[float]]:
    """Return t by (source, target), and the log-likelihood under t of each round's start."""
    pairs = [(source, target) for source, target in pairs if source and target]
    t: dict[tuple[int, int], float] = defaultdict(lambda: 1.0)
    likelihoods = []
    for _ in range(rounds):
        counts: dict[tuple[int, int], float] = defaultdict(float)
        likelihood = 0.0
        for source, target in pairs:
            for f in target:
                links = [(e, f) for e in [EMPTY, *source]]
                total = sum(t[link] for link in links)
                likelihood += np.log(total / len(links))
                for link in links:
                    counts[link] += t[link] / total
        totals: dict[int, float] = defaultdict(float)
        for (e, _), count in counts.items():
            totals[e] += count
        t = {(e, f): count / totals[e] for (e, f), count in counts.items()}
        likelihoods.append(likelihood)
    return t, likelihoods


def as_dictionary(table: LexicalTable) -> dict[tuple[int, int], float]:
    keys = [divmod(key, table.target_size) for key in table.keys.tolist()]
    return dict(zip(keys, table.probabilities.tolist(), strict=True))


@pytest.mark.parametrize("part_links", [1, 30, 1 << 20])
@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_the_probabilities_are_those_of_the_plain_algorithm(part_links: int, rounds: int) -> None:
    pairs = random_pairs(80)
    expected, _ = plain(pairs, rounds)
    table = learn_lexical_probabilities(
        corpus(pairs), TARGETS, rounds=rounds, part_links=part_links
    )
    found = as_dictionary(table)
    assert found.keys() == expected.keys()
    assert [found[link] for link in expected] == pytest.approx([*expected.values()], abs=1e-9)


def test_the_plain_algorithm_never_lowers_the_likelihood() -> None:
    _, likelihoods = plain(random_pairs(80), 8)
    assert all(
        after >= before for before, after in zip(likelihoods[1:], likelihoods[2:], strict=False)
    )


def test_translations_of_a_piece_come_first() -> None:
    table = learn_lexical_probabilities(corpus(random_pairs(400)), TARGETS)
    sources, targets = table.best(2)
    assert EMPTY not in sources
    for piece in range(4, SOURCES):
        mine = targets[sources == piece]
        assert len(mine) == 2
        assert mine[0] == piece


def test_the_probabilities_of_a_source_piece_sum_to_one() -> None:
    table = learn_lexical_probabilities(corpus(random_pairs(50)), TARGETS)
    sources = table.keys // TARGETS
    assert np.bincount(sources, table.probabilities)[np.unique(sources)] == pytest.approx(1)


def test_beyond_the_limit_the_rarest_combinations_are_dropped() -> None:
    pairs = random_pairs(400)
    limit = 12
    table = learn_lexical_probabilities(corpus(pairs), TARGETS, limit=limit)
    assert 0 < len(table.keys) <= limit
    kept = as_dictionary(table)
    assert {(piece, piece) for piece in range(4, SOURCES)} <= kept.keys()


def test_a_limit_below_equally_rare_combinations_keeps_some() -> None:
    table = learn_lexical_probabilities(corpus([([4, 5], [6, 7])]), TARGETS, limit=3)
    assert len(table.keys) == 3


@pytest.mark.parametrize("pairs", [[], [([], [5])], [([5], [])]])
def test_pairs_with_an_empty_side_give_nothing(pairs: Pairs) -> None:
    table = learn_lexical_probabilities(corpus(pairs), TARGETS)
    assert len(table.keys) == 0
    assert len(table.best(5)[0]) == 0
