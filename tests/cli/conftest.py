from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import corpus, nmt, refused, run, tiny
from model_files import model_file

from nmt.config.model import ModelConfig

__all__ = ["corpus", "model_file", "nmt", "refused", "run", "tiny"]  # fixtures

TinyConfig = Callable[..., ModelConfig]


@pytest.fixture
def heads_model(model_file: Callable[[ModelConfig], Path], tiny_config: TinyConfig) -> Path:
    """A Transformer of 2 layers and 4 heads with random weights."""
    return model_file(tiny_config("transformer", "transformer", num_layers=2))


@pytest.fixture
def blind_model(model_file: Callable[[ModelConfig], Path], tiny_config: TinyConfig) -> Path:
    """A model without attention, with random weights."""
    return model_file(tiny_config(attention="none"))
