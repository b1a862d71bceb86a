"""`nmt translate` with documents and with other outputs than text."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from document_samples import HTML, MARKDOWN, PO, SAMPLES, SRT, XLIFF_1

import nmt as package

SUFFIXES = {
    "tsv": "tsv",
    "jsonl": "jsonl",
    "tmx": "tmx",
    "xliff": "xlf",
    "po": "po",
    "srt": "srt",
    "vtt": "vtt",
    "markdown": "md",
    "html": "html",
}


@pytest.fixture
def document(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write


@pytest.mark.parametrize("name", SUFFIXES)
def test_the_suffix_selects_the_format(nmt: Any, run: Path, document: Any, name: str) -> None:
    text, options = SAMPLES[name]
    source = document(f"in.{SUFFIXES[name]}", text)
    output = source.with_name("out")
    flags = [word for key, value in options.items() for word in (f"--{key}", value)]
    done = nmt("translate", "--model", run, "--input", source, "--output", output, *flags)
    assert (done.status, done.out, done.err) == (0, "", "")
    by_stdin = nmt(*("translate", "--model", run, "--format", name, *flags), stdin=text.encode())
    assert by_stdin.out == output.read_bytes().decode()
    assert by_stdin.out != text


@pytest.mark.parametrize("name", ["html", "po", "srt"])
def test_the_batch_size_changes_nothing(nmt: Any, run: Path, document: Any, name: str) -> None:
    source = document(f"in.{name}", SAMPLES[name][0])
    found = {
        nmt("translate", "--model", run, "--input", source, "--batch-size", size).out
        for size in (1, 3, 64)
    }
    assert len(found) == 1


def test_python_translates_a_document_as_the_command_does(
    nmt: Any, run: Path, document: Any
) -> None:
    source = document("in.md", MARKDOWN)
    output = source.with_name("out.md")
    segments = package.load(run).translate_document(source, output)
    assert segments > 10
    command = nmt("translate", "--model", run, "--input", source)
    assert output.read_bytes().decode() == command.out


def test_python_refuses_what_the_command_refuses(run: Path, document: Any) -> None:
    model, source = package.load(run), document("in.md", MARKDOWN)
    with pytest.raises(package.UserError, match="is the document itself"):
        model.translate_document(source, source)
    with pytest.raises(package.UserError, match="format is word; choose from text, tsv"):
        model.translate_document(source, source.with_name("out"), format="word")
    with pytest.raises(package.UserError, match="protect has 'dates'"):
        model.translate_document(source, source.with_name("out"), protect=["dates"])
    with pytest.raises(package.UserError, match="has no suffix of a document"):
        model.translate_document(document("in.doc", "x"), source.with_name("out"))


def test_a_faulty_document_leaves_the_earlier_output(
    refused: Any, run: Path, document: Any
) -> None:
    source, output = document("in.xlf", XLIFF_1[:-20]), document("out.xlf", "earlier")
    message = refused("translate", "--model", run, "--input", source, "--output", output)
    assert f"{source}, line" in message
    assert output.read_text() == "earlier"
    assert sorted(path.name for path in output.parent.iterdir()) == ["in.xlf", "out.xlf"]


def test_records_before_a_faulty_one_are_written(refused: Any, run: Path, document: Any) -> None:
    source = document("in.jsonl", '{"text": "one"}\n' * 3 + "{\n")
    output = source.with_name("out.jsonl")
    message = refused("translate", "--model", run, "--input", source, "--output", output)
    assert f"{source}, line 4 is not JSON" in message
    assert output.exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--output", "x.md"], "--output x.md has the suffix of markdown, but the output has"),
        (["--n-best", "2"], "--n-best 2 cannot be combined with the format html"),
        (["--sample"], "--sample cannot be combined with the format html"),
        (["--output-format", "json"], "--output-format json cannot be combined"),
        (["--errors", "replace"], "--errors replace cannot be combined"),
        (["--long-lines", "whole"], "--long-lines whole cannot be combined"),
        (["--column", "2"], "--column applies only to tsv and jsonl, but the format is html"),
        (["--header"], "--header applies only to tsv, but the format is html"),
        (["--retranslate"], "--retranslate applies only to tsv, jsonl, tmx, xliff and po"),
        (["--with-attention"], "--with-attention applies only to --output-format json"),
        (["--protect", "dates"], "--protect has 'dates'; it may have: placeholders, urls"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    refused: Any, run: Path, document: Any, flags: list[str], message: str
) -> None:
    source = document("in.html", HTML)
    assert message in refused("translate", "--model", run, "--input", source, *flags)


def test_a_sentence_is_no_document(refused: Any, run: Path) -> None:
    message = refused("translate", "--model", run, "--format", "po", "one two")
    assert "--format po applies to files: give --input FILE" in message


def test_a_file_of_another_format_is_read_as_lines_if_asked(
    nmt: Any, run: Path, document: Any
) -> None:
    source = document("in.srt", SRT)
    done = nmt("translate", "--model", run, "--input", source, "--format", "text")
    assert done.out.count("\n") == SRT.count("\n")


def test_lines_with_protected_parts_stay_lines(nmt: Any, run: Path) -> None:
    lines = "one 12:30 two\n\nsee https://a.org/b or a@b.org\n<b>three</b> {x}\n"
    done = nmt("translate", "--model", run, "--protect", "all", stdin=lines.encode())
    found = done.out.split("\n")
    assert len(found) == 5
    assert found[0].count("12:30") == 1
    assert found[1] == ""
    assert found[2].count("https://a.org/b") == found[2].count("a@b.org") == 1
    assert all(found[3].count(part) == 1 for part in ("<b>", "</b>", "{x}"))
    arguments = nmt("translate", "--model", run, "--protect", "all", "one 12:30 two")
    assert arguments.out == f"{found[0]}\n"


def test_json_has_scores_pieces_alignment_and_candidates(nmt: Any, run: Path) -> None:
    flags = ["--output-format", "json", "--n-best", "2", "--beam-size", "4"]
    done = nmt("translate", "--model", run, *flags, stdin=b"one two\n\nthree\n")
    plain = nmt("translate", "--model", run, "--beam-size", "4", stdin=b"one two\n\nthree\n")
    records = [json.loads(line) for line in done.out.splitlines()]
    assert [record["line"] for record in records] == [1, 2, 3]
    assert [record["source"] for record in records] == ["one two", "", "three"]
    assert [record["translation"] for record in records] == plain.out.splitlines()
    assert records[1]["score"] == records[1]["log_prob"] == 0
    assert records[1]["pieces"] == []
    for record in (records[0], records[2]):
        assert record["n_best"][0]["translation"] == record["translation"]
        assert record["n_best"][0]["score"] >= record["n_best"][1]["score"]
        assert record["log_prob"] <= 0
        joined = "".join(record["pieces"]).replace("\u2581", " ").split()
        assert joined == record["translation"].split()
        for link in record["alignment"].split():
            source, target = map(int, link.split("-"))
            assert source < len(record["source"].split())
            assert target < len(record["translation"].split())


def test_json_has_attention_if_asked(nmt: Any, run: Path) -> None:
    flags = ["--output-format", "json", "--with-attention"]
    record = json.loads(nmt("translate", "--model", run, *flags, "one two").out)
    (shown,) = record["attention"]
    weights = shown["weights"]
    assert [len(row) for row in weights] == [len(shown["source"])] * len(shown["target"])
    assert shown["target"][:-1] == record["pieces"]
    assert all(abs(sum(row) - 1) < 0.01 for row in weights)
    assert shown["source"][-1] == shown["target"][-1]  # the end of the sentence


def test_the_scores_of_json_are_those_of_the_search(nmt: Any, run: Path) -> None:
    record = json.loads(nmt("translate", "--model", run, "--output-format", "json", "one two").out)
    (found,) = package.load(run).search(["one two"])
    assert found.text == record["translation"]
    assert found.candidates[0].log_prob == pytest.approx(record["log_prob"], abs=1e-4)
    assert found.candidates[0].score == pytest.approx(record["score"], abs=1e-4)


def test_moses_lists_number_lines_from_0(nmt: Any, run: Path) -> None:
    flags = ["--output-format", "moses", "--n-best", "2", "--beam-size", "4"]
    done = nmt("translate", "--model", run, *flags, stdin=b"one two\nthree\n")
    rows = [line.split(" ||| ") for line in done.out.splitlines()]
    assert [row[0] for row in rows] == ["0", "0", "1", "1"]
    best = nmt("translate", "--model", run, "--beam-size", "4", stdin=b"one two\nthree\n")
    assert [rows[0][1], rows[2][1]] == best.out.splitlines()
    assert all(row[2].startswith("logprob= -") for row in rows)
    assert all(float(a[3]) >= float(b[3]) for a, b in (rows[:2], rows[2:]))


def test_tsv_has_the_line_and_its_translation(nmt: Any, run: Path) -> None:
    done = nmt("translate", "--model", run, "--output-format", "tsv", stdin=b"one\ttwo\n\nten\n")
    plain = nmt("translate", "--model", run, stdin=b"one\ttwo\n\nten\n").out.splitlines()
    assert done.out.splitlines() == [
        f"one two\t{plain[0].replace(chr(9), ' ')}",
        "\t",
        f"ten\t{plain[2]}",
    ]


@pytest.mark.slow
def test_records_are_answered_one_by_one(run: Path) -> None:
    command = [sys.executable, "-m", "nmt", "translate", "--model", str(run), "--format", "jsonl"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(b'{"text": "one two", "n": %d}\n' % number)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["n"] == number
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(60) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["po", "jsonl"])
def test_a_full_disk_is_one_line(refused: Any, run: Path, document: Any, name: str) -> None:
    source = document(f"in.{name}", SAMPLES[name][0])
    message = refused("translate", "--model", run, "--input", source, "--output", "/dev/full")
    assert message.startswith("cannot write --output /dev/full")


def test_a_compressed_document_is_read(nmt: Any, run: Path, document: Any) -> None:
    import gzip

    plain, packed = document("in.po", PO), document("in2.po.gz", "")
    packed.write_bytes(gzip.compress(PO.encode()))
    found = [nmt("translate", "--model", run, "--input", path).out for path in (plain, packed)]
    assert found[0] == found[1]
    assert os.path.exists(plain)
