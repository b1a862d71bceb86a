"""The batch size of ``training.batch_tokens=auto``."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.data.batches.batch import Batch
from nmt.data.encoded import EncodedCorpus
from nmt.evaluation.attention.learned_spans import learned_spans
from nmt.model.build import build_model
from nmt.run.batch_size import set_batch_tokens
from nmt.training.passes import rehearsal
from nmt.training.trainer import Trainer

SIZE = 30


def test_batches_fit_in_memory_with_the_longest_spans(
    make_pairs: Callable[..., Any],
    corpus_of: Callable[[Any], EncodedCorpus],
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    recorder: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Spans begin at 0 and grow; a batch that is measured with spans of 0 could be too large."""
    corpus = corpus_of(make_pairs((3, 5, 2, 6), (2, 1, 2, 3), SIZE, SIZE))
    model = tiny_config(
        "transformer", "transformer", self_attention="adaptive_span", attention_span=50
    )
    config = run_config(model, batch_tokens=0)
    trainer = Trainer(build_model(model, SIZE, SIZE), corpus, config, recorder().services())
    before = learned_spans(trainer.model)
    assert set(before.values()) == {0.0}
    measured: list[float] = []

    def attempt(batch: Batch) -> None:
        measured.extend(learned_spans(trainer.model).values())

    monkeypatch.setattr(trainer.updater, "attempt", attempt)
    monkeypatch.setattr(rehearsal, "peak_memory", lambda _: 0)
    set_batch_tokens(trainer, corpus, config, torch.device("cpu"), lambda line: None)
    assert set(measured) == {50.0}
    assert learned_spans(trainer.model) == before
