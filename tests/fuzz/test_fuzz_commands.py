"""Random command lines of every command, and paths that are no files wherever a path is given.

The options are those that the commands declare, so a new command is tried too. See `fuzzing` for
the number of inputs.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import typer
from fuzzing import COUNT, VALUES, Faults, draws
from hostile_archives import special_paths

from nmt.bench import bench_runs
from nmt.cli.completion import __main__ as completion
from nmt.cli.main import app
from nmt.errors import UserError
from nmt.run import preparation, stages

SERVES = {"serve"}  # commands that end only when they are stopped
FILES = {  # options and arguments that are paths, with good values
    "--source": ["en"],
    "--target": ["de"],
    "--reference": ["de"],
    "--input": ["en", "-"],
    "--gold": ["gold"],
    "--valid": ["en", "de"],
    "--test": ["en", "de"],
    "--output": ["out.pt", "out.png", "out.html", "out.json", "out.align", "out.svg"],
    "--attention": ["picture.png"],
    "--html": ["page.html"],
    "--json": ["figures.json"],
    "arguments": ["en", "de", "table.tsv"],
}
GOOD = {  # values that are accepted, so that a command reaches its work
    **FILES,
    "--device": ["cpu", "auto"],
    "--source-language": ["en"],
    "--target-language": ["de"],
    "--errors": ["strict", "replace", "skip-blank"],
    "--long-lines": ["split", "refuse", "whole"],
    "--head": ["1", "mean"],
    "--normalize": ["mean", "length_penalty"],
    "--precision": ["float32", "bfloat16"],
    "--threshold": ["0.5"],
    "--temperature": ["0.7"],
    "--top-p": ["0.9"],
    "sentence": ["one two"],
    "sentences": ["one two", "", "three"],
    "shell": ["bash", "zsh", "fish", "bogus"],
    "overrides": ["data=files", "model=rnn", "seed=2"],
}
ENDLESS = {"--rounds", "--updates", "--warmup", "--wait", "--profile", "--block"}
"""Options whose value is an amount of work."""


def _commands() -> Iterator[tuple[list[str], Any]]:
    def below(command: Any, path: list[str]) -> Iterator[tuple[list[str], Any]]:
        if not hasattr(command, "commands"):
            yield path, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from below(inner, [*path, name])

    for path, command in below(typer.main.get_command(app), []):
        if not SERVES & set(path):
            yield path, command


def _value(random: Random, name: str, run: Path, special: list[str]) -> str:
    chance = random.random()
    if name in ("--model", "files") and chance < 0.9:
        return str(run if chance < 0.6 else run / "checkpoints" / "last.pt")
    if chance < 0.75 or name in ENDLESS:
        return random.choice(GOOD.get(name, ["1", "2"]))
    if (name in FILES or name in ("--model", "files")) and chance < 0.9:
        return random.choice(special)
    return random.choice(VALUES)


def _arguments(random: Random, command: Any, run: Path, special: list[str]) -> list[str]:
    made: list[str] = []
    for parameter in command.params:
        required = parameter.required or parameter.opts[0] == "--model"
        if random.random() > (0.97 if required else 0.15):
            continue
        is_option = parameter.opts[0].startswith("-")
        name = parameter.opts[0] if is_option else parameter.name
        flag = random.choice([*parameter.opts, *parameter.secondary_opts])
        if is_option and getattr(parameter, "is_flag", False):
            made.append(flag)
            continue
        values = max(1, parameter.nargs) if parameter.nargs > 0 else random.randint(1, 3)
        made += [flag] if is_option else []
        made += [_value(random, name, run, special) for _ in range(values)]
    if random.random() < 0.1:
        made.insert(
            random.randrange(len(made) + 1), random.choice([*VALUES, "--", "--bogus", "-h"])
        )
    return made


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder with text in which commands run, and what is no file; nothing is trained in it."""
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "en").write_text("one two\nthree\n\nfour five six\n")
    (folder / "de").write_text("eins zwei\ndrei\nvier\nfünf sechs\n")
    (folder / "gold").write_text("0-0 1p1\n0-0\n\n1-1\n")
    (folder / "table.tsv").write_text("en\tde\none\teins\ntwo\tzwei\n")

    def stop(*_: Any) -> None:
        raise UserError("the settings are in order")

    monkeypatch.chdir(folder)
    for module in (stages, bench_runs, preparation):
        monkeypatch.setattr(module, "prepare_corpus", stop)
    yield folder
    (folder / "locked").chmod(0o600)


