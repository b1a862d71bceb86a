"""The update: results stay on the device until they are read, and deferring changes no bit."""

import math
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import nmt
from nmt.config.model import ModelConfig
from nmt.config.schema import AdadeltaConfig, AdamConfig, AdamWConfig, Config, SgdConfig
from nmt.data.encoded import EncodedCorpus
from nmt.errors import UserError
from nmt.kernels import dispatch
from nmt.kernels.private_torch import supports_found_inf
from nmt.model.build import build_model
from nmt.training.guard import BadUpdate
from nmt.training.optimizer import (
    build_optimizer,
    can_clip,
    clip_divisor,
    step_unless,
)
from nmt.training.passes.mixed_precision import MixedPrecision
from nmt.training.step_results import are_finite
from nmt.training.trainer import Trainer

SIZE = 30
Recorder = Any  # of conftest.py

NMT = Path(nmt.__file__).parent
READS = ("_local_scalar_dense", "is_nonzero", "item", "equal")
"""Operations that wait for the device in order to return a value to the host."""

SELECTIONS = ("nonzero", "masked_select", "_unique2")
"""Operations whose output shape depends on values, so that the host waits for the device."""

HOST_ONLY = {
    "kernels/dropout.py:draw",  # the seed comes from torch's CPU generator
    "kernels/linear/linear_layer.py:_are_finite",  # before a fused ReLU of oneDNN
    "kernels/recurrent/recurrent_layer.py:recurrent_layer",  # the fast path of a CPU
    # packing reads the lengths, on the CPU
    "kernels/recurrent/recurrent_layer.py:plain_recurrent_layer",
    "kernels/dropout.py:host_draw",  # LayerDrop draws on the CPU
    "data/batches/batch.py:_positions",  # `Batch.to` calls it before it copies the batch
}
"""Functions that read values of CPU tensors only, where nothing has to be waited for."""


def _caller() -> str:
    """Return the function of nmt that called the operation, such as "model/x.py:forward"."""
    for frame in reversed(traceback.extract_stack()):
        if Path(frame.filename).is_relative_to(NMT):
            return f"{Path(frame.filename).relative_to(NMT)}:{frame.name}"
    return "torch"


