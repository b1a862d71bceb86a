"""Prefixes, required and forbidden words are kept on many sentences, and batches change nothing."""

import re
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
import torch
from recorded_graphs import RecordedGraphs

from nmt.config.model import ModelConfig
from nmt.config.schema import DecodingConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.decoding.constrained.constraints import Constraints
from nmt.decoding.ensemble import Ensemble
from nmt.decoding.repeated_step import CudaGraphs
from nmt.decoding.sampling import Sampling
from nmt.decoding.translator import Translation, Translator
from nmt.kernels import dispatch
from nmt.model.seq2seq import TranslationModel
from nmt.text.tokenizer import TokenizerPair, train_tokenizers

WORDS = ["nabe", "boden", "rot", "tor", "orden", "beton", "erde", "abend", "er", "den"]
MANY = 500


def sentences(count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(1, 9))) for _ in range(count)]


def demands(count: int, seed: int, *, required: bool = True) -> list[Constraints]:
    """Return a prefix, one or two required phrases and forbidden words, in turn and together."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        words = [str(word) for word in random.permutation(WORDS)]
        phrases = (words[0], f"{words[1]} {words[2]}")[: 1 + number % 2]
        found.append(
            Constraints(
                prefix=f"{words[3]} " if number % 3 == 0 else "",
                required=phrases if required and number % 4 else (),
                forbidden=tuple(words[5 : 7 + number % 2]) if number % 5 else (),
            )
        )
    return found


def has(text: str, phrase: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text) is not None


def assert_kept(found: list[Translation], asked: list[Constraints]) -> None:
    for translation, wanted in zip(found, asked, strict=True):
        assert translation.texts
        for text in translation.texts:
            assert f"{text} ".startswith(wanted.prefix), (text, wanted)
            assert all(has(text, phrase) for phrase in wanted.required), (text, wanted)
            assert not any(has(text, phrase) for phrase in wanted.forbidden), (text, wanted)


Make = Callable[..., Translator]


@pytest.fixture(scope="module")
def tokenizers(tokenizer_config: Callable[..., TokenizerConfig]) -> TokenizerPair:
    return train_tokenizers(tokenizer_config(), sentences(60, 1), sentences(60, 2))


@pytest.fixture(params=["rnn", "transformer", "ensemble"])
def translator_of(
    request: pytest.FixtureRequest,
    tokenizers: TokenizerPair,
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
) -> Make:
    kinds = ["rnn", "transformer"] if request.param == "ensemble" else [request.param]
    sizes = len(tokenizers.source), len(tokenizers.target)
    models = [tiny_model(tiny_config(kind, kind), *sizes) for kind in kinds]
    for model in models:
        with torch.no_grad():
            model.output.weight.mul_(4)  # translations differ
    one = models[0] if len(models) == 1 else Ensemble(models).eval()

    def make(batch_size: int = 64, beam_size: int = 4) -> Translator:
        decoding = DecodingConfig(beam_size=beam_size, max_length_ratio=1.0, batch_size=batch_size)
        return Translator(one, tokenizers, decoding)

    return make


def test_batches_order_and_neighbours_change_nothing(translator_of: Make) -> None:
    given, asked = sentences(15, 3), demands(15, 4)
    long, nothing = " ".join(sentences(60, 5)), Constraints()
    expected = [t.texts for t in translator_of().translate(given, constraints=asked)]
    for size in (1, 7):
        found = translator_of(size).translate(given, constraints=asked)
        assert [t.texts for t in found] == expected, size
    turned = translator_of().translate(given[::-1], constraints=asked[::-1])
    assert [t.texts for t in turned] == expected[::-1]
    beside = translator_of(64).translate([*given[:4], long], constraints=[*asked[:4], nothing])
    assert [t.texts for t in beside[:-1]] == expected[:4]
    assert_kept(translator_of().translate(given, constraints=asked), asked)


def test_weights_and_scores_stay_right(translator_of: Make) -> None:
    given, asked = sentences(8, 6), demands(8, 7)
    plain = translator_of().translate(given, constraints=asked)
    shown = translator_of().translate(given, constraints=asked, need_weights=True)
    for one, other in zip(plain, shown, strict=True):
        assert one.texts == other.texts
        for hypothesis in other.hypotheses:
            assert hypothesis.weights is not None
            size = len(hypothesis.ids) + 1, len(other.source_ids) + 1
            assert hypothesis.weights.shape[2:] == size


@pytest.mark.slow
@pytest.mark.parametrize("beam_size", [1, 5])
def test_a_search_keeps_the_constraints_of_many_sentences(
    translator_of: Make, beam_size: int
) -> None:
    given, asked = sentences(MANY, 8), demands(MANY, 9)
    assert_kept(translator_of(beam_size=beam_size).translate(given, constraints=asked), asked)


@pytest.mark.slow
def test_samples_keep_the_constraints_of_many_sentences(translator_of: Make) -> None:
    given, asked = sentences(MANY, 10), demands(MANY, 11, required=False)
    sampling = Sampling(count=2)
    translator = translator_of()
    found = translator.translate(given, constraints=asked, sampling=sampling)
    assert_kept(found, asked)
    alone = translator.translate(given[:5], constraints=asked[:5], sampling=sampling)
    assert [t.texts for t in alone] == [t.texts for t in found[:5]]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"no_repeat_ngram": 2, "min_length_ratio": 0.7},
        {"repetition_penalty": 1.5, "length_normalization": "average"},
    ],
    ids=["plain", "n-grams", "repetition"],
)
def test_fixed_shapes_and_graphs_change_nothing(
    translator_of: Make, changes: dict[str, object]
) -> None:
    given, asked = sentences(9, 12), demands(9, 13)
    translator = translator_of().with_settings(changes)
    expected = translator.translate(given, constraints=asked)
    with dispatch.as_on_accelerator():
        fixed = translator.translate(given, constraints=asked)
        graphs = RecordedGraphs()
        translator._graphs = cast("CudaGraphs", graphs)
        graphs.forget = lambda: None  # type: ignore[attr-defined]
        captured = translator.translate(given, constraints=asked)
    assert graphs.graphs, "nothing was captured"
    for found in (fixed, captured):
        assert [t.texts for t in found] == [t.texts for t in expected]


def test_groups_in_fixed_shapes_change_nothing(translator_of: Make) -> None:
    given = sentences(9, 14)
    translator = translator_of().with_settings({"beam_groups": 2, "diversity_strength": 1.0})
    expected = translator.translate(given)
    with dispatch.as_on_accelerator():
        found = translator.translate(given)
    assert [t.texts for t in found] == [t.texts for t in expected]
