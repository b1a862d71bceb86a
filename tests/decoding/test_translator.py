"""Translations come in input order, blank sentences stay blank, and batches change nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nmt import runtime
from nmt.config.model import ModelConfig
from nmt.config.schema import DecodingConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.decoding.translator import Translation, Translator
from nmt.kernels import dispatch
from nmt.kernels.linear import quantized_linear
from nmt.model.seq2seq import TranslationModel
from nmt.text.tokenizer import TokenizerPair, train_tokenizers

WORDS = ["nabe", "boden", "rot", "tor", "orden", "beton", "erde", "abend"]


def sentences(count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(1, 9))) for _ in range(count)]


@pytest.fixture(scope="module")
def tokenizers(tokenizer_config: Callable[..., TokenizerConfig]) -> TokenizerPair:
    return train_tokenizers(tokenizer_config(), sentences(60, 1), sentences(60, 2))


Make = Callable[..., Translator]


@pytest.fixture(params=["rnn", "transformer"])
def translator_of(
    request: pytest.FixtureRequest,
    tokenizers: TokenizerPair,
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
) -> Make:
    config = tiny_config(request.param, request.param)
    model = tiny_model(config, len(tokenizers.source), len(tokenizers.target))

    def make(batch_size: int, beam_size: int = 3) -> Translator:
        decoding = DecodingConfig(
            beam_size=beam_size,
            length_penalty=1.0,
            max_length_ratio=1.0,
            max_length_extra=2,
            batch_size=batch_size,
        )
        return Translator(model, tokenizers, decoding)

    return make


def texts(translations: list[Translation]) -> list[str]:
    return [translation.text for translation in translations]


def test_translations_are_in_the_order_of_the_sentences(translator_of: Make) -> None:
    translator = translator_of(batch_size=4)
    given = sentences(11, 3)
    found = translator.translate(given)
    assert [translation.source for translation in found] == given
    assert len(set(texts(found))) > 5, "all translations are the same, so this test checks nothing"
    for sentence, translation in zip(given, found, strict=True):
        (alone,) = translator.translate([sentence])
        assert translation.texts == alone.texts, (
            f"{sentence!r} has the translation of another sentence"
        )
        assert translation.source_ids == translator.tokenizers.source.encode(sentence)


def test_small_steps_use_fewer_threads(
    translator_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = translator_of(batch_size=4)
    step, used = translator.model.step, list[int]()

    def counted(*arguments: Any, **options: Any) -> Any:
        used.append(torch.get_num_threads())
        return step(*arguments, **options)

    monkeypatch.setattr(translator.model, "step", counted)
    weights = sum(p.numel() for p in translator.model.output.parameters())  # and the decoder's
    monkeypatch.setattr(runtime, "PRODUCTS_PER_THREAD", 8 * weights)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        translator.translate(sentences(4, 5))  # 12 hypotheses
        many = used.copy()
        used.clear()
        translator.with_beam(1).translate(sentences(1, 5))
        assert torch.get_num_threads() == 3
        few = used.copy()
    finally:
        torch.set_num_threads(before)
    assert 1 <= min(few) == max(few) < min(many) <= max(many) <= 3


def test_the_batch_size_changes_nothing(translator_of: Make) -> None:
    given = sentences(13, 4)
    expected = texts(translator_of(batch_size=64).translate(given))
    for batch_size in (1, 3, 13):
        assert texts(translator_of(batch_size).translate(given)) == expected, batch_size


def test_the_batch_changes_few_translations_in_int8(
    translator_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of 1, 7 and 64 sentences, shuffled; every linear layer is quantized.

    The last bit of attention can move a code by one. One scale per batch would change many more.
    """
    monkeypatch.setattr(quantized_linear, "FEWEST_WEIGHTS", 1)
    given = sentences(70, 4)
    exact = [found.hypotheses[0].log_prob for found in translator_of(64).translate(given)]
    translator = translator_of(64)
    translator.precision = torch.int8
    translator.prepare_weights()
    found = translator.translate(given)
    expected = texts(found)
    assert [one.hypotheses[0].log_prob for one in found] != exact, "nothing is quantized"
    order = np.random.default_rng(5).permutation(len(given))
    for batch_size in (1, 7, 64):
        shuffled = translator_of(batch_size).translate([given[i] for i in order])
        same = sum(text == expected[i] for text, i in zip(texts(shuffled), order, strict=True))
        assert same >= 0.9 * len(given), batch_size


def test_weights_that_are_cast_beforehand_change_nothing(translator_of: Make) -> None:
    given = sentences(20, 4)
    translator = translator_of(batch_size=8)
    exact = [found.hypotheses[0].log_prob for found in translator.translate(given)]
    translator.precision = torch.bfloat16
    cast_in_each_step = translator.translate(given)
    translator.prepare_weights()
    found = translator.translate(given)
    assert texts(found) == texts(cast_in_each_step)
    log_probs = [one.hypotheses[0].log_prob for one in found]
    assert log_probs == [one.hypotheses[0].log_prob for one in cast_in_each_step]
    assert log_probs != exact, "nothing is computed in bfloat16"


def test_the_batches_of_a_gpu_change_nothing(translator_of: Make) -> None:
    given = sentences(13, 4)
    translator = translator_of(batch_size=64)
    expected = texts(translator.translate(given))
    with dispatch.as_on_accelerator():
        assert texts(translator.translate(given)) == expected
        translator.decoding.batch_tokens = 24
        assert texts(translator.translate(given)) == expected


def test_a_blank_sentence_stays_blank(translator_of: Make) -> None:
    found = translator_of(batch_size=2).translate(["", "rot", "   ", "tor", ""])
    for position in (0, 2, 4):
        assert found[position].text == ""
        assert not found[position].hypotheses
    assert found[1].hypotheses
    assert found[3].hypotheses


@pytest.mark.parametrize("given", [[], [""]])
def test_empty_input_gives_no_translations(translator_of: Make, given: list[str]) -> None:
    assert texts(translator_of(batch_size=2).translate(given)) == given


def test_texts_and_weights_match_the_hypotheses(translator_of: Make) -> None:
    translator = translator_of(batch_size=3)
    plain = translator.translate(sentences(5, 5))
    shown = translator.translate(sentences(5, 5), need_weights=True)
    assert texts(shown) == texts(plain)
    for translation in shown:
        assert translation.texts == [
            translator.tokenizers.target.decode(h.ids) for h in translation.hypotheses
        ]
        for hypothesis in translation.hypotheses:
            assert hypothesis.weights is not None
            size = (len(hypothesis.ids) + 1, len(translation.source_ids) + 1)
            assert hypothesis.weights.shape[2:] == size, "the weights do not match the pieces"
            torch.testing.assert_close(
                hypothesis.weights.sum(-1), torch.ones(hypothesis.weights.shape[:-1])
            )
    assert all(h.weights is None for t in plain for h in t.hypotheses)


def test_unknown_characters_are_translated(translator_of: Make) -> None:
    (found,) = translator_of(batch_size=2).translate(["rot 東京 tor"])
    assert found.hypotheses
