"""An ensemble is the averaged distribution of its models, in search and in scoring.

Legend: T target pieces with EOS, V vocabulary.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from recorded_graphs import RecordedGraphs
from torch import Tensor

from nmt.config.ensemble_mean import Mean
from nmt.config.schema import DecodingConfig
from nmt.data.batches.batch import Batch, source_batch
from nmt.decoding.ensemble import Ensemble
from nmt.decoding.scoring import piece_log_probs
from nmt.decoding.search import beam_search
from nmt.kernels import dispatch
from nmt.model.seq2seq import TranslationModel

SOURCES = [[5, 6, 7], [8], [9, 10, 11, 12, 13], [4, 4]]
OPTIONS = DecodingConfig(beam_size=3, length_penalty=0.6, max_length_ratio=1.0, max_length_extra=4)
Collate = Callable[[list[Any]], Batch]


@pytest.fixture
def models(
    tiny_model: Callable[..., TranslationModel], tiny_config: Callable[..., Any]
) -> list[TranslationModel]:
    """A Transformer, an RNN with attention, one that copies and one without attention."""
    configs = (
        tiny_config("transformer", "transformer", num_layers=2),
        tiny_config(attention="luong_general"),
        tiny_config(copy="pointer"),
        tiny_config(attention="none", cell="lstm"),
    )
    made = [tiny_model(config) for config in configs]
    for model in made:
        with torch.no_grad():
            model.output.weight.mul_(4)
    return made


def averaged(models: Sequence[TranslationModel], batch: Batch, mean: Mean) -> Tensor:
    """Return the log-probabilities [T, V] of one pair, each model by teacher forcing."""
    inputs = batch.source_ids, batch.source_mask, batch.target_input_ids
    with torch.no_grad():
        probs = torch.stack([m.predictions(m(*inputs))[0].double().softmax(-1) for m in models])
    if mean == Mean.PROBS:
        return probs.mean(0).log()
    product = probs.log().mean(0).exp()
    return (product / product.sum(-1, keepdim=True)).log()


@pytest.mark.parametrize("mean", list(Mean))
@pytest.mark.parametrize("way", ["exact", "fixed", "captured"])
def test_a_hypothesis_has_the_averaged_probability(
    models: list[TranslationModel], batch_of: Collate, mean: Mean, way: str
) -> None:
    ensemble = Ensemble(models, mean).eval()
    graphs = RecordedGraphs() if way == "captured" else None
    with ExitStack() as stack:
        if way != "exact":
            stack.enter_context(dispatch.as_on_accelerator())
        found = beam_search(ensemble, *source_batch(SOURCES), OPTIONS, graphs=graphs)
    for source, hypotheses in zip(SOURCES, found, strict=True):
        for hypothesis in hypotheses:
            batch = batch_of([(source, hypothesis.ids)])
            rows = averaged(models, batch, mean)
            expected = rows.gather(1, batch.target_output_ids[0][:, None]).sum().item()
            assert hypothesis.log_prob == pytest.approx(expected, abs=1e-4)
            scored = piece_log_probs(ensemble, batch).sum().item()
            assert scored == pytest.approx(expected, abs=1e-4)


def test_the_weights_are_those_of_the_first_model(
    models: list[TranslationModel], batch_of: Collate
) -> None:
    ensemble = Ensemble(models).eval()
    found = beam_search(ensemble, *source_batch(SOURCES), OPTIONS, need_weights=True)
    for source, hypotheses in zip(SOURCES, found, strict=True):
        batch = batch_of([(source, hypotheses[0].ids)])
        inputs = batch.source_ids, batch.source_mask, batch.target_input_ids
        with torch.no_grad():
            expected = models[0](*inputs, need_weights=True).weights
        assert hypotheses[0].weights is not None
        torch.testing.assert_close(hypotheses[0].weights, expected[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mean", list(Mean))
def test_a_model_with_itself_is_the_model(models: list[TranslationModel], mean: Mean) -> None:
    batch = source_batch(SOURCES)
    alone = beam_search(models[0], *batch, OPTIONS)
    together = beam_search(Ensemble([models[0]] * 3, mean).eval(), *batch, OPTIONS)
    for one, other in zip(alone, together, strict=True):
        assert [h.ids for h in one] == [h.ids for h in other]
        assert [h.score for h in one] == pytest.approx([h.score for h in other], abs=1e-4)
