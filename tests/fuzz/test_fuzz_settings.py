"""Random command lines, YAML files and resealed checkpoints: never a traceback, never much memory.

See `fuzzing` for the number of inputs.
"""

import copy
import hashlib
import io
import math
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from fuzzing import VALUES, Faults, draws
from hostile_corpora import damaged

from nmt.checkpoint import sealed
from nmt.config.plain import flatten, to_mapping
from nmt.errors import UserError
from nmt.run import stages
from nmt.sweeps.overrides import compose_config

PYTHON_VALUES = [
    *(None, True, False, 0, -1, 1, 10**7, 10**12, 2**31, 2**40, 2**63, 10**400, 0.5, 1e30),
    *(float("nan"), float("inf"), "", "no", "rnn", "bogus", "x" * 5000, "\0", "\ud800", "../x"),
    *([], {}, [1], {"a": 1}, ["a"], b"bytes", (1, 2), {"name": "rnn"}),
]

FLAGS = [
    *("-m", "--multirun", "--cfg=job", "--cfg=hydra", "--cfg", "--info", "--resolve", "--bogus"),
    *(
        "--config-dir=nowhere",
        "--config-name=x",
        "--config-path=/",
        "--package=x",
        "-n",
        "--hydra-help",
    ),
    *("--experimental-rerun=x", "--version", "-h", "--shell-completion", "--run", "-cd"),
]


def _nested(value: Any, times: int = 25) -> Any:
    """Return lists that double at each level: they are small, but endless when written out."""
    for _ in range(times):
        value = [value, value]
    return value


@pytest.fixture
def no_corpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """End each training where the corpus would be prepared, in an empty folder."""

    def stop(*_: Any) -> None:
        raise UserError("the settings are in order")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stages, "prepare_corpus", stop)


@pytest.fixture(scope="module")
def keys() -> list[str]:
    """The full keys of many settings and sections."""
    found: dict[str, None] = {}
    for overrides in ([], ["model=rnn"], ["data=multi30k", "data.root=x"]):
        found |= dict.fromkeys(flatten(to_mapping(compose_config(overrides, {}))))
    hydra = ["run.dir", "sweep.dir", "sweep.subdir", "job.name", "mode", "verbose", "searchpath"]
    hydra += ["sweeper", "launcher", "job.chdir", "output_subdir", "job.env_set", "callbacks", "x"]
    hydra += ["sweeper.params", "sweeper.max_batch_size", "help.app_name", "job_logging"]
    own = ["data.extra.a.path", "data.extra.a.weight", "data.extra.a", "hydra/launcher"]
    return [*found, *own, "hydra/sweeper", *(f"hydra.{key}" for key in hydra)]


def _overrides(random: Random, keys: list[str]) -> list[str]:
    made = random.choice(
        [[], ["model=rnn"], ["data=files"], ["experiment=none"], ["optimizer=sgd"]]
    )
    for _ in range(random.randint(1, 4)):
        key, value = random.choice(keys), random.choice(VALUES)
        if random.random() < 0.2:
            value = random.choice(["[{}]", "{{a:{}}}", "{0},{0}", "'{}'", "choice({})"]).format(
                value
            )
        prefix = random.choice(["", "", "", "", "+", "++", "~"])
        made = [*made, f"{prefix}{key}={value}"]
    if random.random() < 0.15:
        made = [*made, random.choice(FLAGS)]
    return made


def _jobs(arguments: list[str]) -> int:
    """Return how many jobs a sweep may have; 1 for a training."""
    if not {"-m", "--multirun", "hydra.mode=multirun"} & set(arguments):
        return 1
    return math.prod(max(2, a.count(",") + 1) for a in arguments if "," in a or "(" in a)


@pytest.mark.slow
@pytest.mark.usefixtures("no_corpus")
@pytest.mark.filterwarnings("ignore:Experimental rerun")  # an option of Hydra
def test_random_command_lines(nmt: Callable[..., Any], keys: list[str]) -> None:
    nmt("train")  # loads the modules
    faults = Faults("command lines of nmt train")
    for number, random in draws():
        arguments = _overrides(random, keys)
        call = lambda a=arguments: nmt("train", *a)  # noqa: E731
        faults.try_call(call, f"{number}: {arguments}", work=_jobs(arguments))
    assert faults.report() == ""


WRITTEN = [
    *("!!python/object/apply:os.system [{}]", "!!binary {}", "!!timestamp {}", "!!set {{{}}}", "|"),
    *("<<: *a", "\t{}", "? {}", "2001-01-01", "!mine {}", "[&b {}, *b, *b]", "{{<<: {{a: {}}}}}"),
]
BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
)
ENDS = [BOMB, "seed: 1\nseed: 2", "%YAML 9.9\n---\nseed: 1", "a: &a {b: *a}", "---\n---\nseed: 1"]
ENDS += ["[" * 2000, "{a: " * 2000, "- " * 2000, "x: " + "[" * 500 + "]" * 500, "defaults: [x, 1]"]
ENDS += ["defaults:\n  - experiment: mine", "defaults:\n  - /x@y: z", "&a a: *a", "? [a]\n: b"]


