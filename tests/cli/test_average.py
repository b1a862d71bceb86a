"""`nmt average`: writes an ordinary checkpoint, and refuses checkpoints of different models."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.checkpoint import load_checkpoint, save_checkpoint
from nmt.config.model import ModelConfig

Nmt = Callable[..., Any]


@pytest.fixture
def several(heads_model: Path, tmp_path: Path) -> Path:
    """A run folder of four checkpoints, of updates 2, 9 and 10, and 10 again as last.pt."""
    first = load_checkpoint(heads_model)
    folder = tmp_path / "run" / "checkpoints"
    state = {"progress": {"update": 0}}
    for number, name in (
        (2, "update-2.pt"),
        (9, "update-9.pt"),
        (10, "last.pt"),
        (10, "update-10.pt"),
    ):
        weights = {key: torch.full_like(weight, number) for key, weight in first.weights.items()}
        save_checkpoint(
            replace(first, weights=weights, training=state, update=number), folder / name
        )
    shutil.copy(heads_model, folder / "best.pt")
    return folder.parent


@pytest.mark.parametrize(("last", "mean"), [(1, 10.0), (2, 9.5), (3, 7.0)])
def test_the_last_of_a_run_by_update_each_once(
    nmt: Nmt, several: Path, tmp_path: Path, last: int, mean: float
) -> None:
    output = tmp_path / "average.pt"
    result = nmt("average", "--model", several, "--last", last, "--output", output)
    assert result.status == 0, result.err
    made = load_checkpoint(output)
    assert all((weight == mean).all() for weight in made.weights.values())
    assert made.training is None


def test_an_average_translates_like_any_model(nmt: Nmt, heads_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "average.pt"
    assert nmt("average", heads_model, heads_model, "--output", output).status == 0
    one, other = (nmt("translate", "--model", model, "one two") for model in (heads_model, output))
    assert one.status == other.status == 0, other.err
    assert one.out == other.out


def test_checkpoints_of_different_models_are_refused_by_name(
    nmt: Nmt,
    refused: Callable[..., str],
    several: Path,
    heads_model: Path,
    blind_model: Path,
    model_file: Callable[[ModelConfig], Path],
    tiny_config: Callable[..., ModelConfig],
    tmp_path: Path,
) -> None:
    output = tmp_path / "average.pt"
    wider = model_file(tiny_config("transformer", "transformer", num_layers=2, size=16))
    message = refused("average", heads_model, wider, "--output", output)
    assert str(wider) in message
    assert "model.encoder.hidden_size is 16 here and 12 there" in message
    assert "name is rnn" in refused("average", heads_model, blind_model, "--output", output)
    first = load_checkpoint(heads_model)
    swapped = replace(first.tokenizers, source=first.tokenizers.target)
    save_checkpoint(replace(first, tokenizers=swapped), tmp_path / "swapped.pt")
    message = refused("average", heads_model, tmp_path / "swapped.pt", "--output", output)
    assert "a different source tokenizer" in message
    message = refused("average", "--model", several, "--last", 4, "--output", output)
    assert "3 of 4 checkpoints" in message
    assert "training.keep_last=4" in message
    for arguments in (
        ["--output", output],
        ["--model", several, heads_model, "--output", output],
        ["--last", 2, heads_model, "--output", output],
        ["--last", 0, "--model", several, "--output", output],
        ["--model", tmp_path, "--output", output],
    ):
        refused("average", *arguments)
    assert not output.exists()
