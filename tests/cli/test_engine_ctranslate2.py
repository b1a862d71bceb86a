"""`nmt translate --engine ctranslate2`: the answers of the own search, or a refusal by name."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import NUMBERS, ZAHLEN, write_corpus

from nmt.config.model import ModelConfig
from nmt.decoding.constrained.constraints import Constraints
from nmt.decoding.hypothesis import LEAST_ATTENTION
from nmt.decoding.translator import Translator
from nmt.errors import UserError

pytest.importorskip("ctranslate2", reason="needs the extra ctranslate2")

from nmt.export.ctranslate2_engine import load_ctranslate2

Nmt = Callable[..., Any]
Refused = Callable[..., str]
TinyConfig = Callable[..., ModelConfig]

SIZES = ("hidden_size=32", "num_layers=2", "num_heads=4", "feed_forward_size=64")
ENGINE = ("--engine", "ctranslate2", "--device", "cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def trained(
    nmt: Nmt, tiny: Callable[[Path], list[str]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A Transformer that is trained: with random weights, PAD and BOS would be likely, too."""
    folder = tmp_path_factory.mktemp("trained")
    given = tiny(write_corpus(folder / "corpus"))
    settings = [one for one in given if not one.startswith(("model", "training.max_updates"))]
    sides = [f"model.{side}.{size}" for side in ("encoder", "decoder") for size in SIZES]
    changes = ["model=transformer", *sides, "training.max_updates=80", "schedule.warmup=20"]
    result = nmt("train", *settings, *changes, f"run.dir={folder / 'run'}")
    assert result.status == 0, result.err
    return folder / "run" / "checkpoints" / "last.pt"


def _sentences(count: int) -> list[str]:
    draw = random.Random(4)
    return [" ".join(draw.choices(NUMBERS, k=draw.randrange(1, 12))) for _ in range(count)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"beam_size": 1},
        {"beam_size": 4, "length_normalization": "average"},
        {"beam_size": 3, "length_penalty": 0.0},
        {"max_length_ratio": 0.5, "max_length_extra": 2},
        {"beam_size": 1, "no_repeat_ngram": 1},
    ],
    ids=lambda changes: "-".join(changes) or "default",
)
@pytest.mark.parametrize("prefix", ["", f"{ZAHLEN[0]} {ZAHLEN[1]}"], ids=["free", "prefix"])
def test_the_engine_finds_what_the_search_finds(
    changes: dict[str, object], prefix: str, trained: Path
) -> None:
    sentences = [*_sentences(40), ""]
    asked = [Constraints(prefix=prefix if i % 3 else "") for i in range(len(sentences))]
    own = Translator.from_checkpoint(trained, device="cpu", changes=changes)
    _, engine = load_ctranslate2(trained, device="cpu", changes=changes)
    mine = own.translate(sentences, constraints=asked)
    theirs = engine.translate(sentences, constraints=asked)
    same = [one.text == other.text for one, other in zip(mine, theirs, strict=True)]
    # Beams are pruned and end differently. A mean log-probability often rises with the length, so
    # there the search goes on longer than the engine's: it finds the same or a better translation.
    by_mean = changes.get("length_normalization") == "average"
    no_worse = [
        equal or (by_mean and one.hypotheses[0].score >= other.hypotheses[0].score)
        for equal, one, other in zip(same, mine, theirs, strict=True)
    ]
    if not prefix and "no_repeat_ngram" not in changes:
        assert sum(no_worse) >= (1.0 if changes.get("beam_size") == 1 else 0.8) * len(same)
    for one, wanted in zip(theirs, asked, strict=True):
        assert all(text.startswith(wanted.prefix) for text in one.texts)
    for one, other in zip(mine, theirs, strict=True):
        assert other.source_ids == one.source_ids
        if one.text == other.text and one.hypotheses:
            best, found = one.hypotheses[0], other.hypotheses[0]
            assert found.log_prob == pytest.approx(best.log_prob, abs=1e-3)
            assert found.score == pytest.approx(best.score, abs=1e-3)