def _yaml(random: Random, keys: list[str]) -> str:
    lines = ["# @package _global_"]
    for _ in range(random.randint(1, 5)):
        key, value = random.choice(keys), random.choice(VALUES)
        *sections, name = key.split(".")
        for depth, section in enumerate(sections):
            lines.append(f"{'  ' * depth}{section}:")
        written = random.choice(
            ["{}", "{}", "[{}]", "{{a: {}}}", "'{}'", "&a {}", "!!int {}", "*a", *WRITTEN]
        )
        lines.append(f"{'  ' * len(sections)}{name}: {written.format(value)}")
    text = "\n".join(lines)
    if random.random() < 0.2:
        text = random.choice([f"{text}\n{{}}", "{}\n" + text, "{}"]).replace(
            "{}", random.choice(ENDS)
        )
    if random.random() < 0.2:
        at = random.randrange(len(text))
        text = text[:at] + random.choice("\0\t:{}[]'\"&*!|>%@`\n-") + text[at + 1 :]
    return text


@pytest.mark.slow
@pytest.mark.usefixtures("no_corpus")
def test_random_files(nmt: Callable[..., Any], keys: list[str], tmp_path: Path) -> None:
    nmt("train")
    file = tmp_path / "conf" / "experiment" / "mine.yaml"
    file.parent.mkdir(parents=True)
    faults = Faults("settings files")
    for number, random in draws():
        text = _yaml(random, keys)
        file.write_text(text, encoding="utf-8")
        call = lambda: nmt("train", "--config-dir", "conf", "experiment=mine")  # noqa: E731
        faults.try_call(call, f"{number}: {text}")
    assert faults.report() == ""


def _places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield (*path, key)
            yield from _places(value, (*path, key))


def _changed(content: dict[str, Any], random: Random) -> dict[str, Any]:
    """Return the content of a checkpoint with one to three changes at random places."""
    made = {**content, "config": copy.deepcopy(content["config"]), "model": dict(content["model"])}
    for _ in range(random.randint(1, 3)):
        kind = random.randrange(6)
        if kind == 0 and isinstance(made["model"], dict) and made["model"]:
            name = random.choice([*made["model"]])
            shape = random.choice([(0,), (1,), (1 << 40,), (1 << 20, 1 << 20), (3, 5)])
            made["model"][name] = torch.zeros(()).expand(shape)
        elif kind == 1:
            side = random.choice(["source_tokenizer", "target_tokenizer"])
            model = bytearray(content[side])
            for _ in range(random.randint(1, 5)):
                model[random.randrange(len(model))] = random.randrange(256)
            made[side] = bytes(model)[: random.choice([len(model), random.randrange(len(model))])]
        else:
            *sections, last = random.choice([*_places(made)])
            place: Any = made
            for section in sections:
                place = place[section]
            if isinstance(place, dict):
                value = random.choice([*PYTHON_VALUES, _nested("x")])
                place[last] = value
                if random.random() < 0.1:
                    del place[last]
    return made


@pytest.mark.slow
def test_random_checkpoints(nmt: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    nmt("translate", "--model", run, "one")
    file = tmp_path / "model.pt"
    whole = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    faults = Faults("checkpoints")
    for number, random in draws():
        content = _changed(whole, random)
        try:
            file.write_bytes(sealed(content))
        except (UnicodeEncodeError, RuntimeError):  # torch.save cannot write some values
            continue
        faults.try_call(lambda: nmt("translate", "--model", file, "one two"), f"{number}")
    assert faults.report() == ""


@pytest.mark.slow
def test_random_bytes_in_a_checkpoint(nmt: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    nmt("translate", "--model", run, "one")
    file = tmp_path / "model.pt"
    content = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    buffer = io.BytesIO()
    torch.save({**content, "format_version": 1}, buffer)  # format 1 has no checksum
    whole = buffer.getvalue()
    faults = Faults("bytes of a checkpoint")
    for number, random in draws():
        damaged = bytearray(whole)
        for _ in range(random.randint(1, 20)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        file.write_bytes(damaged)
        faults.try_call(lambda: nmt("translate", "--model", file, "one two"), f"{number}")
    assert faults.report() == ""


def _entries_changed(whole: bytes, random: Random) -> bytes:
    """Return a checkpoint with hostile entries in its archive, and a checksum that is correct."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(file, "w") as new:
        names = old.namelist()
        chosen = random.sample(names, random.randint(1, 2))
        for name in names:
            content = old.read(name)
            if name in chosen:
                content = random.choice(
                    [damaged(random, content), content * 2, content[:-1], b"", b"\xff" * 8]
                )
            kept = random.random() > 0.02
            for _ in range(random.choice([1] * 50 + [2]) if kept else 0):
                new.writestr(name.replace("data", random.choice(["data"] * 99 + ["x"])), content)
        if random.random() < 0.1:
            new.writestr(random.choice(["../x", "archive/code/x.py", "archive/data/999"]), b"x")
    digest = hashlib.sha256(file.getbuffer()).hexdigest()
    return file.getvalue() + f"\nnmt sha256 {digest}\n".encode()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_random_entries_of_a_checkpoint(nmt: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    nmt("translate", "--model", run, "one")
    file, output = tmp_path / "model.pt", tmp_path / "average.pt"
    whole = (run / "checkpoints" / "best.pt").read_bytes()
    faults = Faults("entries of checkpoints")
    for number, random in draws():
        file.write_bytes(_entries_changed(whole, random))
        arguments = random.choice(
            [["translate", "--model", file, "one two"], ["average", "--output", output, file, run]]
        )
        faults.try_call(lambda a=arguments: nmt(*a), f"{number}: {arguments[0]}")
    assert faults.report() == ""
