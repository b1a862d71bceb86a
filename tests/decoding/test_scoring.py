"""Given translations get the probabilities that search computes step by step."""

import math
from collections.abc import Callable

import pytest
import torch

from nmt.config.model import ModelConfig
from nmt.config.schema import DecodingConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.data.batches.batch import collate
from nmt.decoding.hypothesis import length_penalty
from nmt.decoding.scoring import piece_log_probs, score_translations
from nmt.decoding.translator import Translator
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import PAD
from nmt.text.tokenizer import train_tokenizers

SENTENCES = ["rot tor", "nabe", "", "boden erde abend rot tor nabe beton", "tor rot", "orden"]


@pytest.fixture(params=["rnn", "transformer", "pointer"])
def translator(
    request: pytest.FixtureRequest,
    tokenizer_config: Callable[..., TokenizerConfig],
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
) -> Translator:
    text = [word for sentence in SENTENCES for word in sentence.split()] + ["baden eben roden"]
    copies = request.param == "pointer"
    tokenizers = train_tokenizers(tokenizer_config(joint=copies), text, text)
    config = tiny_config(copy="pointer") if copies else tiny_config(request.param, request.param)
    model = tiny_model(config, len(tokenizers.source), len(tokenizers.target)).eval()
    decoding = DecodingConfig(
        beam_size=3, length_penalty=0.7, max_length_ratio=1.0, max_length_extra=3, batch_size=2
    )
    return Translator(model, tokenizers, decoding)


def test_a_hypothesis_of_the_search_gets_the_log_probability_of_the_search(
    translator: Translator,
) -> None:
    found = [t for t in translator.translate(SENTENCES) if t.hypotheses]
    assert len(found) == len(SENTENCES) - 1
    for translation in found:
        for hypothesis in translation.hypotheses:
            batch = collate([translation.source_ids], [hypothesis.ids])
            log_probs = piece_log_probs(translator.model, batch)
            assert len(log_probs) == len(hypothesis.ids) + 1
            assert log_probs.sum().item() == pytest.approx(hypothesis.log_prob, abs=1e-4)
            alpha = translator.decoding.length_penalty
            penalty = length_penalty(len(log_probs), alpha)
            assert log_probs.sum().item() / penalty == pytest.approx(hypothesis.score, abs=1e-4)


def test_a_score_does_not_depend_on_its_batch(translator: Translator) -> None:
    pairs = [(source, target) for source in SENTENCES for target in SENTENCES]
    together = list(score_translations(translator, iter(pairs)))
    assert [(one.source, one.target) for one in together] == pairs
    for pair, scored in zip(pairs, together, strict=True):
        (alone,) = score_translations(translator, [pair])
        assert alone.pieces == scored.pieces
        assert alone.log_probs == pytest.approx(scored.log_probs, abs=1e-5)


def test_the_probabilities_of_all_next_pieces_sum_to_one(translator: Translator) -> None:
    """The last piece of a prefix takes every value of the vocabulary in turn."""
    source = translator.tokenizers.source.encode(SENTENCES[0])
    prefix = translator.tokenizers.target.encode("rot")
    model = translator.model
    vocabulary = [piece for piece in range(model.output.out_features) if piece != PAD]
    batch = collate([source] * len(vocabulary), [[*prefix, piece] for piece in vocabulary])
    log_probs = piece_log_probs(model, batch).view(len(vocabulary), -1)
    with torch.inference_mode():
        output = model(batch.source_ids, batch.source_mask, batch.target_input_ids)
        last = model.predictions(output)[0, len(prefix)]
        pad = last.softmax(0)[PAD].item()  # pads are never scored
    assert log_probs[:, len(prefix)].exp().sum().item() == pytest.approx(1 - pad, abs=1e-5)
    torch.testing.assert_close(log_probs[:, 0], log_probs[:1, 0].expand(len(vocabulary)))


def test_logits_in_slices_give_the_same(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [(source, SENTENCES[3]) for source in SENTENCES]
    whole = list(score_translations(translator, pairs))
    monkeypatch.setattr("nmt.decoding.scoring._LOGITS", 1)
    sliced = list(score_translations(translator, pairs))
    for one, other in zip(whole, sliced, strict=True):
        assert one.log_probs == pytest.approx(other.log_probs, abs=1e-6)
        assert one.log_prob == pytest.approx(math.fsum(one.log_probs))
        assert one.pieces[-1] == "</s>"
        assert (
            translator.tokenizers.target.decode(translator.tokenizers.target.encode(one.target))
            == one.target
        )