def test_lengths_and_repetitions_keep_their_bounds(heads_model: Path) -> None:
    sentences = _sentences(20)
    changes = {"min_length_ratio": 1.0, "max_length_ratio": 1.0, "max_length_extra": 3}
    _, engine = load_ctranslate2(heads_model, device="cpu", changes=changes)
    for found in engine.translate(sentences):
        length = len(found.source_ids) + 1
        for hypothesis in found.hypotheses:
            assert length <= len(hypothesis.ids) + 1 <= length + 3
    _, engine = load_ctranslate2(heads_model, device="cpu", changes={"no_repeat_ngram": 1})
    for found in engine.translate(sentences):
        assert all(len(set(one.ids)) == len(one.ids) for one in found.hypotheses)


def test_the_coverage_penalty_is_part_of_the_score(heads_model: Path) -> None:
    _, engine = load_ctranslate2(heads_model, device="cpu", changes={"coverage_penalty": 0.5})
    _, without = load_ctranslate2(heads_model, device="cpu")
    for found, plain in zip(
        engine.translate(["one two three"]), without.translate(["one two three"]), strict=True
    ):
        scores = {tuple(one.ids): one.score for one in plain.hypotheses}
        assert all(one.score <= scores[tuple(one.ids)] + 1e-6 for one in found.hypotheses)


def test_lines_documents_and_lists_go_through_the_engine(
    trained: Path, nmt: Nmt, tmp_path: Path
) -> None:
    words = "translate", "--model", trained, "--beam-size", 1
    table = tmp_path / "table.tsv"
    table.write_text("".join(f"a\t{one}\n" for one in _sentences(5)), encoding="utf-8")
    for flags in (
        ("one two", "three"),
        ("--input", table, "--column", 2, "--into", 3),
    ):
        own, other = nmt(*words, *flags), nmt(*words, *ENGINE, *flags)
        assert (own.status, other.status) == (0, 0), other.err
        assert [line.split("\t")[-1] for line in other.out.splitlines()] == [
            line.split("\t")[-1] for line in own.out.splitlines()
        ]
    beam = "translate", "--model", trained, "--beam-size", 2
    listed = nmt(*beam, *ENGINE, "--n-best", 2, "one two").out.splitlines()
    scores = [float(line.split("\t")[0]) for line in listed]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
    assert nmt(*words, *ENGINE, "--prefix", ZAHLEN[3], "one").out.startswith(ZAHLEN[3])
    record = json.loads(nmt(*words, *ENGINE, "--output-format", "json", "one").out)
    assert {"translation", "score", "log_prob", "pieces"} <= set(record)
    assert "alignment" not in record


def test_the_export_is_made_once(heads_model: Path, cache: Path, nmt: Nmt) -> None:
    words = "translate", "--model", heads_model, *ENGINE, "one"
    first = nmt(*words)
    [export] = (cache / "nmt" / "ctranslate2").iterdir()
    made = (export / "model.bin").stat().st_mtime_ns
    assert nmt(*words).out == first.out
    assert (export / "model.bin").stat().st_mtime_ns == made
    by_folder = nmt("translate", "--model", export, *ENGINE, "one")
    assert by_folder.out == first.out


def test_the_export_of_a_run_is_in_its_folder(
    heads_model: Path, tmp_path: Path, cache: Path
) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    best = run / "checkpoints" / "best.pt"
    best.write_bytes(heads_model.read_bytes())
    (run / "ctranslate2" / "best-0.0.1-old").mkdir(parents=True)  # of an earlier state
    load_ctranslate2(run, device="cpu")
    [export] = (run / "ctranslate2").iterdir()
    assert (export / "model.bin").is_file()
    assert not cache.exists()


