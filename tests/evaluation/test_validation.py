"""Validation: the loss over all tokens, translations in order, samples and their heatmaps."""

import html
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from nmt.config.model import ModelConfig
from nmt.config.schema import LoggingConfig
from nmt.data.corpus import ParallelText
from nmt.data.encoded import EncodedCorpus
from nmt.data.word_links import Links
from nmt.decoding.translator import Translator
from nmt.evaluation import metrics, validation
from nmt.evaluation.attention.aligner import Aligner
from nmt.evaluation.attention.alignment_error import score_links
from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor
from nmt.evaluation.attention.attention_statistics import AttentionStatistics
from nmt.evaluation.validation import evaluate_model, teacher_forced_report
from nmt.text.special_tokens import BOS, EOS

TinyConfig = Callable[..., ModelConfig]
TranslatorOf = Callable[..., Translator]


def _logging(samples: int) -> LoggingConfig:
    return LoggingConfig(log_every=1, tensorboard=False, samples=samples, heatmap_layer=-1)


@pytest.fixture
def translator(translator_of: TranslatorOf, tiny_config: TinyConfig) -> Translator:
    return translator_of(tiny_config())


def _by_hand(translator: Translator, source: list[int], target: list[int]) -> tuple[float, int]:
    """Return the loss of one sentence, summed piece by piece, and its number of target pieces."""
    model, total = translator.model, 0.0
    ids = torch.tensor([[*source, EOS]])
    state = model.start(model.encode(ids, torch.ones_like(ids, dtype=torch.bool)))
    for previous, following in zip([BOS, *target], [*target, EOS], strict=True):
        logits, _, state = model.step(torch.tensor([previous]), state)
        total -= float(logits.log_softmax(1)[0, following])
    return total, len(target) + 1


