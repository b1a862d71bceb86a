"""Help, version and configuration are printed quickly: commands load only what they need."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import nmt as package

HEAVY = ("torch", "hydra", "omegaconf", "sentencepiece", "sacrebleu", "datasets", "matplotlib")


def _python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=100
    )


def _loaded_after(code: str, *arguments: str) -> set[str]:
    result = _python(
        f"import json, sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
        "print(json.dumps(list(sys.modules)), file=sys.stderr)",
        *arguments,
    )
    return set(json.loads(result.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("import nmt", []),
        ("from nmt.cli.main import main; main()", ["--help"]),
        ("from nmt.cli.main import main; main()", ["--version"]),
        ("from nmt.cli.main import main; main()", ["translate", "--help"]),
        ("from nmt.cli.main import main; main()", ["translate"]),
        ("from nmt.cli.main import main; main()", ["align", "--help"]),
        ("from nmt.cli.main import main; main()", ["attention", "--help"]),
    ],
)
def test_quick_answers_load_nothing_heavy(code: str, arguments: list[str]) -> None:
    assert not _loaded_after(code, *arguments) & set(HEAVY)


@pytest.mark.parametrize("flag", ["--help", "--cfg"])
def test_train_answers_without_torch(flag: str) -> None:
    arguments = [flag] if flag == "--help" else [flag, "job"]
    loaded = _loaded_after("from nmt.cli.main import main; main()", "train", *arguments)
    assert "hydra" in loaded
    assert not loaded & {"torch", "matplotlib", "sacrebleu", "datasets", "numpy", "filelock"}


def test_translating_loads_neither_hydra_nor_the_trainer(heads_model: Path) -> None:
    arguments = ["translate", "--model", str(heads_model), "one two"]
    loaded = _loaded_after("from nmt.cli.main import main; main()", *arguments)
    assert "torch" in loaded
    assert not loaded & {"hydra", "omegaconf", "nmt.training.trainer", "nmt.pipeline"}
    assert not loaded & {"datasets", "matplotlib", "pandas", "pyarrow", "sacrebleu", "sympy"}
    assert not loaded & {"torch._dynamo", "torch._inductor", "nmt.data.corpus", "numpy.random"}


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_help_names_the_commands(nmt: Callable[..., Any], arguments: list[str]) -> None:
    result = nmt(*arguments)
    assert result.status == 0
    assert result.err == ""
    for command in ("train", "translate", "evaluate", "align", "attention"):
        assert f"  {command} " in result.out


def test_version(nmt: Callable[..., Any]) -> None:
    result = nmt("--version")
    assert (result.status, result.out) == (0, f"nmt {package.__version__}\n")


def test_help_of_train_shows_groups_choices_and_examples(nmt: Callable[..., Any]) -> None:
    result = nmt("train", "--help")
    assert result.status == 0
    for part in (
        "nmt train model=rnn model/decoder/attention=luong_general",
        "nmt train -m seed=1,2",
        "model/decoder/attention: bahdanau, cosine, luong_concat, luong_dot, luong_general,",
        "experiment: attention_bahdanau, attention_cosine, ",
        "sweep: attention, learning_rate, luong2015_table4",
        "data: files, huggingface, multi30k, phrasebook",
        "--cfg job",
        "  training.max_updates=600\n      integer, at least 1, updates. Optimizer updates of the",
        "  optimizer.learning_rate=0.002\n",
        "  model.encoder.norm=pre\n      pre | post. ",
    ):
        assert part in result.out
    assert "schema" not in result.out
    assert all(len(line) <= 100 for line in result.out.splitlines())


def test_the_configuration_is_printed_without_side_effects(
    nmt: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = nmt("train", "--cfg", "job", "model=rnn", "seed=7")
    assert result.status == 0
    shown = yaml.safe_load(result.out)
    assert shown["seed"] == 7
    assert shown["model"]["decoder"]["attention"]["name"] == "bahdanau"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["translate", "evaluate"])
def test_the_help_of_a_command_names_its_options(nmt: Callable[..., Any], command: str) -> None:
    result = nmt(command, "--help")
    assert result.status == 0
    for option in ("--model", "--beam-size", "--length-penalty", "--batch-size", "--device"):
        assert option in result.out


@pytest.mark.parametrize(
    "path",
    ["plain", "a b", "ü/ß", "a=b", "copy (1).en", "a:b", "~/x", "100%", "a+b@c", "a#b", "ü b="],
)
def test_a_path_may_contain_any_character(nmt: Callable[..., Any], path: str) -> None:
    result = nmt("train", f"run.dir={path}", "--cfg", "job", "seed=3")
    assert result.status == 0, result.err
    shown = yaml.safe_load(result.out)
    assert (shown["run"]["dir"], shown["seed"]) == (path, 3)
