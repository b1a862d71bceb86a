"""Measurements before a run: ``training.batch_tokens=auto`` and the dry run."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.data.batches.batch import Batch
from nmt.data.corpus import ParallelText
from nmt.data.encoded import EncodedCorpus
from nmt.evaluation.attention.learned_spans import learned_spans
from nmt.model.build import build_model
from nmt.model.structured_dropout import LayerDrop
from nmt.run.batch_size import set_batch_tokens
from nmt.run.dry_run import rehearse_run
from nmt.training.passes import rehearsal
from nmt.training.trainer import Trainer

SIZE = 30


@pytest.fixture
def trainer(
    make_pairs: Callable[..., Any],
    corpus_of: Callable[[Any], EncodedCorpus],
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    recorder: Any,
) -> Trainer:
    """The trainer of a new model with learned spans, whose training skips layers."""
    model = tiny_config(
        "transformer",
        "transformer",
        self_attention="adaptive_span",
        attention_span=50,
        layer_drop=0.5,
    )
    config = run_config(model, batch_tokens=64)
    corpus = corpus_of(make_pairs((3, 5, 2, 6), (2, 1, 2, 3), SIZE, SIZE))
    return Trainer(build_model(model, SIZE, SIZE), corpus, config, recorder().services())


@pytest.fixture
def corpus(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> EncodedCorpus:
    """Four pairs."""
    return corpus_of(make_pairs((3, 5, 2, 6), (2, 1, 2, 3), SIZE, SIZE))


def passes(trainer: Trainer) -> tuple[set[float], set[float]]:
    """Return the spans of a model, and the probabilities that it skips a layer."""
    drops = (one for one in trainer.model.modules() if isinstance(one, LayerDrop))
    return set(learned_spans(trainer.model).values()), {drop.probability for drop in drops}


def test_batches_fit_in_memory_with_the_largest_passes(
    trainer: Trainer, corpus: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spans begin at 0 and grow; a batch that is measured with spans of 0 could be too large."""
    before = passes(trainer)
    assert before == ({0.0}, {0.5})
    measured: list[Any] = []
    monkeypatch.setattr(trainer.updater, "attempt", lambda _: measured.append(passes(trainer)))
    monkeypatch.setattr(rehearsal, "peak_memory", lambda _: 0)
    config = replace(trainer.config, training=replace(trainer.config.training, batch_tokens=0))
    set_batch_tokens(trainer, corpus, config, torch.device("cpu"), lambda line: None)
    assert measured
    assert all(found == ({50.0}, {0.0}) for found in measured)
    assert passes(trainer) == before


def test_a_dry_run_measures_the_largest_passes(
    trainer: Trainer, corpus: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In training and in a validation."""
    before, training, validation = passes(trainer), list[Any](), list[Any]()

    def attempt(batch: Batch, *, step: bool) -> None:
        training.append(passes(trainer))

    def translate(sources: list[str]) -> None:
        validation.append(passes(trainer))

    search = SimpleNamespace(translate=translate)
    greedy: Any = SimpleNamespace(
        decoding=SimpleNamespace(batch_size=2), with_features=lambda _: search
    )
    valid: Any = ParallelText(source=["a", "b"], target=["c", "d"])
    monkeypatch.setattr(trainer.updater, "attempt", attempt)
    rehearse_run(trainer, corpus, greedy, valid)
    assert training
    assert all(found == ({50.0}, {0.0}) for found in training)
    assert [spans for spans, _ in validation] == [{50.0}]
    assert passes(trainer) == before
