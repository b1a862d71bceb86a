"""Teacher forcing reproduces the weights of the search, in order and for any batch size."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from nmt.config.model import ModelConfig
from nmt.config.recipe_settings import GuidedAlignmentConfig
from nmt.config.schema import Config
from nmt.data.corpus import ParallelText
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.attention import aligner as module
from nmt.evaluation.attention.aligner import Aligner
from nmt.evaluation.attention.alignment_extractor import (
    GUIDED_THRESHOLD,
    AlignmentExtractor,
    default_extractor,
)
from nmt.evaluation.attention.attention_map import EOS_WORD, hypothesis_map, piece_map
from nmt.text.tokenizer import split_words

TinyConfig = Callable[..., ModelConfig]
TranslatorOf = Callable[..., Translator]

SENTENCES = ["two seven", "ten ten three one nine", "one"]


@pytest.fixture(params=["rnn", "transformer"])
def translator(
    request: pytest.FixtureRequest, translator_of: TranslatorOf, tiny_config: TinyConfig
) -> Translator:
    name = request.param
    return translator_of(tiny_config(name, name, num_layers=2), beam_size=5, max_length_extra=9)


@pytest.fixture
def pairs(text: ParallelText) -> list[tuple[str, str]]:
    return [*zip(text.source, text.target, strict=True), ("one two", ""), (" ", " "), ("ten", "x")]


def _aligner(translator: Translator, batch_size: int = 3) -> Aligner:
    return Aligner(translator.model, translator.tokenizers, batch_size)


def test_teacher_forcing_gives_the_weights_of_any_hypothesis_of_a_beam(
    translator: Translator,
) -> None:
    aligner = _aligner(translator)
    for translation in translator.translate(SENTENCES, need_weights=True):
        assert len(translation.hypotheses) == 5
        for rank, hypothesis in enumerate(translation.hypotheses):
            searched = hypothesis_map(translation, translator.tokenizers, rank)
            (forced,) = aligner.teacher_forced_weights([translation.source_ids], [hypothesis.ids])
            assert hypothesis.weights is not None
            np.testing.assert_allclose(forced, hypothesis.weights.numpy(), atol=1e-5)
            encoded = translator.tokenizers.source.encode_words(translation.source)
            words = (hypothesis.ids, searched.target_words[:-1])
            rebuilt = piece_map(forced, translator.tokenizers, encoded, words)
            assert (rebuilt.source, rebuilt.target) == (searched.source, searched.target)
            assert rebuilt.source_words == searched.source_words


@pytest.mark.parametrize("size", [1, 2, 100])
def test_results_keep_their_order_and_do_not_depend_on_the_batch(
    size: int, translator: Translator, pairs: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_BATCHES", 2)  # so that there are several chunks
    aligner = _aligner(translator, size)
    single = [next(aligner.attention_maps([pair])) for pair in pairs]
    together = list(aligner.attention_maps(pairs))
    for alone, found, (source, target) in zip(single, together, pairs, strict=True):
        np.testing.assert_allclose(found.weights, alone.weights, atol=1e-5)
        np.testing.assert_allclose(found.weights.sum(-1), 1, atol=1e-5)
        assert (found.source, found.target) == (alone.source, alone.target)
        assert set(found.source_words) == {*range(len(split_words(source))), EOS_WORD}
        assert set(found.target_words) == {*range(len(split_words(target))), EOS_WORD}
    for shift in (False, True):
        extractor = AlignmentExtractor(0, None, shift)
        found_links = list(aligner.links(pairs, extractor))
        assert found_links == [next(aligner.links([pair], extractor)) for pair in pairs]


def test_pairs_are_consumed_lazily(translator: Translator) -> None:
    consumed = 0

    def endless() -> Iterator[tuple[str, str]]:
        nonlocal consumed
        while True:
            consumed += 1
            yield "two three", "zwei drei"

    links = _aligner(translator, 1).links(endless(), AlignmentExtractor(0, None, shift=False))
    first = next(links)
    assert consumed == module.CHUNK_BATCHES
    assert next(links) == first


def test_every_target_word_has_a_link_and_blank_sides_have_none(
    translator: Translator, pairs: list[tuple[str, str]]
) -> None:
    extractor = AlignmentExtractor(-1, 0, shift=True)
    for links, (source, target) in zip(
        _aligner(translator).links(pairs, extractor), pairs, strict=True
    ):
        words = range(len(split_words(target))) if source.strip() else ()
        assert sorted(word for _, word in links) == list(words)


def test_a_model_without_attention_is_refused(
    translator_of: TranslatorOf, tiny_config: TinyConfig
) -> None:
    with pytest.raises(UserError, match="no attention over the source"):
        _aligner(translator_of(tiny_config(attention="none")))


@pytest.mark.parametrize(("layers", "layer"), [(1, 0), (2, 0), (6, 4)])
def test_the_default_layer_is_the_penultimate_one(
    layers: int,
    layer: int,
    run_config: Callable[..., Config],
    tiny_config: TinyConfig,
) -> None:
    config = run_config(tiny_config())
    assert default_extractor(config, layers) == AlignmentExtractor(layer, None, shift=False)


@pytest.mark.parametrize(("layer", "resolved"), [(None, 4), (2, 1), (-1, 5)])
def test_a_guided_run_uses_its_guided_head(
    layer: int | None,
    resolved: int,
    run_config: Callable[..., Config],
    tiny_config: TinyConfig,
) -> None:
    config = run_config(tiny_config())
    guided = GuidedAlignmentConfig(weight=0.05, layer=layer, head=3, shift=True)
    config.training = replace(config.training, guided_alignment=guided)
    extractor = default_extractor(config, 6).resolved(6, 4)
    assert extractor == AlignmentExtractor(resolved, 2, shift=True, threshold=GUIDED_THRESHOLD)
