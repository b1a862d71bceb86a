"""The checkpoint to which a diverged run rewinds."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nmt.checkpoint import Checkpoint, save_checkpoint
from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.run.checkpoints import run_checkpoints
from nmt.run.checkpoints.run_checkpoints import RunCheckpoints
from nmt.run.folder import RunFolder
from nmt.text.tokenizer import TokenizerPair, train_tokenizers


@pytest.fixture
def saved(
    tmp_path: Path, run_config: Callable[..., Config], tiny_config: Callable[..., ModelConfig]
) -> tuple[RunCheckpoints, Path, list[str]]:
    """A run with update-2.pt, update-4.pt and last.pt, whose weight is the update's number."""
    config, said = run_config(tiny_config()), list[str]()
    tokenizer = replace(config.tokenizer, vocab_size=20)
    text = ["one two three four five six seven eight nine ten"] * 3
    tokenizers: TokenizerPair = train_tokenizers(tokenizer, text, text)
    folder = RunFolder(tmp_path)
    for name, update in (("update-2.pt", 2), ("update-4.pt", 4), ("last.pt", 6)):
        weights = {"weight": torch.tensor([float(update)])}
        content = Checkpoint(config, tokenizers, weights, {"progress": {}}, {}, update)
        save_checkpoint(content, folder.checkpoints / name)
    return RunCheckpoints(folder, config, tokenizers, said.append), folder.checkpoints, said


def test_a_run_rewinds_to_the_requested_or_the_oldest_checkpoint(
    saved: tuple[RunCheckpoints, Path, list[str]],
) -> None:
    checkpoints, folder, _ = saved
    found = [checkpoints.reload(back) for back in range(5)]
    names = ["last.pt", "update-4.pt", *["update-2.pt"] * 3]
    assert [earlier and earlier.name for earlier in found] == names
    for file in folder.iterdir():
        file.unlink()
    assert checkpoints.reload(0) is None


def test_a_run_never_rewinds_to_damaged_or_non_finite_weights(
    saved: tuple[RunCheckpoints, Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints, folder, said = saved
    with (folder / "last.pt").open("r+b") as file:
        file.seek(200)
        file.write(b"damage")
    earlier = checkpoints.reload(0)
    assert earlier is not None
    assert earlier.name == "update-4.pt"
    assert [f"{folder / 'last.pt'} is" in line for line in said] == [True]
    load = run_checkpoints.load_checkpoint

    def poisoned(path: Path) -> Checkpoint:
        checkpoint = load(path)
        if path.name == "update-4.pt":
            checkpoint.weights["weight"].fill_(math.nan)
        return checkpoint

    monkeypatch.setattr(run_checkpoints, "load_checkpoint", poisoned)
    earlier = checkpoints.reload(0)
    assert earlier is not None
    assert earlier.weights["weight"].item() == 2