class HostReads(TorchDispatchMode):
    """Counts the operations that wait for the device, by the function that calls them."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func._schema.name.removeprefix("aten::")
        selects = name in SELECTIONS
        if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            indices = [index for index in args[1] if index is not None]
            selects = any(index.dtype in (torch.bool, torch.uint8) for index in indices)
        if selects or name in READS:
            self.reads[_caller()] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def corpus(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> EncodedCorpus:
    lengths = np.random.default_rng(3).integers(1, 9, (2, 60)).tolist()
    return corpus_of(make_pairs(*lengths, SIZE, SIZE))


def trainer_of(
    config: Config,
    corpus: EncodedCorpus,
    run: Recorder,
    read_every: int,
    poisoned: tuple[int, ...] = (),
) -> Trainer:
    """A trainer whose gradient is not finite at the poisoned updates; it logs as it reads."""
    config = replace(config, logging=replace(config.logging, log_every=max(5, read_every)))
    torch.manual_seed(1)
    model = build_model(config.model, SIZE, SIZE)
    trainer = Trainer(model, corpus, config, run.services(), read_every=read_every)

    def spoil(gradient: Tensor) -> Tensor:
        return gradient * math.nan if trainer.progress.update in poisoned else gradient

    model.output.weight.register_hook(spoil)
    return trainer


@pytest.mark.parametrize("kernels", ["auto", "plain"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["rnn", "transformer"])
def test_no_value_is_read_between_log_points(
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    corpus: EncodedCorpus,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    precision: str,
    kernels: str,
) -> None:
    monkeypatch.delenv(dispatch.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr(dispatch._Selection, "kernels", dispatch.Kernels(kernels))
    config = run_config(
        tiny_config(name, name, dropout=0.3),
        precision=precision,
        r_drop=1.0,
        ema_decay=0.9,
        accumulation=2,
        max_updates=100,
    )
    trainer = trainer_of(config, corpus, recorder(), read_every=100)
    updates = iter(trainer._loader)
    batches = [next(updates)[0] for _ in range(4)]
    trainer._loader.close()
    trainer._update(batches[0])  # the first one also creates the optimizer state
    lists: Counter[str] = Counter()
    tolist = Tensor.tolist

    def counted(tensor: Tensor) -> Any:  # it bypasses the dispatcher
        lists[_caller()] += 1
        return tolist(tensor)

    monkeypatch.setattr(Tensor, "tolist", counted)
    with HostReads() as between:
        for update in batches[1:]:
            trainer._update(update)
    assert not between.reads.keys() - HOST_ONLY
    assert not lists
    trainer._log_metrics()
    assert list(lists.values()) == [1], "the results should be read in one transfer"
    assert trainer.progress.tokens == sum(b.num_tokens for update in batches for b in update)
    assert trainer._window._updates == 0


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


@pytest.mark.parametrize("poisoned", [(), (2, 3, 7)])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "momentum"])
@pytest.mark.parametrize("name", ["rnn", "transformer"])
def test_deferred_reads_give_bit_identical_results(
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    corpus: EncodedCorpus,
    recorder: Recorder,
    name: str,
    optimizer: str,
    poisoned: tuple[int, ...],
) -> None:
    optimizers = {
        "adamw": AdamWConfig(
            learning_rate=0.003, beta1=0.9, beta2=0.98, epsilon=1e-9, weight_decay=0.1
        ),
        "sgd": SgdConfig(learning_rate=0.1, momentum=0.0, weight_decay=0.0),
        "momentum": SgdConfig(learning_rate=0.1, momentum=0.9, weight_decay=0.0),
    }
    changes = {"optimizer": optimizers[optimizer]} if optimizer in optimizers else {}
    config = run_config(
        tiny_config(name, name, dropout=0.3),
        max_updates=10,
        validate_every=4,
        save_every=5,
        max_skipped=3,
        ema_decay=0.99,
        **changes,
    )
    saved = []
    for read_every in (1, 5):
        run = recorder()
        trainer = trainer_of(config, corpus, run, read_every, poisoned)
        assert trainer.updater.checks_on_device is (read_every > 1)
        trainer.train()
        saved.append(run.saved)
        assert len(run.losses) == 10 - len(poisoned)
        assert trainer.progress.skipped_updates == len(poisoned)
        assert trainer.progress.skipped_in_row == 0
    assert_same(saved[1], saved[0])


def test_a_first_update_that_is_skipped_leaves_an_initial_state(
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    corpus: EncodedCorpus,
    recorder: Recorder,
) -> None:
    sgd = SgdConfig(learning_rate=0.1, momentum=0.9, weight_decay=0.0)
    config = run_config(tiny_config(), max_updates=6, max_skipped=3, optimizer=sgd)
    weights = []
    for read_every in (1, 3):
        trainer = trainer_of(config, corpus, recorder(), read_every, (1, 2))
        trainer.train()
        weights.append([p.detach().clone() for p in trainer.model.parameters()])
    assert all(map(torch.equal, *weights))


@pytest.mark.parametrize("check_on_device", [False, True])
def test_spans_stay_within_their_bounds(
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    corpus: EncodedCorpus,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    check_on_device: bool,
) -> None:
    """A penalty lowers all spans in each update. Beyond 0, they could not grow again at once."""
    stacks = dict(encoder="transformer", decoder="transformer", self_attention="adaptive_span")
    penalized = tiny_config(**stacks, attention_span=16, attention_span_loss=10.0)
    config = run_config(penalized, max_updates=6, ema_decay=0.5, optimizer=AdamConfig())
    run = recorder()
    trainer = trainer_of(config, corpus, run, 3 if check_on_device else 1)
    assert trainer.updater.checks_on_device == check_on_device
    spans = {n: p for n, p in trainer.model.named_parameters() if n.endswith("span_shares")}
    for number, span in enumerate(spans.values()):
        torch.nn.init.constant_(span, (0.0, 0.9999)[number % 2])
    trainer.train()
    last = run.saved["last.pt"]
    names = dict(trainer.model.named_parameters())
    average = dict(zip(names, last["training"]["average"], strict=True))
    for name, span in spans.items():
        assert ((span >= 0) & (span <= 1)).all(), name
        assert ((average[name] >= 0) & (average[name] <= 1)).all(), name
    assert (next(iter(spans.values())) == 0).all()


def test_skipped_updates_are_kept_and_stop_the_run_at_the_next_read(
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    corpus: EncodedCorpus,
    recorder: Recorder,
) -> None:
    config = run_config(tiny_config(), max_updates=20, max_skipped=1)
    kept: list[BadUpdate] = []
    trainer = trainer_of(config, corpus, recorder(), 5, (2, 3))
    trainer._guard._keep = kept.append
    with pytest.raises(UserError, match="update 3 is not finite"):
        trainer.train()
    assert [bad.update for bad in kept] == [2, 3]
    assert all(bad.batches and math.isnan(bad.gradient_norm) for bad in kept)
    assert trainer.progress.update == 5


def test_the_host_decides_for_an_optimizer_without_a_flag(
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    corpus: EncodedCorpus,
    recorder: Recorder,
) -> None:
    adadelta = AdadeltaConfig(learning_rate=1.0, rho=0.95, epsilon=1e-6, weight_decay=0.0)
    config = run_config(tiny_config(), max_updates=4, max_skipped=3, optimizer=adadelta)
    trainer = trainer_of(config, corpus, recorder(), 10, (2,))
    assert not trainer.updater.checks_on_device
    trainer.train()
    assert trainer.progress.skipped_updates == 1
    assert all(p.isfinite().all() for p in trainer.model.parameters())


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_step_is_suppressed_by_a_flag(momentum: float) -> None:
    model = torch.nn.Linear(3, 2)
    config = SgdConfig(learning_rate=0.5, momentum=momentum, weight_decay=0.0)
    optimizer = build_optimizer(config, model)
    assert supports_found_inf(optimizer)
    before = [p.detach().clone() for p in model.parameters()]
    for skip in (True, False):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, math.nan if skip else 1.0)
        step_unless(optimizer, torch.tensor(skip))
        moved = 0.0 if skip else 0.5
        for old, parameter in zip(before, model.parameters(), strict=True):
            torch.testing.assert_close(parameter, old - moved, rtol=0, atol=1e-6)
    assert not hasattr(optimizer, "found_inf")


def test_a_flag_is_set_only_where_the_optimizer_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = build_optimizer(
        SgdConfig(learning_rate=0.5, momentum=0.0, weight_decay=0.0), torch.nn.Linear(3, 2)
    )
    monkeypatch.delattr(optimizer, "_step_supports_amp_scaling")
    assert not supports_found_inf(optimizer), "a step with a NaN gradient would not be skipped"


def test_the_norm_of_no_gradient_is_on_the_device_of_the_loss() -> None:
    device = torch.device("meta")  # stands for a GPU
    precision = MixedPrecision(torch.nn.Linear(2, 2, device=device), torch.float32, device)
    assert precision.clip(1.0).device == device, "losses and norms are read in one transfer"


@pytest.mark.parametrize("max_norm", [None, 1e-3, 1e3])
@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_step_that_divides_the_gradient_clips_it(name: str, max_norm: float | None) -> None:
    results = []
    for in_step in (False, True):
        torch.manual_seed(1)
        model = torch.nn.Linear(30, 20)
        config: Any = SgdConfig(learning_rate=0.5, momentum=0.0, weight_decay=0.0)
        if name == "adam":  # its large epsilon makes the step depend on the gradient's scale
            config = AdamWConfig(
                learning_rate=0.5, beta1=0.9, beta2=0.98, epsilon=1e-3, weight_decay=0.1
            )
        optimizer = build_optimizer(config, model)
        with dispatch.as_on_accelerator():
            assert can_clip(optimizer)
        assert not can_clip(optimizer), "on a CPU, gradients are clipped before the step"
        precision = MixedPrecision(model, torch.float32, torch.device("cpu"))
        for _ in range(2):
            for parameter in model.parameters():
                parameter.grad = torch.randn_like(parameter)
            norm = precision.norm() if in_step else precision.clip(max_norm)
            divisor = clip_divisor(norm, max_norm) if in_step else None
            step_unless(optimizer, torch.tensor(False), divisor)
        results.append([norm, *(p.detach() for p in model.parameters())])
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("norm", [0.0, 3e38, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("loss", [0.0, -3e38, math.inf, math.nan])
def test_one_flag_covers_loss_and_norm(loss: float, norm: float) -> None:
    finite = are_finite(torch.tensor(loss), torch.tensor(norm))
    assert finite.item() is (math.isfinite(loss) and math.isfinite(norm))
