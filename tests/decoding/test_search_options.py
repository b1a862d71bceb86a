"""Each penalty and rule of search, compared with the ranking of all translations.

Legend: S source pieces with EOS.
"""

from functools import partial
from typing import Any, cast

import pytest
import torch
from exhaustive_search import Exhaustive
from invented_model import FakeModel, Prefix, V, random_log_probs
from torch import Tensor

from nmt.config.schema import DecodingConfig
from nmt.data.batches.batch import source_batch
from nmt.decoding.hypothesis import coverage_penalty
from nmt.decoding.search import Hypothesis, beam_search
from nmt.kernels import dispatch
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import EOS, UNK

PIECES = (UNK, 4, 5, 6)
SPACE = 1 + 4 + 16 + 64 + 256
SENTENCES = range(4, 10)
SOURCE = 3  # pieces with EOS
WEIGHTS = torch.nn.functional.normalize(torch.rand(20, SOURCE), p=1, dim=1)

PENALTIES: dict[str, dict[str, Any]] = {
    "gnmt": dict(length_penalty=1.3),
    "average": dict(length_normalization="average"),
    "none": dict(length_normalization="none", length_penalty=2.0),
    "coverage": dict(coverage_penalty=0.7, length_penalty=0.5),
    "minimum": dict(min_length_ratio=0.7, min_length_extra=1),
    "minimum of everything": dict(min_length_extra=9),
    "maximum": dict(max_length_ratio=1.0, max_length_extra=1),
    "no unigram twice": dict(no_repeat_ngram=1),
    "no bigram twice": dict(no_repeat_ngram=2),
    "no trigram twice": dict(no_repeat_ngram=3),
    "repetition": dict(repetition_penalty=1.7),
    "all": dict(
        length_normalization="average",
        coverage_penalty=0.3,
        min_length_extra=2,
        no_repeat_ngram=2,
        repetition_penalty=1.2,
    ),
}


def options(beam_size: int, **changes: Any) -> DecodingConfig:
    plain = dict(length_penalty=0.0, max_length_ratio=0.0, max_length_extra=5)
    return DecodingConfig(beam_size=beam_size, **{**plain, **changes})


def attention(sentence: int, prefix: Prefix) -> Tensor:
    """Return reproducible weights [S] that differ by sentence and prefix."""
    generator = torch.Generator().manual_seed(hash((7, sentence, *prefix)) % 2**31)
    return torch.rand(SOURCE, generator=generator).softmax(0)


def search(
    sentences: range | list[int], settings: DecodingConfig, **arguments: Any
) -> list[list[Hypothesis]]:
    model = cast("TranslationModel", FakeModel(random_log_probs, attention))
    ids, mask = source_batch([[sentence] * (SOURCE - 1) for sentence in sentences])
    return beam_search(model, ids, mask, settings, **arguments)


def exhaustive(sentence: int, settings: DecodingConfig) -> Exhaustive:
    of_model, of_attention = (partial(f, sentence) for f in (random_log_probs, attention))
    return Exhaustive(of_model, PIECES, SOURCE, settings, of_attention)


@pytest.mark.parametrize("accelerated", [False, True], ids=["cpu", "gpu"])
@pytest.mark.parametrize("name", PENALTIES)
def test_a_beam_as_wide_as_the_space_ranks_all_translations(
    name: str, *, accelerated: bool
) -> None:
    settings = options(SPACE, **PENALTIES[name])
    with pytest.MonkeyPatch.context() as patch:
        if accelerated:
            patch.setattr(dispatch, "repeats_shapes", lambda _: True)
        together = search(SENTENCES, settings)
    for sentence, found in zip(SENTENCES, together, strict=True):
        expected = exhaustive(sentence, settings).ranked()
        assert [tuple(h.ids) for h in found] == [ids for _, _, ids in expected], sentence
        scores, log_probs = ([row[i] for row in expected] for i in (0, 1))
        assert [h.score for h in found] == pytest.approx(scores, abs=1e-4)
        assert [h.log_prob for h in found] == pytest.approx(log_probs, abs=1e-4)
        assert all(h.weights is None for h in found)