def test_an_empty_translation_has_the_greatest_coverage_penalty(heads_model: Path) -> None:
    (sentence,) = _sentences(1)
    changes = {"beam_size": 12, "coverage_penalty": 0.5, "max_length_extra": 3}
    _, engine = load_ctranslate2(heads_model, device="cpu", changes=changes)
    (found,) = engine.translate([sentence])
    empty = [one for one in found.hypotheses if not one.ids]
    assert empty, "no translation is empty: use a wider beam"
    for one in empty:
        penalty = 0.5 * len(found.source_ids) * math.log(LEAST_ATTENTION)
        assert one.score == pytest.approx(one.log_prob + penalty, abs=1e-4)


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_a_precision_is_that_of_the_library(precision: str, heads_model: Path, nmt: Nmt) -> None:
    result = nmt("translate", "--model", heads_model, *ENGINE, "--precision", precision, "one")
    assert result.status == 0, result.err


@pytest.mark.parametrize(
    "flags",
    [
        ("--sample",),
        ("--mbr", 4),
        ("--require", ZAHLEN[0]),
        ("--forbid", ZAHLEN[0]),
        ("--attention", "picture.png"),
        ("--output-format", "json", "--with-attention"),
    ],
    ids=lambda flags: flags[-1] if str(flags[-1]).startswith("--") else flags[0],
)
def test_what_the_library_does_not_have_is_refused(
    flags: tuple[str, ...], heads_model: Path, refused: Refused
) -> None:
    message = refused("translate", "--model", heads_model, *ENGINE, *flags, "one")
    option = flags[-1] if flags[-1] == "--with-attention" else flags[0]
    assert message.startswith(f"--engine ctranslate2 does not support {option}")


def test_models_and_settings_without_a_form_are_refused(
    heads_model: Path,
    model_file: Callable[[ModelConfig], Path],
    tiny_config: TinyConfig,
    refused: Refused,
) -> None:
    words = "translate", *ENGINE, "one", "--model"
    several = refused(*words, heads_model, "--model", heads_model)
    assert several.startswith("--engine ctranslate2 does not support several --model")
    groups = refused(*words, heads_model, "--beam-size", 4, "--beam-groups", 2)
    assert groups == "CTranslate2 has one group of beams: add --beam-groups 1"
    precision = refused(*words, heads_model, "--precision", "float4")
    assert "does not compute in --precision float4 on this cpu; choose from auto, " in precision
    device = refused("translate", "--engine", "ctranslate2", "--model", heads_model, "one",
                     "--device", "mps")  # fmt: skip
    assert device == "--engine ctranslate2 computes on cpu, cuda or cuda:N, not on mps"
    spaced = refused(*words, heads_model, "--prefix", f"{ZAHLEN[0]} ")
    assert "cannot end a word after the prefix" in spaced
    rnn = model_file(tiny_config())
    message = refused(*words, rnn)
    assert "CTranslate2 has no form for model.encoder.name=" in message
    assert message.endswith("leave out --engine")


def test_an_export_needs_the_option(heads_model: Path, cache: Path, refused: Refused) -> None:
    load_ctranslate2(heads_model, device="cpu")
    [export] = (cache / "nmt" / "ctranslate2").iterdir()
    message = refused("translate", "--model", export, "one")
    assert message.endswith("is an export for ctranslate2: add --engine ctranslate2")


def test_a_damaged_export_is_refused(heads_model: Path, cache: Path) -> None:
    load_ctranslate2(heads_model, device="cpu")
    [export] = (cache / "nmt" / "ctranslate2").iterdir()
    (export / "source.spm").unlink()
    with pytest.raises(UserError, match="is not a complete export of nmt"):
        load_ctranslate2(export, device="cpu")


def test_two_processes_share_the_engine(heads_model: Path, nmt: Nmt) -> None:
    text = "".join(f"{one}\n" for one in _sentences(30)).encode()
    words = "translate", "--model", heads_model, "--engine", "ctranslate2"
    one = nmt(*words, "--device", "cpu", stdin=text)
    two = nmt(*words, "--devices", "cpu,cpu", stdin=text)
    assert (two.status, two.out) == (0, one.out), two.err
