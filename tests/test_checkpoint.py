"""A checkpoint gives back what was saved, runs no code, and is whole or as it was before."""

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.checkpoint import Checkpoint, find_checkpoint, load_checkpoint, save_checkpoint
from nmt.config.data import TokenizerConfig
from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.model.build import build_model
from nmt.text.tokenizer import train_tokenizers


@pytest.fixture
def checkpoint(
    run_config: Callable[..., Config],
    tiny_config: Callable[..., ModelConfig],
    tokenizer_config: Callable[..., TokenizerConfig],
) -> Checkpoint:
    config = run_config(tiny_config(tying="decoder", size=8))
    sides = (["one two three four five"], ["eins zwei drei vier"])
    tokenizers = train_tokenizers(tokenizer_config(name="bpe"), *sides)
    model = build_model(config.model, len(tokenizers.source), len(tokenizers.target))
    training = {
        "progress": {"update": 7, "best_score": None, "seconds": 1.5},
        "optimizer": torch.optim.Adam(model.parameters()).state_dict(),
        "random": {"cpu": torch.get_rng_state()},
        "average": [torch.ones(2)],
    }
    return Checkpoint(config, tokenizers, model.state_dict(), training, {"bleu": 12.5})


def test_what_was_saved_comes_back(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(checkpoint, tmp_path / "new" / "last.pt")
    loaded = load_checkpoint(tmp_path / "new" / "last.pt")
    assert loaded.config == checkpoint.config
    assert loaded.metrics == {"bleu": 12.5}
    for side in ("source", "target"):
        before, after = getattr(checkpoint.tokenizers, side), getattr(loaded.tokenizers, side)
        assert after.to_bytes() == before.to_bytes()
    assert loaded.weights.keys() == checkpoint.weights.keys()
    for name, weight in checkpoint.weights.items():
        assert torch.equal(loaded.weights[name], weight)
    assert loaded.training is not None
    assert checkpoint.training is not None
    assert loaded.training["progress"] == checkpoint.training["progress"]
    assert torch.equal(loaded.training["random"]["cpu"], checkpoint.training["random"]["cpu"])
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["last.pt"]


def test_a_loaded_checkpoint_builds_the_same_model(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(checkpoint, tmp_path / "last.pt")
    model = load_checkpoint(tmp_path / "last.pt").build_model()
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, checkpoint.weights[name])
    assert model.output.weight is model.decoder.embedding.weight  # tied weights are tied again


class _Payload:
    """Unpickled as code, this would make the folder that it names."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["torch file", "old torch file", "pickle", "part of a checkpoint"])
def test_loading_runs_no_code(checkpoint: Checkpoint, tmp_path: Path, kind: str) -> None:
    payload, file = _Payload(tmp_path / "harm"), tmp_path / "evil.pt"
    match kind:
        case "torch file":
            torch.save(payload, file)
        case "old torch file":
            torch.save(payload, file, _use_new_zipfile_serialization=False)
        case "pickle":
            file.write_bytes(pickle.dumps(payload))
        case _:
            save_checkpoint(replace(checkpoint, training={"random": payload}), file)
    with pytest.raises(UserError, match=str(file)):
        load_checkpoint(file)
    assert not (tmp_path / "harm").exists()
    torch.load(file, weights_only=False) if kind != "pickle" else pickle.loads(file.read_bytes())
    assert (tmp_path / "harm").exists()  # the payload was alive


@pytest.mark.parametrize("error", [OSError("disk full"), RuntimeError("write failed")])
def test_a_write_that_fails_leaves_the_old_file(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(checkpoint, path)
    before = path.read_bytes()

    def fail(content: object, file: Any) -> None:
        file.write(b"half")
        raise error

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(UserError, match=f"cannot write the checkpoint {path}"):
        save_checkpoint(checkpoint, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_is_killed_leaves_the_old_file(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(checkpoint, path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(checkpoint, path)
    assert path.read_bytes() == before
    save_checkpoint(replace(checkpoint, metrics={"bleu": 1.0}), path)
    assert load_checkpoint(path).metrics == {"bleu": 1.0}


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_another_format_is_refused(checkpoint: Checkpoint, tmp_path: Path, version: object) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(checkpoint, path)
    content = torch.load(path, weights_only=True)
    torch.save(content | {"format_version": version}, path)
    with pytest.raises(UserError, match=f"{path} has checkpoint format {version}"):
        load_checkpoint(path)


def test_a_configuration_of_another_version_is_refused(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(checkpoint, path)
    content = torch.load(path, weights_only=True)
    content["config"]["model"]["novelty"] = 1
    torch.save(content, path)
    with pytest.raises(UserError, match=f"{path}.*model: unknown keys .*novelty.*another version"):
        load_checkpoint(path)


def test_weights_of_another_size_are_refused(checkpoint: Checkpoint) -> None:
    weights = {name: weight[:-1] for name, weight in checkpoint.weights.items()}
    with pytest.raises(UserError, match="weights do not fit"):
        replace(checkpoint, weights=weights).build_model()


def test_a_run_stands_for_its_best_model_or_else_its_last(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    with pytest.raises(UserError, match=f"{tmp_path} holds no checkpoints"):
        find_checkpoint(tmp_path)
    (checkpoints / "last.pt").touch()
    assert find_checkpoint(tmp_path) == checkpoints / "last.pt"
    (checkpoints / "best.pt").touch()
    assert find_checkpoint(tmp_path) == checkpoints / "best.pt"
    assert find_checkpoint(checkpoints / "last.pt") == checkpoints / "last.pt"
    with pytest.raises(UserError, match="there is no run or checkpoint"):
        find_checkpoint(tmp_path / "none")