@pytest.mark.parametrize("beam_size", [1, 2, 5])
@pytest.mark.parametrize("name", PENALTIES)
def test_a_batch_gives_the_results_of_single_sentences(name: str, beam_size: int) -> None:
    settings = options(beam_size, **PENALTIES[name])
    together = search(SENTENCES, settings)
    assert all(together)
    for sentence, found in zip(SENTENCES, together, strict=True):
        (alone,) = search([sentence], settings)
        assert [h.ids for h in found] == [h.ids for h in alone]
        assert [h.score for h in found] == pytest.approx([h.score for h in alone], abs=1e-5)


def test_coverage_counts_each_source_piece_at_most_once() -> None:
    # Attention of two target pieces to two source pieces: 0.9 + 0.6 and 0.05 + 0.2.
    weights = torch.tensor([[[[0.9, 0.05], [0.6, 0.2]]]])
    expected = 2.0 * torch.tensor(0.25).log().item()  # log(min(1.5, 1)) is 0
    assert coverage_penalty(weights, 2.0) == pytest.approx(expected)
    assert coverage_penalty(torch.zeros(1, 1, 2, 3), 1.0) > -100, "the logarithm of 0 is infinite"


def test_a_hypothesis_ends_where_no_piece_is_allowed() -> None:
    settings = options(1, no_repeat_ngram=1, max_length_extra=50)
    for (found,) in search(SENTENCES, settings):
        assert len(found.ids) <= len(PIECES)


@pytest.mark.parametrize("groups", [2, 3, 6])
def test_groups_without_diversity_repeat_one_search(groups: int) -> None:
    settings = options(6, beam_groups=groups, diversity_strength=0.0)
    for one, other in zip(
        search(SENTENCES, settings), search(SENTENCES, options(6 // groups)), strict=True
    ):
        assert [h.ids for h in one][: len(other)] == [h.ids for h in other]
        assert len({tuple(h.ids) for h in one}) == len(one), "a hypothesis is returned twice"


def diverse(sentence: int, settings: DecodingConfig) -> list[Prefix]:
    """Return the translations of diverse beam search, written plainly for one sentence."""
    groups, size = settings.beam_groups, settings.beam_size // settings.beam_groups
    limit = settings.max_length_extra
    beams: list[list[tuple[float, Prefix]]] = [[(0.0, ())] for _ in range(groups)]
    finished: list[list[tuple[float, Prefix]]] = [[] for _ in range(groups)]
    for length in range(1, limit + 1):
        chosen: list[int] = []
        for group in range(groups):
            if len(finished[group]) >= size:
                continue
            candidates = []
            for log_prob, prefix in beams[group]:
                row = random_log_probs(sentence, prefix)
                for piece in [EOS] if length == limit else [*PIECES, EOS]:
                    total = log_prob + row[piece].item()
                    rank = total - settings.diversity_strength * chosen.count(piece)
                    candidates.append((rank, total, (*prefix, piece)))
            candidates.sort(reverse=True)
            best = candidates[:size]
            finished[group] += [(total, ids[:-1]) for _, total, ids in best if ids[-1] == EOS]
            beams[group] = [(total, ids) for _, total, ids in candidates if ids[-1] != EOS][:size]
            chosen += [ids[-1] for _, _, ids in best]
    different = {ids: total for group in finished for total, ids in group}
    return sorted(different, key=lambda ids: different[ids], reverse=True)[: settings.beam_size]


@pytest.mark.parametrize("strength", [0.5, 3.0])
@pytest.mark.parametrize("groups", [2, 4])
def test_groups_choose_as_vijayakumar_et_al_describe(groups: int, strength: float) -> None:
    settings = options(4, beam_groups=groups, diversity_strength=strength)
    for sentence, found in zip(SENTENCES, search(SENTENCES, settings), strict=True):
        assert [tuple(h.ids) for h in found] == diverse(sentence, settings)


def test_a_strong_diversity_gives_different_first_pieces() -> None:
    for found in search(SENTENCES, options(4, beam_groups=4, diversity_strength=100.0)):
        firsts = [tuple(h.ids[:1]) for h in found]
        assert len(set(firsts)) == 4, firsts
        assert V > 4
