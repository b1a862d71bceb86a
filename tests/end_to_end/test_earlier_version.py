"""Runs that version 0.1 left behind can be opened, resumed and used for translation.

`data_files/version-0.1` holds two runs of four updates on the corpus of `tests/cli/conftest.py`.
Each was interrupted after update 3. `uninterrupted.jsonl` beside each holds the last two lines of
the metrics of the same run without an interruption.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.checkpoint import load_checkpoint
from nmt.config.schema import Config
from nmt.reporting.metric_log import read_metrics
from nmt.run.folder import RunFolder

Nmt = Callable[..., Any]

RUNS = Path(__file__).parents[1] / "data_files" / "version-0.1"
NAMES = sorted(path.name for path in RUNS.iterdir())
SETTINGS = {  # the command-line overrides besides the settings of `tiny`
    "rnn": [
        "model/decoder/attention=luong_general",
        *(f"model.{side}.embedding_size=8" for side in ("encoder", "decoder")),
        *(f"model.{side}.hidden_size=8" for side in ("encoder", "decoder")),
    ],
    "transformer": [
        *(
            f"model.{side}.{setting}"
            for side in ("encoder", "decoder")
            for setting in ("hidden_size=8", "feed_forward_size=16", "num_layers=1", "num_heads=2")
        ),
        "tokenizer.joint=true",
        "training.ema_decay=0.9",
    ],
}
SHARED = [
    *("training.max_updates=4", "training.validate_every=2", "training.save_every=2"),
    *("training.batch_tokens=64", "logging.log_every=1", "logging.samples=0"),
    *("tokenizer.normalization=identity", "logging.tensorboard=false", "decoding.beam_size=1"),
]
# Other processors sum in another order. After four updates the loss differs by far less than this.
TOLERANCE = 1e-4


@pytest.fixture
def folder(
    request: pytest.FixtureRequest, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The interrupted run in a new working folder, where its corpus has the same relative path."""
    monkeypatch.chdir(tmp_path)
    assert corpus == tmp_path / "corpus"
    return Path(shutil.copytree(RUNS / request.param, request.param))


@pytest.mark.parametrize("folder", NAMES, indirect=True)
def test_the_same_command_resumes_a_run_of_an_earlier_version(
    folder: Path, tiny: Callable[[Path], list[str]], nmt: Nmt
) -> None:
    tiny_settings = [s for s in tiny(Path("corpus")) if not s.startswith("model")]
    model = f"model={folder}"
    settings = [*tiny_settings, model, *SETTINGS[str(folder)], *SHARED]
    result = nmt("train", *settings, f"run.dir={folder}")
    assert result.status == 0, result.err
    rows = read_metrics(folder / "metrics.jsonl")
    assert [row["step"] for row in rows if "train/loss" in row] == [1, 2, 3, 4]
    lines = (folder / "uninterrupted.jsonl").read_text(encoding="utf-8").splitlines()
    for expected, row in zip(map(json.loads, lines), rows[-2:], strict=True):
        loss = "train/loss" if "train/loss" in expected else "valid/loss"
        assert row[loss] == pytest.approx(expected[loss], abs=TOLERANCE)


@pytest.mark.parametrize("folder", NAMES, indirect=True)
def test_a_model_of_an_earlier_version_translates(folder: Path, nmt: Nmt) -> None:
    result = nmt("translate", "--model", folder, stdin=b"one two three\n\nfour five six\n")
    assert result.status == 0, result.err
    assert len(result.out.split("\n")) == 4
    assert result.out.split("\n")[1] == ""


@pytest.mark.parametrize("folder", NAMES, indirect=True)
def test_settings_of_an_earlier_version_get_the_settings_added_later(folder: Path) -> None:
    config: Config = load_checkpoint(folder / "checkpoints" / "last.pt").config
    assert config.training.max_updates == 4
    assert RunFolder(folder).path == folder
    RunFolder(folder).check(config)


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "phrasebook-transformer-s1-c880b7"),
        (
            ["model=rnn", "model/decoder/attention=luong_general", "seed=3"],
            "phrasebook-rnn-luong_general-s3-73cc1c",
        ),
        (["experiment=multi30k_transformer"], "huggingface-transformer-s1-f3ff4a"),
        (["experiment=rnnsearch"], "huggingface-rnn-bahdanau-s1-7d0027"),
    ],
)
def test_a_command_without_run_dir_finds_the_folder_that_version_0_1_made(
    overrides: list[str], name: str
) -> None:
    from nmt.sweeps.overrides import compose_config

    earlier = compose_config([*overrides, "tokenizer.normalization=nmt_nfkc"], {})
    assert RunFolder.of(earlier).path == Path("runs") / name


def test_a_new_run_names_the_run_of_the_earlier_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nmt.sweeps.overrides import compose_config

    monkeypatch.chdir(tmp_path)
    config = compose_config([], {})
    assert not RunFolder.of(config).doubts(config)
    earlier = Path("runs/phrasebook-transformer-s1-c880b7")
    earlier.mkdir(parents=True)
    (earlier / "config.json").write_text("{}")
    (doubt,) = RunFolder.of(config).doubts(config)
    assert str(earlier) in doubt
    assert "tokenizer.normalization=nmt_nfkc" in doubt
    same = compose_config(["tokenizer.normalization=nmt_nfkc"], {})
    assert not RunFolder.of(same).doubts(same)
