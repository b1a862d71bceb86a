"""What people type out of habit is right, or one line names what to type instead."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nmt as package
from nmt.sweeps.overrides import quote_value

ROOT = Path(__file__).resolve().parents[2]
Refused = Callable[..., str]


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ("--max-updates 10", "training.max_updates=10"),
        ("--max_updates=10", "training.max_updates=10"),
        ("--training.max_updates=10", "training.max_updates=10"),
        ("--max-update 10 seed=2", "training.max_updates=10"),
        ("--lr 0.1 --seed 3", "optimizer.learning_rate=0.1 seed=3"),
        ("--epochs 3", "training.max_updates=VALUE (training is measured in updates"),
        ("--batch-size 64", "training.batch_tokens=VALUE (a batch is measured in pieces"),
        ("--src en --tgt de", "data.source_language=en data.target_language=de"),
        ("--src a.en --tgt a.de", "data=files data.train.source=a.en data.train.target=a.de"),
        ("--data corpus.tsv", "data=files data.train.path=corpus.tsv"),
        ("--data multi30k", "data=multi30k"),
        ("--device cuda:1", "training.device=cuda:1"),
        ("--gpu 0", "training.device=cuda:0"),
        ("--fp16", "training.precision=float16"),
        ("--tf32 seed=1", "training.tf32=true"),
        ("--no-tensorboard", "logging.tensorboard=false"),
        ("--dropout 0.1", "model.encoder.dropout=0.1 model.decoder.dropout=0.1"),
        ("--model rnn --attention luong_dot", "model=rnn model/decoder/attention=luong_dot"),
        ("--output-dir runs/x", "run.dir=runs/x"),
        ("--vocab-size 800", "tokenizer.vocab_size=800"),
        ("--label-smoothing=0", "training.label_smoothing=0"),
        ("--config my.yaml", "--config-dir FOLDER experiment=NAME"),
        ("--frobnicate 3", "settings are written KEY=VALUE, see nmt train --help"),
    ],
)
def test_an_option_of_train_names_the_setting(
    arguments: str, written: str, refused: Refused
) -> None:
    message = refused("train", *arguments.split())
    flag = arguments.split()[0].partition("=")[0]
    assert f"nmt train has no option {flag}" in message
    assert written in message
    assert f"nmt prepare has no option {flag}" in refused("prepare", *arguments.split())


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["trian"], "did you mean nmt train?"),
        (["predict"], "did you mean nmt translate?"),
        (["scores"], "did you mean nmt score?"),
        (["preprocess"], "did you mean nmt prepare?"),
        (["version"], "did you mean nmt --version?"),
        (["bench", "trin"], "did you mean nmt bench train?"),
        (["translate", "--modle", "x"], "did you mean --model?"),
        (["translate", "--checkpoint", "x"], "did you mean --model?"),
        (["evaluate", "--model", "x", "--ref", "y"], "did you mean --reference?"),
        (["export", "x", "--format", "onnx"], "did you mean --to?"),
        (["export", "x", "--quantization", "int8"], "did you mean --weights int8?"),
        (["bench", "train", "--max-updates", "5"], "write training.max_updates=5"),
        (["zzz"], "there is no command nmt zzz; see nmt --help"),
    ],
)
def test_a_wrong_command_or_option_names_the_right_one(
    arguments: list[str], meant: str, refused: Refused
) -> None:
    assert meant in refused(*arguments)


@pytest.mark.parametrize(
    "command",
    [
        *([name] for name in ("train", "prepare", "translate", "average", "evaluate", "align")),
        *(["attention"], ["completion"], ["bench", "train"], ["bench", "decode"]),
        *(["data", "check"], ["data"], ["bench"], []),
    ],
)
def test_help_has_three_spellings(command: list[str], nmt: Callable[..., Any]) -> None:
    whole = nmt(*command, "--help")
    assert (whole.status, whole.err) == (0, "")
    assert nmt(*command, "-h") == whole
    assert nmt("help", *command) == whole


@pytest.mark.parametrize("group", ["data", "bench"])
def test_a_group_of_commands_alone_prints_its_help(group: str, nmt: Callable[..., Any]) -> None:
    assert nmt(group) == nmt(group, "--help")


@pytest.mark.parametrize("arguments", [["-V"], ["--version"], ["train", "--version"]])
def test_the_version_has_two_spellings(arguments: list[str], nmt: Callable[..., Any]) -> None:
    assert nmt(*arguments).out == f"nmt {package.__version__}\n"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for age, name in enumerate(("old", "middle", "phrasebook")):
        Path("runs", name, "checkpoints").mkdir(parents=True)
        os.utime(Path("runs", name), (1e9 + age, 1e9 + age))


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("runs/phrasbook", "; did you mean runs/phrasebook?"),
        ("phrasebok", "; did you mean runs/phrasebook?"),
        ("runs", "; its newest runs: runs/phrasebook, runs/middle, runs/old"),
        ("runs/zzz", "; the newest runs in runs: runs/phrasebook, runs/middle, runs/old"),
        ("nowhere/x", "there is no run or checkpoint nowhere/x"),
    ],
)
def test_a_wrong_run_names_the_nearest_or_the_newest(
    model: str, hint: str, refused: Refused
) -> None:
    assert refused("translate", "--model", model, "a").endswith(hint)
    if model.startswith("runs/"):
        assert hint in refused("evaluate", "--model", model, "--source", __file__, *_reference())


def _reference() -> list[str]:
    return ["--reference", __file__]


def test_home_folders_in_lists_and_in_folders_of_hydra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert quote_value("training.init_from=~/a,~/b") == "training.init_from='~/a','~/b'"
    assert quote_value("hydra.sweep.dir=~/sweeps") == "hydra.sweep.dir=/home/someone/sweeps"
    assert quote_value("hydra.run.dir=~/x") == "hydra.run.dir=/home/someone/x"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        *((call, {"FORCE_COLOR": "1"}) for call in (["--help"], ["translate", "-h"], ["trian"])),
        *((["train", "--lr", "1"], wanted) for wanted in ({"FORCE_COLOR": "1"}, {})),
        (["--help"], {"NO_COLOR": "1"}),
    ],
)
def test_nothing_is_colored_even_on_a_terminal(
    arguments: list[str], wanted: dict[str, str]
) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)} | wanted
    with subprocess.Popen(
        [sys.executable, "-m", "nmt", *arguments], stdout=theirs, stderr=theirs, env=environment
    ):
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65_536):
                shown += part
        except OSError:  # the other end is closed
            pass
    os.close(ours)
    assert shown
    assert not re.search(rb"\x1b\[[0-9;]*m", shown)
