"""Random command lines, YAML files and resealed checkpoints: never a traceback, never much memory.

``NMT_FUZZ=2000`` sets the number of inputs of each kind, ``NMT_FUZZ_SEED=7`` draws others.
"""

import copy
import io
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from nmt import pipeline
from nmt.checkpoint import sealed
from nmt.config.plain import flatten, to_mapping
from nmt.errors import UserError
from nmt.sweeps.overrides import compose_config

COUNT = int(os.environ.get("NMT_FUZZ", "150"))
SEED = int(os.environ.get("NMT_FUZZ_SEED", "1"))
MOST_SECONDS = float(os.environ.get("NMT_FUZZ_SECONDS", "20"))  # of processor time: against hangs
MOST_MEGABYTES = 500

VALUES = [
    *("", "null", "~", "0", "-1", "1", "2", "1e400", "-1e400", "nan", "inf", "1e-30", "1e30"),
    *("9" * 30, "9" * 400, "9" * 5000, str(2**31), str(2**63), str(2**64), "10000000", "100000"),
    *("0.9999999999", "true", "no", "1_0", "007", "[", "]", "[[[[", "{", "{a:b}", "[a,b]", "a,b"),
    *("'", '"', "\\", "a=b", "${x}", "${oc.env:NOT_SET}", "${seed}", "${", "💥", "\x1b[31m", "é"),
    *("../../x", "~nobody-here/x", "/dev/null/x", "x" * 5000, "a\tb", "cpu", "word", "rnn", "none"),
    *("choice(1,2)", "range(1,3)", "interval(0,1)", "int(1.5)", "str(1)", "*", "@", "#", "a b"),
]
PYTHON_VALUES = [
    *(None, True, False, 0, -1, 1, 10**7, 10**12, 2**31, 2**40, 2**63, 10**400, 0.5, 1e30),
    *(float("nan"), float("inf"), "", "no", "rnn", "bogus", "x" * 5000, "\0", "\ud800", "../x"),
    *([], {}, [1], {"a": 1}, ["a"], b"bytes", (1, 2), {"name": "rnn"}),
]


def _nested(value: Any, times: int = 25) -> Any:
    """Return lists that double at each level: they are small, but endless when written out."""
    for _ in range(times):
        value = [value, value]
    return value


def _bounded(call: Callable[[], Any], what: str) -> Any:
    """Call a function, which must not take much processor time or memory."""
    memory, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    result = call()
    seconds = time.process_time() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    assert seconds < MOST_SECONDS, f"{seconds:.1f} s for {what}"
    assert grown < MOST_MEGABYTES, f"{grown:.0f} MB for {what}"
    return result


def _is_clean(result: Any, what: str) -> None:
    assert "Traceback" not in result.err, f"{what}\n{result.err}"
    assert result.status in (0, 2), f"{what}\n{result.err}"
    if result.status == 2:
        lines = [line for line in result.err.splitlines() if line.startswith("nmt: ")]
        assert len(lines) == 1, f"{what}\n{result.err}"
        assert len(lines[0]) < 15_000, what


@pytest.fixture
def no_corpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """End each training where the corpus would be prepared, in an empty folder."""

    def stop(*_: Any) -> None:
        raise UserError("the settings are in order")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "prepare_corpus", stop)


@pytest.fixture(scope="module")
def keys() -> list[str]:
    """The full keys of many settings and sections."""
    found: dict[str, None] = {}
    for overrides in ([], ["model=rnn"], ["data=multi30k", "data.root=x"]):
        found |= dict.fromkeys(flatten(to_mapping(compose_config(overrides, {}))))
    return [*found, "data.extra.a.path", "data.extra.a.weight", "data.extra.a", "hydra.run.dir"]


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
    return made


@pytest.mark.slow
@pytest.mark.usefixtures("no_corpus")
def test_random_command_lines(nmt: Callable[..., Any], keys: list[str]) -> None:
    nmt("train")  # loads the modules
    for number in range(COUNT):
        arguments = _overrides(Random(f"{SEED} {number}"), keys)
        what = f"{number}: {arguments}"[:500]
        _is_clean(_bounded(lambda a=arguments: nmt("train", *a), what), what)


def _yaml(random: Random, keys: list[str]) -> str:
    lines = ["# @package _global_"]
    for _ in range(random.randint(1, 5)):
        key, value = random.choice(keys), random.choice(VALUES)
        *sections, name = key.split(".")
        for depth, section in enumerate(sections):
            lines.append(f"{'  ' * depth}{section}:")
        written = random.choice(
            ["{}", "{}", "[{}]", "{{a: {}}}", "'{}'", "&a {}", "!!int {}", "*a"]
        )
        lines.append(f"{'  ' * len(sections)}{name}: {written.format(value)}")
    text = "\n".join(lines)
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
    for number in range(COUNT):
        text = _yaml(Random(f"{SEED} {number}"), keys)
        file.write_text(text, encoding="utf-8")
        what = f"{number}: {text}"[:500]
        call = lambda: nmt("train", "--config-dir", "conf", "experiment=mine")  # noqa: E731
        _is_clean(_bounded(call, what), what)


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
        if kind == 0:
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
    for number in range(COUNT):
        random = Random(f"{SEED} {number}")
        content = _changed(whole, random)
        try:
            file.write_bytes(sealed(content))
        except (UnicodeEncodeError, RuntimeError):  # torch.save cannot write some values
            continue
        what = f"{number}"
        call = lambda: nmt("translate", "--model", file, "one two")  # noqa: E731
        _is_clean(_bounded(call, what), what)


@pytest.mark.slow
def test_random_bytes_in_a_checkpoint(nmt: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    nmt("translate", "--model", run, "one")
    file = tmp_path / "model.pt"
    content = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    buffer = io.BytesIO()
    torch.save({**content, "format_version": 1}, buffer)  # format 1 has no checksum
    whole = buffer.getvalue()
    for number in range(COUNT):
        random, damaged = Random(f"{SEED} {number}"), bytearray(whole)
        for _ in range(random.randint(1, 20)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        file.write_bytes(damaged)
        what = f"{number}"
        call = lambda: nmt("translate", "--model", file, "one two")  # noqa: E731
        _is_clean(_bounded(call, what), what)
