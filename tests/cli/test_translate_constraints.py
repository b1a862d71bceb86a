"""`nmt translate` with settings of search, prefixes, phrases, several models and minimum risk."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nmt as package
from nmt.config.model import ModelConfig

Nmt = Callable[..., Any]
Refused = Callable[..., str]
TinyConfig = Callable[..., ModelConfig]

LINES = ["one two three", "", "four", "five six seven eight nine", "ten one"]
LONG = " ".join(["one two three four five six seven"] * 12)
SETTINGS: dict[str, list[object]] = {
    "average": ["--length-normalization", "average"],
    "coverage": ["--coverage-penalty", 0.4],
    "minimum": ["--min-length-ratio", 1.5, "--min-length-extra", 2],
    "maximum": ["--max-length-ratio", 0.5, "--max-length-extra", 2],
    "no repeat": ["--no-repeat-ngram", 2],
    "repetition": ["--repetition-penalty", 2],
    "diverse": ["--beam-size", 4, "--beam-groups", 2, "--diversity-strength", 2],
    "prefix": ["--prefix", "zwei "],
    "require": ["--require", "drei", "--require", "vier fünf", "--beam-size", 4],
    "forbid": ["--forbid", "acht", "--forbid", "eins zwei"],
    "mbr": ["--mbr", 8, "--top-p", "0.9"],
}


def lines_of(text: str) -> list[str]:
    return text.split("\n")[:-1]


@pytest.mark.parametrize("name", SETTINGS)
def test_batches_and_neighbours_change_nothing(nmt: Nmt, heads_model: Path, name: str) -> None:
    lines = LINES * 2
    command = ("translate", "--model", heads_model, *SETTINGS[name])
    text = "".join(f"{line}\n" for line in lines).encode()
    first = nmt(*command, stdin=text)
    assert first.status == 0, first.err
    for size in (1, 7, 64):
        assert nmt(*command, "--batch-size", size, stdin=text).out == first.out, size
    long = nmt(*command, "--long-lines", "whole", stdin=text + f"{LONG}\n".encode())
    assert lines_of(long.out)[:-1] == lines_of(first.out)
    if name != "mbr":  # samples depend on the number of the line
        turned = "".join(f"{line}\n" for line in reversed(lines)).encode()
        assert lines_of(nmt(*command, stdin=turned).out) == lines_of(first.out)[::-1]


def test_constraints_are_kept_by_every_line(nmt: Nmt, heads_model: Path) -> None:
    command = ("translate", "--model", heads_model, "--beam-size", 6)
    found = lines_of(nmt(*command, "--prefix", "zwei ", *LINES).out)
    assert all(line.split()[0] == "zwei" for line in found if line)
    found = lines_of(nmt(*command, "--require", "vier fünf", "--require", "acht", *LINES).out)
    assert all(re.search(r"\bvier fünf\b", line) for line in found if line)
    assert all(re.search(r"\bacht\b", line) for line in found if line)
    plain = nmt(*command, *LINES).out
    word = max(plain.split(), key=plain.split().count)
    assert word not in nmt(*command, "--forbid", word, *LINES).out.split()


def test_each_line_has_the_constraints_of_its_line(
    nmt: Nmt, heads_model: Path, tmp_path: Path
) -> None:
    prefixes, constraints, text = (tmp_path / name for name in ("prefixes", "asked", "text"))
    prefixes.write_text("zwei\n\n\ndrei \n\n", encoding="utf-8")
    asked: list[dict[str, Any] | None] = [
        None,
        {"require": ["acht"]},
        {"require": ["acht"], "forbid": ["eins"]},
        {},
        {"prefix": "neun "},
    ]
    constraints.write_text(
        "".join(f"{json.dumps(one) if one is not None else ''}\n" for one in asked),
        encoding="utf-8",
    )
    text.write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    files = ("--prefix-file", prefixes, "--constraints", constraints)
    result = nmt("translate", "--model", heads_model, *files, "--input", text)
    assert result.status == 0, result.err
    found = lines_of(result.out)
    assert found[0].startswith("zwei")
    assert found[1] == "", "a blank line stays blank"
    assert "acht" in found[2].split()
    assert "eins" not in found[2].split()
    assert found[3].split()[0] == "drei"
    assert found[4].split()[0] == "neun"
    model = package.load(heads_model)
    same = model.search(
        LINES,
        constraints=[
            package.Constraints(prefix="zwei"),
            package.Constraints(required=("acht",)),
            package.Constraints(required=("acht",), forbidden=("eins",)),
            package.Constraints(prefix="drei "),
            package.Constraints(prefix="neun "),
        ],
    )
    assert [one.text for one in same] == found


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--prefix", "x", "--prefix-file", "y"], "give either --prefix or --prefix-file"),
        (["--require", "eins", "--sample"], "--require needs a search"),
        (["--require", "eins", "--mbr", "3"], "--require needs a search"),
        (["--require", "東京"], "the target vocabulary has no piece for '東'"),
        (["--prefix", "  "], "is blank"),
        (["--forbid", " "], "is blank"),
        (["--require", "eins zwei", "--forbid", "zwei"], "has the forbidden 'zwei'"),
        (["--require", "eins", "--beam-size", "4", "--beam-groups", "2"], "set beam_groups to 1"),
        (["--beam-groups", "2"], "beam_groups is 2, which does not divide beam_size 1"),
        (["--coverage-penalty", "-1"], "the coverage penalty is -1.0; it must be from 0 to 100"),
        (["--repetition-penalty", "0.5"], "the repetition penalty is 0.5; it must be from 1"),
        (["--mbr", "0"], "--mbr is 0; it must be from 1 to 1,000"),
        (["--mbr", "3", "--sample"], "leave out --sample"),
        (["--mbr", "3", "--n-best", "4"], "add --mbr 4"),
        (["--mbr", "3", "--beam-size", "4"], "--mbr does not use a beam"),
        (["--constraints", "nothing.json"], "nothing.json"),
    ],
)
def test_impossible_options_are_refused(
    refused: Refused, heads_model: Path, flags: list[str], message: str
) -> None:
    found = refused("translate", "--model", heads_model, *flags, "one", after_progress=True)
    assert message in found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]\n", "line 1 is not a JSON object"),
        ("{\n", "line 1 is not JSON"),
        ('{"must": []}\n', "line 1 has the key 'must'; choose from prefix, require, forbid"),
        ('{"require": "eins"}\n', "line 1: require must be a list of texts"),
        ('{"prefix": 3}\n', "line 1: prefix must be a text"),
        ('{"require": ["東"]}\n', "has a faulty constraint"),
        ("", "ends after line 0, but the input has more lines"),
        ("\n\n", "has more lines than the input, which has 1"),
    ],
)
def test_faulty_files_are_refused(
    refused: Refused, heads_model: Path, tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "asked.jsonl"
    file.write_text(content, encoding="utf-8")
    command = ("translate", "--model", heads_model, "--constraints", file, "one")
    assert message in refused(*command, after_progress=True)


def test_coverage_needs_attention(refused: Refused, blind_model: Path) -> None:
    command = ("translate", "--model", blind_model, "--coverage-penalty", 1, "one")
    assert "the model has no attention" in refused(*command)


def test_several_models_translate_together(
    nmt: Nmt,
    refused: Refused,
    model_file: Callable[[ModelConfig], Path],
    tiny_config: TinyConfig,
    heads_model: Path,
    run: Path,
    tmp_path: Path,
) -> None:
    other = model_file(tiny_config(attention="luong_general"))
    both = ("--model", heads_model, "--model", other)
    alone = nmt("translate", "--model", heads_model, *LINES)
    same = nmt("translate", "--model", heads_model, "--model", heads_model, *LINES)
    assert same.out == alone.out
    for mean in ("log_probs", "probs"):
        found = nmt("translate", *both, "--ensemble", mean, *LINES)
        assert found.status == 0, found.err
        model = package.load([heads_model, other], ensemble=mean)
        assert model.translate(LINES) == lines_of(found.out)
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_text("".join(f"{line}\n" for line in LINES if line), encoding="utf-8")
        target.write_text("".join(f"{line}\n" for line in lines_of(found.out) if line), "utf-8")
        scored = nmt("score", *both, "--ensemble", mean, "--source", source, "--target", target)
        pairs = [path.read_text("utf-8").splitlines() for path in (source, target)]
        expected = [one.log_prob for one in model.score(*pairs)]
        assert [float(line) for line in lines_of(scored.out)] == pytest.approx(expected, abs=2e-4)
    message = refused("translate", "--model", heads_model, "--model", run, "one")
    assert f"{run} has another target vocabulary than {heads_model}" in message
    files = ("--source", source, "--reference", target)
    assert nmt("evaluate", *both, *files).status == 0


def test_minimum_risk_chooses_among_the_samples(nmt: Nmt, heads_model: Path) -> None:
    command = ("translate", "--model", heads_model)
    samples = nmt(*command, "--sample", "--n-best", 20, "--seed", 4, "one two three").out
    drawn = {line.split("\t")[1] for line in lines_of(samples)}
    chosen = nmt(*command, "--mbr", 20, "--seed", 4, "one two three").out.removesuffix("\n")
    assert chosen in drawn
    ranked = lines_of(nmt(*command, "--mbr", 20, "--seed", 4, "--n-best", 3, "one two three").out)
    scores = [float(line.split("\t")[0]) for line in ranked]
    assert scores == sorted(scores, reverse=True)
    assert ranked[0].split("\t")[1] == chosen
    model = package.load(heads_model)
    sampling = package.Sampling(seed=4)
    (same,) = model.search(["one two three"], sampling=sampling, minimum_risk=20, n_best=3)
    assert [one.text for one in same.candidates] == [line.split("\t")[1] for line in ranked]
