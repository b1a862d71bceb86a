from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import NUMBERS, ZAHLEN, corpus, nmt, refused, run, tiny

from nmt.checkpoint import Checkpoint, save_checkpoint
from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.model.seq2seq import TranslationModel
from nmt.text.tokenizer import TokenizerPair, train_tokenizers

__all__ = ["corpus", "nmt", "refused", "run", "tiny"]  # fixtures

TinyConfig = Callable[..., ModelConfig]


@pytest.fixture
def heads_model(model_file: Callable[[ModelConfig], Path], tiny_config: TinyConfig) -> Path:
    """A Transformer of 2 layers and 4 heads with random weights."""
    return model_file(tiny_config("transformer", "transformer", num_layers=2))


@pytest.fixture
def blind_model(model_file: Callable[[ModelConfig], Path], tiny_config: TinyConfig) -> Path:
    """A model without attention, with random weights."""
    return model_file(tiny_config(attention="none"))


@pytest.fixture
def model_file(
    tmp_path_factory: pytest.TempPathFactory,
    run_config: Callable[..., Config],
    tiny_model: Callable[..., TranslationModel],
) -> Callable[[ModelConfig], Path]:
    """Return a function that saves a checkpoint with random weights and subword pieces."""

    def save(model: ModelConfig) -> Path:
        config = run_config(model)
        tokenizer = replace(config.tokenizer, vocab_size=23)
        sides = ([" ".join(words)] for words in (NUMBERS, ZAHLEN))
        source, target = (train_tokenizers(tokenizer, side, side).source for side in sides)
        weights = tiny_model(model, len(source), len(target)).state_dict()
        path = tmp_path_factory.mktemp("model") / "model.pt"
        save_checkpoint(Checkpoint(config, TokenizerPair(source, target), weights, None, {}), path)
        return path

    return save
