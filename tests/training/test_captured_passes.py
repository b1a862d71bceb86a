"""Captured passes: bit for bit the losses, weights and states of uncaptured ones."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from recorded_graphs import RecordedGraphs
from torch import Tensor

from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.data.encoded import EncodedCorpus
from nmt.kernels import dispatch
from nmt.model.build import build_model
from nmt.training import captured_passes, compilation
from nmt.training.trainer import Trainer

SIZE = 30
Recorder = Any  # of conftest.py

MODELS: dict[str, dict[str, Any]] = {
    "transformer": dict(encoder="transformer", decoder="transformer", num_layers=2),
    "shaw": dict(encoder="transformer", decoder="transformer", positions="relative"),
    "t5": dict(encoder="transformer", decoder="transformer", positions="t5_bias"),
    "bahdanau-gru": dict(attention="bahdanau", cell="gru"),
    "bahdanau-lstm": dict(attention="bahdanau", cell="lstm"),
    "luong-fed-gru": dict(attention="luong_general", cell="gru"),
    "luong-fed-lstm": dict(attention="luong_general", cell="lstm", num_layers=2),
    "luong-unfed-gru": dict(attention="luong_general", cell="gru", input_feeding=False),
    "luong-unfed-lstm": dict(
        attention="luong_general", cell="lstm", input_feeding=False, num_layers=2
    ),
}


@pytest.fixture
def corpus(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> EncodedCorpus:
    lengths = np.random.default_rng(3).integers(1, 9, (2, 120)).tolist()
    return corpus_of(make_pairs(*lengths, SIZE, SIZE))


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordedGraphs]:
    """Captures on the CPU, where kernels are those of a GPU."""
    backend = RecordedGraphs()
    monkeypatch.setattr(compilation, "graph_backend", lambda _: backend)
    # oneDNN's recurrent layer keeps state outside of its tensors; cuDNN's does not.
    with dispatch.as_on_accelerator(), torch.backends.mkldnn.flags(enabled=False):
        yield backend


def trainer_of(
    config: Config,
    corpus: EncodedCorpus,
    run: Recorder,
    compile: str = "auto",
    **options: Any,
) -> Trainer:
    training = replace(config.training, compile=compile, batch_shapes="bucketed")
    logging = replace(config.logging, log_every=100)
    torch.manual_seed(1)
    model = build_model(config.model, SIZE, SIZE)
    config = replace(config, training=training, logging=logging)
    return Trainer(model, corpus, config, run.services(), read_every=4, **options)


def assert_same(found: Any, expected: Any, path: str = "") -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for key, value in expected.items():
            if key not in ("seconds", "validation_seconds"):
                assert_same(found[key], value, f"{path}.{key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), path
        for index, value in enumerate(expected):
            assert_same(found[index], value, f"{path}[{index}]")
    elif isinstance(expected, Tensor):
        assert torch.equal(found, expected), path
    else:
        assert found == expected, path


@pytest.mark.parametrize("name", list(MODELS))
def test_captured_passes_change_no_bit(
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    corpus: EncodedCorpus,
    recorder: Recorder,
    graphs: RecordedGraphs,
    name: str,
) -> None:
    config = run_config(
        tiny_config(**MODELS[name], dropout=0.3),
        max_updates=24,
        accumulation=2,
        batch_tokens=128,
        ema_decay=0.9,
        clip_norm=0.5,
    )
    saved, losses = [], []
    for choice in ("none", "auto"):
        run = recorder()
        trainer_of(config, corpus, run, choice).train()
        saved.append(run.saved)
        losses.append(run.losses)
    assert graphs.replays > 24
    assert 2 <= graphs.captures <= graphs.warm_ups
    assert losses[1] == losses[0]
    assert_same(saved[1], saved[0])