@torch.inference_mode()
def test_the_loss_is_the_mean_over_all_pieces_and_not_of_batches(
    translator: Translator, text: ParallelText, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = EncodedCorpus.encode(translator.tokenizers, text)
    single = [
        _by_hand(translator, encoded.source[i].tolist(), encoded.target[i].tolist())
        for i in range(len(encoded))
    ]
    expected = sum(loss for loss, _ in single) / sum(tokens for _, tokens in single)
    mean_of_means = sum(loss / tokens for loss, tokens in single) / len(single)
    assert abs(expected - mean_of_means) > 1e-3  # otherwise the test cannot distinguish the two
    for budget in (1, 20, 4096):
        monkeypatch.setattr(validation, "_BATCH_TOKENS", budget)
        forced = teacher_forced_report(translator, encoded, text)
        assert forced.loss == pytest.approx(expected, rel=1e-5)


def test_a_report_has_the_translations_and_their_scores(
    translator: Translator, text: ParallelText
) -> None:
    encoded = EncodedCorpus.encode(translator.tokenizers, text)
    report = evaluate_model(translator, text, encoded, _logging(2))
    expected = [translator.translate([source])[0].text for source in text.source]
    assert report.translations == expected
    assert report.translations[2] == ""
    assert report.bleu == metrics.bleu(expected, text.target)
    assert report.chrf == metrics.chrf(expected, text.target)
    assert report.scalars() == {
        "loss": report.loss,
        "perplexity": pytest.approx(math.exp(report.loss)),
        "bleu": report.bleu.value,
        "chrf": report.chrf.value,
        **report.attention,
    }
    assert {key.removeprefix("attention/layer-1/") for key in report.attention} == {
        "entropy",
        "eos_mass",
        "coverage_deviation",
    }


def test_attention_statistics_are_those_of_teacher_forcing_whatever_the_batches(
    translator_of: TranslatorOf,
    tiny_config: TinyConfig,
    text: ParallelText,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    translator = translator_of(tiny_config("transformer", "transformer", num_layers=2))
    encoded = EncodedCorpus.encode(translator.tokenizers, text)
    statistics = AttentionStatistics()
    for attention in Aligner(translator.model, translator.tokenizers).attention_maps(
        zip(text.source, text.target, strict=True)
    ):
        weights = torch.from_numpy(attention.weights)[None]
        masks = (torch.ones(1, weights.size(n), dtype=torch.bool) for n in (4, 3))
        statistics.add(weights, *masks)
    for budget in (1, 4096):
        monkeypatch.setattr(validation, "_BATCH_TOKENS", budget)
        forced = teacher_forced_report(translator, encoded, text)
        assert forced.attention == pytest.approx(statistics.scalars(), abs=1e-5)


@pytest.mark.parametrize("shift", [False, True])
def test_gold_links_give_the_aer_of_each_layer(
    translator_of: TranslatorOf, tiny_config: TinyConfig, text: ParallelText, shift: bool
) -> None:
    translator = translator_of(tiny_config("transformer", "transformer", num_layers=2))
    encoded = EncodedCorpus.encode(translator.tokenizers, text)
    aligner = Aligner(translator.model, translator.tokenizers)
    pairs = list(zip(text.source, text.target, strict=True))
    extractor = AlignmentExtractor(1, None, shift)
    links = list(aligner.links(pairs, extractor))
    other = score_links(
        list(aligner.links(pairs, AlignmentExtractor(0, None, shift))),
        [Links(found, found) for found in links],
    )
    assert other.error_rate > 0  # otherwise the test cannot distinguish the layers
    aligned = replace(text, alignment=[Links(found, found) for found in links])
    found = evaluate_model(translator, aligned, encoded, _logging(0)).scalars()
    name = "aer_shifted" if shift else "aer"
    assert found[f"attention/layer-2/{name}"] == 0
    assert found[f"attention/layer-1/{name}"] == pytest.approx(other.error_rate)
    assert set(found) > {f"attention/layer-{n}/{m}" for n in (1, 2) for m in ("aer", "aer_shifted")}


def test_validation_leaves_the_model_in_evaluation_mode(
    translator_of: TranslatorOf, tiny_config: TinyConfig, text: ParallelText
) -> None:
    translator = translator_of(tiny_config(dropout=0.5))
    encoded = EncodedCorpus.encode(translator.tokenizers, text)
    losses = set()
    for _ in range(2):
        translator.model.train()
        losses.add(evaluate_model(translator, text, encoded, _logging(0)).loss)
    assert len(losses) == 1


@pytest.mark.parametrize(("wanted", "shown"), [(0, 0), (1, 1), (3, 3), (4, 4), (99, 4)])
def test_samples_are_spread_over_nonblank_sentences(
    translator: Translator, text: ParallelText, wanted: int, shown: int
) -> None:
    encoded = EncodedCorpus.encode(translator.tokenizers, text)
    report = evaluate_model(translator, text, encoded, _logging(wanted))
    assert list(report.samples) == (["valid/samples"] if shown else [])
    assert list(report.heatmaps) == [f"valid_attention/sample-{n}" for n in range(1, shown + 1)]
    for table in report.samples.values():
        rows = [
            [html.unescape(cell.strip()) for cell in line.strip("|").split("|")]
            for line in table.splitlines()[2:]
        ]
        assert len({source for source, _, _ in rows}) == shown
        for source, reference, translation in rows:
            row = text.source.index(source)
            assert reference == text.target[row]
            assert translation == report.translations[row]


def test_tensorboard_shows_the_curves_of_a_validation_before_its_pictures(
    translator_of: TranslatorOf, tiny_config: TinyConfig, text: ParallelText
) -> None:
    translator = translator_of(tiny_config())
    encoded = EncodedCorpus.encode(translator.tokenizers, text)
    report = evaluate_model(translator, text, encoded, _logging(1))
    curves = {"train", *(f"valid/{name}".split("/")[0] for name in report.scalars())}
    pictures = {tag.split("/")[0] for tag in report.heatmaps}
    assert pictures, "nothing is drawn"
    assert max(curves) < min(pictures)


def test_a_model_without_attention_has_samples_but_no_heatmaps(
    translator_of: TranslatorOf, tiny_config: TinyConfig, text: ParallelText
) -> None:
    translator = translator_of(tiny_config(attention="none"))
    encoded = EncodedCorpus.encode(translator.tokenizers, text)
    report = evaluate_model(translator, text, encoded, _logging(2))
    assert report.samples["valid/samples"].count("\n") == 2 + 2
    assert report.heatmaps == {}
    assert report.attention == {}


def test_the_perplexity_of_a_huge_loss_is_finite() -> None:
    score = metrics.Score(0.0, "")
    assert math.isfinite(validation.ValidationReport(1e6, score, score, []).perplexity)
