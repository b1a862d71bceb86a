"""How many operations an update launches on an accelerator, whose host is slower than its kernels.

The paths of a GPU run on the CPU here. An operation of torch counts as one launch; views and
allocations count as none. The first numbers are those of commit 929e8f0.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.data.batches.batch import Batch, collate
from nmt.kernels import dispatch
from nmt.model.build import build_model
from nmt.training.objective import AuxiliaryTargets
from nmt.training.services import UpdateProfiler
from nmt.training.training_progress import TrainingProgress
from nmt.training.update import Updater

VOCABULARY, PAIRS, LENGTH = 8_000, 256, 16  # those of experiment=bench_transformer: 4,096 tokens
ALLOCATIONS = {"detach", "empty", "empty_like", "empty_strided", "new_empty", "_unsafe_view"}


class Operations(TorchDispatchMode):
    """Counts operations by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.is_on = True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        space, name = func._schema.name.split("::")
        launches = space == "aten" and not func.is_view and name not in ALLOCATIONS
        if self.is_on and launches:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))

    @contextmanager
    def one(self, name: str) -> Iterator[None]:
        """Count a block as one operation."""
        self.counts[name] += 1
        self.is_on = False
        yield
        self.is_on = True


class _Layer(torch.autograd.Function):
    """A recurrent layer in one launch in each direction of the pass, as cuDNN runs it."""

    @staticmethod
    def forward(ctx: Any, operations: Operations, run: Any, states: Any, *weights: Tensor) -> Any:
        ctx.operations = operations
        with operations.one("recurrent layer"), torch.enable_grad():
            ctx.inputs = [part.detach().requires_grad_() for part in (states, *weights)]
            ctx.outputs = run(ctx.inputs[0])
        return tuple(output.detach() for output in ctx.outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:  # the numbers do not matter here
        with ctx.operations.one("recurrent layer, backward"):
            return None, None, *(torch.zeros_like(part) for part in ctx.inputs)


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> Iterator[Operations]:
    """Count operations as a GPU composes them: dropout and recurrent layers are one there."""
    monkeypatch.delenv(dispatch.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr(dispatch._Selection, "kernels", dispatch.Kernels.AUTO)
    monkeypatch.setattr(functional, "dropout", lambda x, p: torch.native_dropout(x, p, True)[0])
    counter, gru = Operations(), torch.gru

    def run_layer(states: Tensor, first: Tensor, weights: list[Tensor], *options: Any) -> Any:
        def run(inputs: Tensor) -> Any:
            return gru(inputs, first, weights, *options)

        return _Layer.apply(counter, run, states, *weights)

    monkeypatch.setattr(torch, "gru", run_layer)
    with dispatch.as_on_accelerator():
        yield counter


def model_of(kind: str, tiny: Callable[..., ModelConfig]) -> ModelConfig:
    """The shape of bench_transformer and bench_rnn with narrow layers, which changes no count."""
    if kind == "transformer":
        return tiny(
            kind, kind, num_layers=3, size=16, tying="all", dropout=0.1, attention_dropout=0
        )
    attention = "bahdanau" if kind == "bahdanau" else "luong_general"
    fed = kind != "luong unfed"
    return tiny(attention=attention, input_feeding=fed, size=16, dropout=0.1, attention_dropout=0)


def update_of(config: Config) -> tuple[Updater, Batch]:
    torch.manual_seed(1)
    model = build_model(config.model, VOCABULARY, VOCABULARY)
    updater = Updater(
        model,
        config,
        TrainingProgress(),
        AuxiliaryTargets(),
        report=lambda _: None,
        profiler=UpdateProfiler(),
        check_on_device=True,
    )
    ids = np.random.default_rng(1).integers(4, VOCABULARY, (2, PAIRS, LENGTH - 1)).tolist()
    return updater, collate(*ids)


BEFORE = {"transformer": 1_021, "bahdanau": 1_661, "luong fed": 1_641, "luong unfed": 764}
MOST = {"transformer": 0.47, "bahdanau": 0.64, "luong fed": 0.64, "luong unfed": 0.33}
"""Share of the earlier number that is allowed now. The moving average was one operation per weight
on a GPU, but is counted as one there."""


@pytest.mark.parametrize("kind", BEFORE)
def test_an_update_launches_few_operations(
    kind: str,
    operations: Operations,
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
) -> None:
    model = model_of(kind, tiny_config)
    config = run_config(model, precision="bfloat16", ema_decay=0.999, clip_norm=1.0)
    updater, batch = update_of(config)
    updater.step([batch])  # the first update creates the optimizer's state
    with operations:
        updater.step([batch])
    counts = operations.counts
    assert counts["_scaled_dot_product_flash_attention_for_cpu_backward"] == 9 * (
        kind == "transformer"
    ), "the backward pass was not counted"
    assert counts.total() <= MOST[kind] * BEFORE[kind], counts.most_common(20)
