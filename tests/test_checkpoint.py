"""A checkpoint is loaded as saved, runs no code, and is replaced completely or not at all."""

import errno
import io
import os
import pickle
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from nmt.checkpoint import (
    FORMAT_VERSION,
    Checkpoint,
    DamagedCheckpointError,
    encode_checkpoint,
    find_checkpoint,
    load_checkpoint,
    save_checkpoint,
    sealed,
)
from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.model.build import build_model
from nmt.text.tokenizer import train_tokenizers

# Written by the last version of format 1: an RNN of 2,528 parameters, stopped by Ctrl-C after
# update 2 of 4, with a moving average and sampled subwords, on the corpus of tests/cli/conftest.py.
FORMAT_1 = Path(__file__).parent / "data_files" / "checkpoint-v1.pt"


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
    return Checkpoint(config, tokenizers, model.state_dict(), training, {"bleu": 12.5}, 7)


def test_a_saved_checkpoint_is_loaded_unchanged(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(checkpoint, tmp_path / "new" / "last.pt")
    loaded = load_checkpoint(tmp_path / "new" / "last.pt")
    assert loaded.config == checkpoint.config
    assert loaded.metrics == {"bleu": 12.5}
    assert loaded.update == 7
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
    assert model.output.weight is model.decoder.embedding.weight  # tied weights are still tied


def test_a_trained_model_equals_a_built_one_and_draws_no_random_numbers(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    save_checkpoint(checkpoint, tmp_path / "last.pt")
    built = load_checkpoint(tmp_path / "last.pt").build_model()
    before = torch.get_rng_state()
    trained = load_checkpoint(tmp_path / "last.pt", mapped=True).trained_model()
    assert torch.equal(torch.get_rng_state(), before)
    assert not trained.training
    for one, other in zip(trained.state_dict().values(), built.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(trained.buffers(), built.buffers(), strict=True):
        assert torch.equal(one, other)  # positions too, which the file does not contain
    assert trained.output.weight is trained.decoder.embedding.weight


class _Payload:
    """If it is unpickled as code, it creates the folder that it names."""

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
    assert (tmp_path / "harm").exists()  # the payload does run as code


class _FullDisk(io.FileIO):
    """A file that accepts only this number of bytes."""

    room = 0

    def write(self, content: Any) -> int:
        written = super().write(memoryview(content)[: self.room])
        self.room -= written
        if written < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written


@pytest.mark.parametrize("room", [0, 1, 5_000])
def test_a_full_disk_keeps_only_the_old_file(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(checkpoint, path)
    before = path.read_bytes()
    assert room < len(before)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, mode: _FullDisk(path, mode))
        patch.setattr(_FullDisk, "room", room)
        with pytest.raises(UserError, match=f"{path}: No space left on device; free some space"):
            save_checkpoint(replace(checkpoint, metrics={}), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_named(checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").touch()
    with pytest.raises(UserError, match=f"cannot write the checkpoint {tmp_path}.*; fix that"):
        save_checkpoint(checkpoint, tmp_path / "checkpoints" / "last.pt")


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_killed_write_keeps_the_old_file(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(checkpoint, path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, moment, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(replace(checkpoint, metrics={}), path)
    assert path.read_bytes() == before
    save_checkpoint(replace(checkpoint, metrics={"bleu": 1.0}), path)
    assert load_checkpoint(path).metrics == {"bleu": 1.0}
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_flushed_before_its_rename_and_the_folder_after_it(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, steps = tmp_path / "last.pt", []
    fsync, rename = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def note_rename(old: Path, new: Path) -> None:
        steps.append("rename")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_rename)
    save_checkpoint(checkpoint, path)
    assert steps == ["file", "rename", "folder"]


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_damage_at_any_position_is_refused(
    checkpoint: Checkpoint, tmp_path: Path, damage: str
) -> None:
    whole, path = bytes(encode_checkpoint(checkpoint)), tmp_path / "last.pt"
    random = Random(1)
    places = [random.randrange(len(whole)) for _ in range(50)]
    places += [0, *range(len(whole) - 80, len(whole))]  # the checksum itself
    for place in places:
        flipped = bytes([whole[place] ^ 1 << random.randrange(8)])
        rest = b"" if damage == "truncated" else flipped + whole[place + 1 :]
        path.write_bytes(whole[:place] + rest)
        with pytest.raises(DamagedCheckpointError, match=f"{path} .*damaged.*checkpoints/"):
            load_checkpoint(path)
    path.write_bytes(whole)
    load_checkpoint(path)


def test_bytes_after_the_end_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(bytes(encode_checkpoint(checkpoint)) + b"\0")
    with pytest.raises(DamagedCheckpointError, match=str(path)):
        load_checkpoint(path)


def test_torch_load_opens_the_file(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(checkpoint, path)
    for in_place in (False, True):
        content = torch.load(path, weights_only=True, mmap=in_place)
        assert content["format_version"] == FORMAT_VERSION
    assert zipfile.ZipFile(path).testzip() is None


def test_a_file_of_format_1_is_still_read() -> None:
    assert torch.load(FORMAT_1, weights_only=True)["format_version"] == 1
    loaded = load_checkpoint(FORMAT_1)
    assert loaded.update == 2
    assert loaded.training is not None
    assert loaded.training["progress"]["update"] == 2
    assert loaded.config.training.keep_last == 1
    translator = Translator(loaded.build_model().eval(), loaded.tokenizers, loaded.config.decoding)
    assert len(translator.translate(["one two three", "four"])) == 2


@pytest.mark.parametrize("version", [3, 0, "1", None, True])
def test_an_unknown_format_is_refused(
    checkpoint: Checkpoint, tmp_path: Path, version: object
) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(checkpoint, path)
    content = torch.load(path, weights_only=True)
    path.write_bytes(sealed(content | {"format_version": version}))
    with pytest.raises(UserError, match=f"{path} has checkpoint format {version}"):
        load_checkpoint(path)


def test_a_configuration_of_another_version_is_refused(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(checkpoint, path)
    content = torch.load(path, weights_only=True)
    content["config"]["model"]["novelty"] = 1
    path.write_bytes(sealed(content))
    with pytest.raises(UserError, match=f"{path}.*model: unknown keys .*novelty.*another version"):
        load_checkpoint(path)


def test_weights_of_another_size_are_refused(checkpoint: Checkpoint) -> None:
    weights = {name: weight[:-1] for name, weight in checkpoint.weights.items()}
    with pytest.raises(UserError, match="weights do not match"):
        replace(checkpoint, weights=weights).build_model()


def test_a_run_stands_for_its_best_model_or_else_its_last(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    with pytest.raises(UserError, match=f"{tmp_path} has no checkpoints"):
        find_checkpoint(tmp_path)
    (checkpoints / "last.pt").touch()
    assert find_checkpoint(tmp_path) == checkpoints / "last.pt"
    (checkpoints / "best.pt").touch()
    assert find_checkpoint(tmp_path) == checkpoints / "best.pt"
    assert find_checkpoint(checkpoints / "last.pt") == checkpoints / "last.pt"
    with pytest.raises(UserError, match="there is no run or checkpoint"):
        find_checkpoint(tmp_path / "none")


def test_a_lack_of_memory_is_not_damage(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.pt"
    save_checkpoint(checkpoint, path)

    def exhausted(*_: Any, **__: Any) -> None:
        raise MemoryError

    for module, name in ((zipfile, "ZipFile"), (torch, "load")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, exhausted)
            with pytest.raises(MemoryError):
                load_checkpoint(path)
