"""Completion in shells: its table is current, its candidates right, and shells take them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.cli.completion.candidates import candidates
from nmt.cli.completion.shells import Shell, reply, script, split_line
from nmt.cli.completion.table import FILE, load_table
from nmt.config.store import group_choices

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two runs, one of them with a space in its name."""
    monkeypatch.chdir(tmp_path)
    for name in ("phrasebook", "my demo"):
        checkpoints = Path("runs", name, "checkpoints")
        checkpoints.mkdir(parents=True)
        (checkpoints / "best.pt").touch()
    Path("text.en").touch()
    return tmp_path


def complete(*words: str) -> list[str]:
    return candidates(load_table(), words)


def test_the_table_is_current(load_script: Callable[[str], Any]) -> None:
    assert FILE.read_text(encoding="utf-8") == load_script("completion_table").text(), (
        "run scripts/completion_table"
    )


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["tr"], ["train", "translate"]),
        (["bench", ""], ["decode", "train"]),
        (["data", "check", "--ht"], ["--html"]),
        (["translate", "--model", "x", "--sam"], ["--sample"]),
        (["translate", "--device", "cu"], ["cuda"]),
        (["translate", "--device=cu"], ["--device=cuda"]),
        (["train", "training.max_upd"], ["training.max_updates="]),
        (["train", "max_upd"], ["training.max_updates="]),
        (["train", "++seed"], ["++seed="]),
        (["train", "training.tf32="], ["training.tf32=true", "training.tf32=false"]),
        (["train", "logging.heatmap_layer="], ["logging.heatmap_layer=null"]),
        (["train", "optimizer=adam"], ["optimizer=adam", "optimizer=adamw"]),
        (["train", "-m", "optimizer=adam,sg"], ["optimizer=adam,sgd"]),
        (["train", "model.decoder.ce"], ["model.decoder.cell="]),
        (["train", "model=rnn", "model.decoder.ce"], ["model.decoder.cell="]),
        (["train", "model=transformer", "model.decoder.ce"], []),
        (["train", "experiment=rnnsearch", "optimizer.r"], ["optimizer.rho="]),
        (["train", "experiment=rnnsearch", "model.decoder.norm"], []),
        (["train", "--cfg", "j"], ["job"]),
        (["completion", "z"], ["zsh"]),
        (["help", "tr"], []),
        (["nowhere", ""], []),
    ],
)
def test_candidates(words: list[str], found: list[str], runs: Path) -> None:
    assert complete(*words) == found


@pytest.mark.parametrize("group", sorted(group_choices()))
def test_every_choice_of_every_group_is_offered(group: str) -> None:
    offered = complete("train", f"{group}=")
    assert offered == [f"{group}={choice}" for choice in group_choices()[group]]


def test_every_setting_is_reached_by_completing_its_sections() -> None:
    reached, waiting = set(), [""]
    while waiting:
        for found in complete("train", waiting.pop()):
            if found.endswith("="):
                reached.add(found[:-1])
            else:
                waiting.append(found)
    assert reached >= set(load_table().settings) | set(group_choices())


def test_run_folders_and_checkpoints_are_offered(runs: Path) -> None:
    assert complete("translate", "--model", "ru") == ["runs/"]
    assert complete("translate", "--model", "runs/") == ["runs/my demo", "runs/phrasebook"]
    assert complete("train", "run.dir=runs/p") == ["run.dir=runs/phrasebook"]
    of_run = complete("translate", "--model", "runs/phrasebook/")
    assert of_run == ["runs/phrasebook/checkpoints/best.pt"]
    assert complete("evaluate", "--source", "te") == ["text.en"]
    assert complete("train", "data.train.path=te") == ["data.train.path=text.en"]


def test_the_home_folder_stays_as_it_was_typed(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(runs))
    assert complete("translate", "--model", "~/runs/ph") == ["~/runs/phrasebook"]


def test_groups_of_the_user_are_offered(runs: Path) -> None:
    Path("conf/experiment").mkdir(parents=True)
    Path("conf/experiment/mine.yaml").touch()
    assert complete("train", "--config-dir", "conf", "experiment=mi") == ["experiment=mine"]


def test_bash_gets_only_what_follows_a_break_and_escapes() -> None:
    found = ["run.dir=a b", "run.dir=a$c"]
    assert list(reply(Shell.BASH, "run.dir=a", found, " =:")) == ["a\\ b", "a\\$c"]
    assert list(reply(Shell.BASH, "run.dir=a", found, " :")) == ["run.dir=a\\ b", "run.dir=a\\$c"]
    assert list(reply(Shell.FISH, "run.dir=a", found, " =:")) == found


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nmt ", [""]),
        ("nmt tr", ["tr"]),
        ("nmt train 'a b' x ", ["train", "a b", "x", ""]),
        ("nmt train run.dir='a b", ["train", "run.dir=a b"]),
        ("nmt translate a\\ b", ["translate", "a b"]),
    ],
)
def test_an_unfinished_line_is_split_as_the_shell_splits_it(line: str, words: list[str]) -> None:
    assert split_line(line) == words


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("nmt train training.max_upd", ["training.max_updates="]),
        ("nmt train model=tr", ["transformer"]),
        ("nmt translate --model runs/", ["runs/my\\ demo", "runs/phrasebook"]),
        ("nmt eval", ["evaluate"]),
        ("nmt translate 'what is", []),
    ],
)
def test_bash_completes(line: str, replies: list[str], runs: Path) -> None:
    code = (
        "eval \"$SCRIPT\"; COMP_WORDBREAKS=$' \\t\\n\"\\'><=;|&(:'; COMP_POINT=${#COMP_LINE}; "
        '_nmt_completion; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    given = {"SCRIPT": script(Shell.BASH), "COMP_LINE": line, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", code], env=os.environ | given, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split("\n")[:-1] == (replies or [""]), done.stderr


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes(runs: Path) -> None:
    code = f"{script(Shell.FISH)}\ncomplete -C 'nmt train model=tr'"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["fish", "--no-config", "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == ["model=transformer"], done.stderr


def test_completion_loads_nothing_that_takes_long() -> None:
    code = (
        "import json, sys; sys.argv = ['', 'zsh', 'train', 'training.']\n"
        "from nmt.cli.completion.__main__ import main; main()\n"
        "print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert not loaded & {"typer", "torch", "hydra", "omegaconf", "numpy", "yaml"}


@pytest.mark.parametrize("shell", list(Shell))
def test_the_command_prints_the_code_of_a_shell(nmt: Callable[..., Any], shell: Shell) -> None:
    result = nmt("completion", shell)
    assert (result.status, result.out) == (0, script(shell))


def test_another_shell_is_refused(refused: Callable[..., str]) -> None:
    assert "choose from bash, zsh, fish" in refused("completion", "tcsh")
