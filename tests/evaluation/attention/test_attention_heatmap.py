"""A translation's heatmap shows the mean of the heads of the given layer, with all labels."""

from collections.abc import Callable

import numpy as np
import pytest

from nmt.config.model import ModelConfig
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.attention.attention_heatmap import translation_heatmap

TinyConfig = Callable[..., ModelConfig]
TranslatorOf = Callable[..., Translator]

SENTENCE = "two seven"


def test_labels_are_the_pieces_and_eos_of_both_sentences(
    translator_of: TranslatorOf, tiny_config: TinyConfig
) -> None:
    translator = translator_of(tiny_config())
    (translation,) = translator.translate([SENTENCE], need_weights=True)
    heatmap = translation_heatmap(translation, translator.tokenizers, -1)
    source, target = translator.tokenizers.source, translator.tokenizers.target
    assert list(heatmap.source) == [*source.pieces(source.encode(SENTENCE)), "</s>"]
    assert list(heatmap.target) == [*target.pieces(translation.hypotheses[0].ids), "</s>"]
    assert heatmap.weights.shape == (len(heatmap.target), len(heatmap.source))
    np.testing.assert_allclose(heatmap.weights.sum(1), 1, atol=1e-5)
    assert heatmap.title == "attention"


def test_any_hypothesis_can_be_drawn(translator_of: TranslatorOf, tiny_config: TinyConfig) -> None:
    translator = translator_of(tiny_config())
    (translation,) = translator.translate([SENTENCE], need_weights=True)
    assert len(translation.hypotheses) == 2
    for rank, hypothesis in enumerate(translation.hypotheses):
        heatmap = translation_heatmap(translation, translator.tokenizers, -1, rank)
        assert len(heatmap.target) == len(hypothesis.ids) + 1


@pytest.mark.parametrize(("layer", "row"), [(0, 0), (1, 1), (-1, 1), (-2, 0)])
def test_a_transformer_shows_the_mean_of_the_heads_of_the_given_layer(
    translator_of: TranslatorOf, tiny_config: TinyConfig, layer: int, row: int
) -> None:
    translator = translator_of(tiny_config("transformer", "transformer", num_layers=2))
    (translation,) = translator.translate([SENTENCE], need_weights=True)
    heatmap = translation_heatmap(translation, translator.tokenizers, layer)
    weights = translation.hypotheses[0].weights
    assert weights is not None
    np.testing.assert_allclose(heatmap.weights, weights[row].mean(0).numpy(), atol=1e-6)
    assert heatmap.title == f"cross-attention, decoder layer {row + 1} of 2, mean of 4 heads"


@pytest.mark.parametrize(("layer", "number"), [(2, 3), (-3, -3)])
def test_a_layer_that_does_not_exist_raises(
    translator_of: TranslatorOf, tiny_config: TinyConfig, layer: int, number: int
) -> None:
    translator = translator_of(tiny_config("transformer", "transformer", num_layers=2))
    (translation,) = translator.translate([SENTENCE], need_weights=True)
    with pytest.raises(
        UserError, match=f"layer {number} does not exist: the model's attention has 2 layers"
    ):
        translation_heatmap(translation, translator.tokenizers, layer)


def test_a_model_without_attention_raises(
    translator_of: TranslatorOf, tiny_config: TinyConfig
) -> None:
    translator = translator_of(tiny_config(attention="none"))
    (translation,) = translator.translate([SENTENCE], need_weights=True)
    with pytest.raises(UserError, match="no attention"):
        translation_heatmap(translation, translator.tokenizers, -1)
