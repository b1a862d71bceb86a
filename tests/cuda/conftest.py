"""The device of the tests that need a GPU; NMT_TEST_DEVICE=cpu tries them without one.

On the CPU, every kernel path is then chosen as on a GPU where that is possible.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import torch
from command_line import corpus, nmt, refused, run, tiny
from tiny_models import KINDS

from nmt import runtime
from nmt.config.model import ModelConfig
from nmt.kernels import dispatch

__all__ = ["corpus", "nmt", "refused", "run", "tiny"]  # fixtures

# cuBLAS reads this once, before its first product; training.deterministic needs it.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture
def device(restored: None) -> Iterator[torch.device]:
    """The GPU, with exact float32 products."""
    name = os.environ.get("NMT_TEST_DEVICE", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device: torch.cuda.is_available() is False")
    runtime.set_cuda_numerics(tf32=False, deterministic=False)
    with ExitStack() as stack:
        if name == "cpu":
            stack.enter_context(dispatch.as_on_accelerator())
        yield runtime.pick_device(name)


@pytest.fixture
def restored() -> Iterator[None]:
    """Restore the process-wide choices of kernels and numerics."""
    yield
    dispatch.set_kernels("auto")
    runtime.set_cuda_numerics(tf32=False, deterministic=False)


@pytest.fixture
def kind(tiny_config: Callable[..., ModelConfig]) -> Callable[..., ModelConfig]:
    """A factory of the settings of a kind of model, with changes."""
    return lambda name, **changes: tiny_config(**{**KINDS[name], **changes})
