"""Captured passes: bit for bit the losses, weights and states of uncaptured ones."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from recorded_passes import RecordedPasses
from torch import Tensor

from nmt.config.checks.capturable import capture_obstacle
from nmt.config.checks.check_config import check_config
from nmt.config.model import ModelConfig
from nmt.config.recipe_settings import DistillationConfig
from nmt.config.schema import Config
from nmt.data.encoded import EncodedCorpus
from nmt.errors import UserError
from nmt.kernels import dispatch
from nmt.model.build import build_model
from nmt.training.distillation import Teacher
from nmt.training.objective import Objective
from nmt.training.passes import captured_passes, compilation
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
    "cosine-dropped": dict(attention="cosine", cell="gru", attention_dropout=0.3),
    "luong-unfed-gru": dict(attention="luong_general", cell="gru", input_feeding=False),
    "luong-unfed-lstm": dict(
        attention="luong_general", cell="lstm", input_feeding=False, num_layers=2
    ),
}


@pytest.fixture
def corpus(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> EncodedCorpus:
    lengths = np.random.default_rng(3).integers(1, 9, (2, 60)).tolist()
    return corpus_of(make_pairs(*lengths, SIZE, SIZE))


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordedPasses]:
    """Captures on the CPU, where kernels are those of a GPU."""
    backend = RecordedPasses()
    monkeypatch.setattr(compilation, "graph_backend", lambda _: backend)
    # oneDNN's recurrent layer keeps state outside of its tensors; cuDNN's does not.
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    with dispatch.as_on_accelerator():
        yield backend


def _is_validation(line: str) -> bool:
    return "validation: perplexity" in line


def trainer_of(
    config: Config,
    corpus: EncodedCorpus,
    run: Recorder,
    compile: str = "auto",
    report: Callable[[str], None] = lambda _: None,
    shapes: str = "bucketed",
) -> Trainer:
    training = replace(config.training, compile=compile, batch_shapes=shapes)
    logging = replace(config.logging, log_every=100)
    torch.manual_seed(1)
    model = build_model(config.model, SIZE, SIZE)
    config = replace(config, training=training, logging=logging)
    services = replace(run.services(), report=lambda line: _is_validation(line) or report(line))
    return Trainer(model, corpus, config, services, read_every=4)


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
    graphs: RecordedPasses,
    name: str,
) -> None:
    config = run_config(
        tiny_config(**MODELS[name], dropout=0.3),
        max_updates=12,
        accumulation=2,
        batch_tokens=128,
        ema_decay=0.9,
        clip_norm=0.5,
    )
    saved, losses, lines = [], [], list[str]()
    for choice in ("none", "auto"):
        run = recorder()
        trainer_of(config, corpus, run, choice, lines.append).train()
        saved.append(run.saved)
        losses.append(run.losses)
    assert not lines, "a pass reads the host, or makes a tensor from its numbers"
    assert graphs.replays > 10
    assert 2 <= graphs.captures <= graphs.warm_ups
    assert losses[1] == losses[0]
    assert_same(saved[1], saved[0])


def test_packed_passes_are_one_graph(
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    corpus: EncodedCorpus,
    recorder: Recorder,
    graphs: RecordedPasses,
) -> None:
    model = tiny_config(**MODELS["transformer"], dropout=0.3)
    config = run_config(model, max_updates=8, batch_tokens=128, accumulation=2)
    saved, lines = [], list[str]()
    for choice in ("none", "auto"):
        run = recorder()
        trainer_of(config, corpus, run, choice, lines.append, "packed").train()
        saved.append(run.saved)
    assert not lines
    assert graphs.warm_ups == graphs.captures == 1
    assert graphs.replays > 8
    assert_same(saved[1], saved[0])


@pytest.fixture
def config(tiny_config: Callable[..., ModelConfig], run_config: Callable[..., Config]) -> Config:
    """A Transformer with dropout, trained for 16 updates."""
    model = tiny_config(**MODELS["t5"], dropout=0.3)
    return run_config(model, max_updates=16, batch_tokens=64, max_skipped=20)


@pytest.mark.parametrize(
    "changes",
    [
        dict(r_drop=1.0),
        dict(label_smoothing=0.0, coverage_loss=0.5),
        dict(distillation=DistillationConfig(weight=0.5, attention_weight=0.1)),
    ],
    ids=["r-drop", "coverage", "distillation"],
)
def test_extra_losses_are_those_of_the_last_replay(
    config: Config,
    corpus: EncodedCorpus,
    recorder: Recorder,
    graphs: RecordedPasses,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
) -> None:
    config = replace(config, training=replace(config.training, accumulation=2, **changes))
    found = []
    for choice in ("none", "auto"):
        trainer = trainer_of(config, corpus, recorder(), choice)
        if "distillation" in changes:
            teacher = Teacher(build_model(config.model, SIZE, SIZE), changes["distillation"])
            trainer.updater._objective = Objective(config.training, teacher)
        extra = []
        count = trainer._window.add
        monkeypatch.setattr(
            trainer._window,
            "add",
            lambda *args, count=count, extra=extra: (extra.append(args[-1]), count(*args)),
        )
        trainer.train()
        found.append(extra)
    assert graphs.replays > 12
    assert len(found[0]) == 16
    assert all(found[0])
    assert_same(found[1], found[0])


def test_loss_scale_and_skipped_updates_are_inputs_of_the_graph(
    config: Config, corpus: EncodedCorpus, recorder: Recorder, graphs: RecordedPasses
) -> None:
    """A scale so large that gradients overflow is halved until they are finite."""
    found = []
    for choice in ("none", "auto"):
        run = recorder()
        trainer = trainer_of(config, corpus, run, choice)
        precision = trainer.updater.precision
        precision._scaled = True
        precision._scale.fill_(2.0**127)
        trainer.model.output.weight.register_hook(lambda gradient: gradient * 1000)
        trainer.train()
        found.append((run.saved, run.losses))
    assert 3 < len(run.losses) < 15, "some updates should be skipped, and some not"
    assert graphs.replays > 5
    assert found[1][1] == found[0][1]
    assert_same(found[1][0], found[0][0])


def test_a_resumed_run_captures_at_other_updates_and_draws_the_same_numbers(
    config: Config, corpus: EncodedCorpus, recorder: Recorder, graphs: RecordedPasses
) -> None:
    whole, first, second = recorder(), recorder(stop_after=8), recorder()
    trainer_of(config, corpus, whole, "none").train()
    trainer_of(config, corpus, first).train()
    captured = graphs.captures
    resumed = trainer_of(config, corpus, second)
    saved = first.saved["last.pt"]
    resumed.resume(saved["weights"], saved["training"])
    resumed.train()
    assert captured
    assert graphs.captures > captured
    assert_same(second.saved, whole.saved)


def test_a_failed_capture_is_reported_and_the_run_continues(
    config: Config, corpus: EncodedCorpus, recorder: Recorder, graphs: RecordedPasses
) -> None:
    config = replace(config, training=replace(config.training, accumulation=2, batch_tokens=128))
    graphs.fails = True
    saved, lines = [], list[str]()
    for choice in ("none", "auto"):
        run = recorder()
        trainer_of(config, corpus, run, choice, lines.append).train()
        saved.append(run.saved)
    assert lines == [
        "training.compile: a pass could not be captured as a CUDA graph (operation not permitted "
        "when stream is capturing); the run continues without graphs"
    ]
    assert graphs.replays == 0
    assert_same(saved[1], saved[0])


def test_memory_that_runs_out_ends_capturing(
    config: Config, corpus: EncodedCorpus, recorder: Recorder, graphs: RecordedPasses
) -> None:
    lines: list[str] = []
    trainer = trainer_of(config, corpus, recorder(), report=lines.append)
    captured = trainer.updater._captured
    assert captured is not None
    replay, failures = graphs._replay, iter([False] * 2 + [True])

    def limited(recording: Any, losses: Any) -> Any:
        run = replay(recording, losses)

        def once() -> Any:
            if next(failures, False):
                raise torch.OutOfMemoryError("CUDA out of memory")
            return run()

        return once

    graphs._replay = limited  # type: ignore[method-assign]
    trainer.train()
    assert trainer.progress.update == 16
    assert graphs.replays == 2
    (line,) = lines
    assert "memory ran out; passes are no longer captured as CUDA graphs" in line
    assert trainer.progress.pass_limit is None, "the passes fit once the graphs' memory is free"


def test_shapes_beyond_the_limit_run_uncaptured(
    config: Config,
    corpus: EncodedCorpus,
    recorder: Recorder,
    graphs: RecordedPasses,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(captured_passes, "MOST_GRAPHS", 1)
    saved = []
    for choice in ("none", "auto"):
        run = recorder()
        trainer_of(config, corpus, run, choice).train()
        saved.append(run.saved)
    assert graphs.captures == 1
    assert 0 < graphs.replays < 12
    assert_same(saved[1], saved[0])


def test_moved_weights_are_captured_again(
    config: Config, corpus: EncodedCorpus, recorder: Recorder, graphs: RecordedPasses
) -> None:
    """A graph reads the addresses of its recording, where stale weights would remain."""
    saved = []
    for choice in ("none", "auto"):
        run = recorder(stop_after=8)
        trainer = trainer_of(config, corpus, run, choice)
        trainer.train()
        for parameter in trainer.model.parameters():
            parameter.data = parameter.data.clone()
        run.stop_after = None
        trainer.train()
        saved.append(run.saved)
    assert_same(saved[1], saved[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(gradient_checkpointing=True), "with training.gradient_checkpointing=true"),
        (dict(kernels="plain"), "with training.kernels=plain"),
    ],
)
def test_graphs_refuse_what_cannot_be_captured(
    config: Config, changes: dict[str, Any], message: str
) -> None:
    training = replace(config.training, compile="graphs", **changes)
    with pytest.raises(UserError, match=message):
        check_config(replace(config, training=training))
    assert capture_obstacle(config) is None


def test_graphs_need_a_cuda_device(
    config: Config, corpus: EncodedCorpus, recorder: Recorder
) -> None:
    with pytest.raises(UserError, match="needs a CUDA device, a single process"):
        trainer_of(config, corpus, recorder(), "graphs")


def test_layers_are_compiled_for_training_alone(
    config: Config, corpus: EncodedCorpus, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []

    def compile_(function: Callable[..., Any], *, dynamic: bool) -> Callable[..., Any]:
        assert dynamic, "one piece of code should serve all lengths"

        def run(*args: Any, **kwargs: Any) -> Any:
            compiled.append(function)
            return function(*args, **kwargs)

        return run

    monkeypatch.setattr(torch, "compile", compile_)
    saved = []
    for choice in ("none", "layers"):
        run = recorder()
        trainer = trainer_of(config, corpus, run, choice)
        trainer.train()
        saved.append(run.saved)
    assert len(compiled) == 2 * config.training.max_updates
    encoder = trainer.model.eval().encoder
    encoder(torch.ones(1, 3, dtype=torch.long), torch.ones(1, 3, dtype=torch.bool))
    assert len(compiled) == 2 * config.training.max_updates
    assert_same(saved[1], saved[0])


def test_compiled_layers_are_for_transformers(
    tiny_config: Callable[..., ModelConfig], run_config: Callable[..., Config]
) -> None:
    with pytest.raises(UserError, match="is for Transformer layers"):
        check_config(run_config(tiny_config(), compile="layers"))