@pytest.mark.slow
def test_random_command_lines_of_all_commands(
    nmt: Callable[..., Any], run: Path, place: Path
) -> None:
    nmt("translate", "--model", run, "one")
    nmt("data", "check", "en", "de")
    special = [path for path in special_paths(place) if path != "pipe"]  # it waits for a writer
    commands = list(_commands())
    faults = Faults("command lines of all commands")
    for number, random in draws():
        path, command = commands[number % len(commands)]
        arguments = [*path, *_arguments(random, command, run, special)]
        if path[0] in ("train", "prepare"):
            arguments += random.choices([*VALUES, "data=files", "model=rnn", "-h", "--x=1"], k=2)
        stdin = random.choice([b"", b"one\n", b"\xff\n", b"\0\n\n"])
        call = lambda a=arguments, i=stdin: nmt(*a, stdin=i)  # noqa: E731
        faults.try_call(call, f"{number}: {arguments}")
    assert faults.report() == ""


@pytest.mark.slow
def test_random_words_are_completed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, run: Path, place: Path
) -> None:
    special = special_paths(place)
    faults = Faults("unfinished command lines")
    for number, random in draws():
        path, command = random.choice(list(_commands()))
        words = [*path, *_arguments(random, command, run, special)]
        cut = words[-1][: random.randrange(len(words[-1]) + 1)] if words else ""
        words = [*words[:-1], random.choice([cut, "model=", "data.train.path=", "model/", "-"])]
        shell = random.choice(["bash", "zsh", "fish", "sh", ""])
        line = [" ".join(["nmt", *words])] if shell == "bash" else words
        monkeypatch.setattr("sys.argv", ["completion", shell, *line])
        faults.try_call(lambda: _completed(capsys), f"{number}: {shell} {words}")
    assert faults.report() == ""


class _Completed:
    status, err = 0, ""

    def __init__(self, out: str) -> None:
        self.out = out


def _completed(capsys: pytest.CaptureFixture[str]) -> _Completed:
    capsys.readouterr()
    completion.main()
    return _Completed(capsys.readouterr().out)


SETTINGS = [
    *("data.train.path", "data.valid.path", "data.train.source", "data.test.target", "data.root"),
    *("data.extra.a.path", "data.alignments.train", "data.dropped", "data.cache_dir", "run.dir"),
    *("tokenizer.source_model", "tokenizer.target_model", "training.init_from", "hydra.run.dir"),
]


@pytest.mark.slow
def test_paths_that_are_no_files_in_settings(
    nmt: Callable[..., Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(place)
    special = special_paths(place)
    faults = Faults("special paths in settings")
    base = ["data=files", "data.source_language=en", "data.target_language=de", "data.test=null"]
    for number, random in draws(COUNT // 5):  # each prepares a corpus
        key, path = random.choice(SETTINGS), random.choice(special)
        arguments = [*base, "data.train.path=table.tsv", "data.valid.path=table.tsv"]
        arguments += (
            [f"{key}='{path}'", f"run.dir=r{number}"] if key != "run.dir" else [f"{key}={path}"]
        )
        command = random.choice(["prepare", "train"])
        arguments += ["training.dry_run=true"] if command == "train" else []
        faults.try_call(
            lambda c=command, a=arguments: nmt(c, *a), f"{number}: {command} {arguments}"
        )
    assert faults.report() == ""
    os.chmod(place / "locked", 0o600)
