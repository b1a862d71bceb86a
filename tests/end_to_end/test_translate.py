"""`nmt translate` and `nmt evaluate` on the command line, with a trained model."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

Nmt = Callable[..., Any]

SENTENCES = ["one two", "", "three", "  ", "four five six seven", "nine"]


@pytest.fixture
def translate(nmt: Nmt, run: Path) -> Callable[..., str]:
    """Translate, which must succeed, and return the output."""

    def call(*arguments: object, text: str = "") -> str:
        result = nmt("translate", "--model", run, *arguments, stdin=text.encode())
        assert (result.status, result.err) == (0, "")
        return str(result.out)

    return call


def test_each_input_line_gives_one_output_line_and_blank_stays_blank(
    translate: Callable[..., str],
) -> None:
    out = translate(text="\n".join(SENTENCES) + "\n")
    assert out.endswith("\n")
    lines = out.removesuffix("\n").split("\n")
    assert [bool(line) for line in lines] == [bool(s.strip()) for s in SENTENCES]
    assert lines == [translate(s).removesuffix("\n") if s.strip() else "" for s in SENTENCES]


@pytest.mark.parametrize(
    "text",
    ["\n".join(SENTENCES), "\r\n".join(SENTENCES) + "\r\n"],
    ids=["no line feed at the end", "CR LF"],
)
def test_line_ends_do_not_change_translations(translate: Callable[..., str], text: str) -> None:
    assert translate(text=text) == translate(text="\n".join(SENTENCES) + "\n")


def test_only_a_line_feed_ends_a_line(translate: Callable[..., str]) -> None:
    assert translate(text="one\u2028two\x0bthree\x85four\n").count("\n") == 1


def test_no_input_gives_no_output(translate: Callable[..., str]) -> None:
    assert translate(text="") == ""


def test_arguments_are_translated_as_lines_are(translate: Callable[..., str]) -> None:
    assert translate(*SENTENCES) == translate(text="\n".join(SENTENCES) + "\n")


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_batch_size_changes_nothing(translate: Callable[..., str], size: int) -> None:
    text = "\n".join(SENTENCES * 3)
    assert translate("--batch-size", size, text=text) == translate(text=text)


def test_n_best_shows_scores_and_always_as_many_lines(translate: Callable[..., str]) -> None:
    best = translate("--beam-size", 3, text="\n".join(SENTENCES)).splitlines()
    out = translate("--beam-size", 3, "--n-best", 3, text="\n".join(SENTENCES))
    lines = [line.split("\t") for line in out.removesuffix("\n").split("\n")]
    assert len(lines) == 3 * len(SENTENCES)
    for number, sentence in enumerate(SENTENCES):
        group = lines[3 * number : 3 * number + 3]
        assert all(len(line) == 2 for line in group)
        assert group[0][1] == best[number]
        scores = [float(score) for score, _ in group]
        assert scores == sorted(scores, reverse=True)
        assert (scores[0] == 0) == (not sentence.strip())


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_attention_is_drawn_in_the_format_of_the_suffix(
    translate: Callable[..., str], tmp_path: Path, suffix: str, start: bytes
) -> None:
    picture = tmp_path / "new folder" / f"ä=1.{suffix}"
    assert translate("--attention", picture, "one two three") == translate("one two three")
    assert picture.read_bytes().startswith(start)


def test_a_checkpoint_translates_like_its_run(nmt: Nmt, run: Path) -> None:
    best = run / "checkpoints" / "best.pt"
    results = [nmt("translate", "--model", model, "one two").out for model in (run, best)]
    assert results[0] == results[1]


@pytest.mark.parametrize("options", [[], ["--beam-size", "1", "--batch-size", "2"]])
def test_evaluate_equals_sacrebleu_on_the_output_of_translate(
    nmt: Nmt, run: Path, translate: Callable[..., str], options: list[str]
) -> None:
    corpus = run.parent / "corpus"
    source, reference = corpus / "valid.en", corpus / "valid.de"
    files = ["--model", run, "--source", source, "--reference", reference, "--resamples", "0"]
    result = nmt("evaluate", *files, "--json", *options)
    assert (result.status, result.err) == (0, "")
    assert result.out.count("\n") == 1
    scores = json.loads(result.out)
    translations = translate(*options, text=source.read_text(encoding="utf-8")).splitlines()
    references = [reference.read_text(encoding="utf-8").splitlines()]
    assert scores["sentences"] == len(translations) == 5
    for name, metric in (("bleu", BLEU()), ("chrf", CHRF()), ("ter", TER())):
        assert scores[name] == pytest.approx(metric.corpus_score(translations, references).score)
        assert scores[f"{name}_signature"] == str(metric.get_signature())

    result = nmt("evaluate", *files, *options)
    assert [line.split()[0] for line in result.out.splitlines()] == ["BLEU", "chrF2", "TER"]
    assert f"{scores['chrf']:.2f}" in result.out


def test_the_summary_agrees_with_evaluate(nmt: Nmt, run: Path) -> None:
    corpus = run.parent / "corpus"
    files = ["--source", corpus / "test.en", "--reference", corpus / "test.de"]
    scores = json.loads(nmt("evaluate", "--model", run, *files, "--json").out)
    summary = json.loads((run / "summary.json").read_text())["test"]
    assert scores["chrf"] == pytest.approx(summary["chrf"])
    assert scores["ter"] == pytest.approx(summary["ter"])
    assert scores["bleu"] == pytest.approx(summary["bleu"])


@pytest.mark.parametrize(
    "arguments", [["--help"], ["translate", "--batch-size", "1", "--model", "RUN"]]
)
def test_a_closed_pipe_ends_the_command_without_an_error(run: Path, arguments: list[str]) -> None:
    command = [str(Path(sys.executable).with_name("nmt")), *arguments]
    process = subprocess.Popen(
        [str(run) if part == "RUN" else part for part in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(b"one two\n" * 200, timeout=100)
    assert err == b""
    assert process.returncode == 141
