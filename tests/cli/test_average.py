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
    output, copy = tmp_path / "average.pt", tmp_path / "copy.pt"
    shutil.copy(heads_model, copy)
    assert nmt("average", heads_model, copy, "--output", output).status == 0
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


@pytest.mark.parametrize(("kind", "drawn"), [("favor", "directions"), ("lsh", "rotations")])
def test_weights_for_other_random_numbers_are_refused(
    refused: Callable[..., str],
    nmt: Nmt,
    model_file: Callable[[ModelConfig], Path],
    tiny_config: Callable[..., ModelConfig],
    tmp_path: Path,
    kind: str,
    drawn: str,
) -> None:
    output, moved, other = (tmp_path / f"{name}.pt" for name in ("average", "moved", "other"))
    file = model_file(tiny_config("transformer", "rnn", self_attention=kind))
    first = load_checkpoint(file)
    name = f"encoder.layers.0.self_attention.{drawn}"
    learned = {key: weight + (key != name) for key, weight in first.weights.items()}
    save_checkpoint(replace(first, weights=learned), moved)
    save_checkpoint(replace(first, weights=learned | {name: -learned[name]}), other)
    assert f"{other} has other random numbers" in refused(
        "average", file, other, "--output", output
    )
    assert nmt("average", file, moved, "--output", output).status == 0
    assert torch.equal(load_checkpoint(output).weights[name], first.weights[name])


def test_run_folders_and_the_newest_update(
    nmt: Nmt, several: Path, heads_model: Path, tmp_path: Path
) -> None:
    output, other = tmp_path / "average.pt", tmp_path / "other"
    shutil.copytree(several, other)
    first = load_checkpoint(heads_model)
    for run, number, update in ((several, 4, 30), (other, 6, 20)):
        weights = {key: torch.full_like(weight, number) for key, weight in first.weights.items()}
        save_checkpoint(
            replace(first, weights=weights, update=update), run / "checkpoints" / "best.pt"
        )
    result = nmt("average", several, other, "--output", output)
    assert result.status == 0, result.err
    assert all((weight == 5).all() for weight in load_checkpoint(output).weights.values())
    assert load_checkpoint(output).update == 30
    result = nmt("average", other, "--last", 3, "--output", output)
    assert result.status == 0, result.err
    assert all((weight == 7).all() for weight in load_checkpoint(output).weights.values())
    files = [several / "checkpoints" / name for name in ("update-2.pt", "last.pt", "update-9.pt")]
    assert nmt("average", *files, "--output", output).status == 0
    assert load_checkpoint(output).update == 10


def test_no_file_counts_twice_in_silence(
    nmt: Nmt, refused: Callable[..., str], heads_model: Path, tmp_path: Path
) -> None:
    output, copy, link = tmp_path / "average.pt", tmp_path / "copy.pt", tmp_path / "link.pt"
    shutil.copy(heads_model, copy)
    link.symlink_to(heads_model)
    assert "counts once" in refused("average", heads_model, heads_model, "--output", output)
    assert "one file" in refused("average", heads_model, link, "--output", output)
    result = nmt("average", heads_model, copy, "--output", output)
    assert result.status == 0
    assert f"{heads_model} and {copy} have the same weights" in result.err


def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    refused: Callable[..., str], heads_model: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.pt"
    shutil.copy(heads_model, copy)
    before = copy.read_bytes()
    none = tmp_path / "copy.pt"  # given twice, but the output is checked first
    assert "is a folder" in refused("average", copy, none, "--output", tmp_path)
    assert "averaged files" in refused("average", copy, heads_model, "--output", copy)
    assert str(copy) in refused("average", copy, heads_model, "--output", copy / "x.pt")
    assert copy.read_bytes() == before


def test_weights_that_do_not_match_the_settings_are_named(
    refused: Callable[..., str], heads_model: Path, tmp_path: Path
) -> None:
    first, wrong = load_checkpoint(heads_model), tmp_path / "wrong.pt"
    name = "decoder.embedding.weight"
    save_checkpoint(replace(first, weights={**first.weights, name: torch.zeros(3, 2)}), wrong)
    message = refused("average", heads_model, wrong, "--output", tmp_path / "average.pt")
    assert f"{wrong} cannot be used" in message
    assert f"{name} is [3, 2], not" in message
