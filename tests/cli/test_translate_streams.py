"""`nmt translate` as a part of a pipe: streaming, faulty and long lines, files, broken streams."""

import errno
import io
import os
import pty
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faulty_disk import in_a_fork

from nmt.cli.main import main
from nmt.cli.translation.answer_output import AnswerOutput, open_output
from nmt.errors import UserError

Nmt = Callable[..., Any]
Refused = Callable[..., str]

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def _process(*arguments: object, **streams: Any) -> "subprocess.Popen[bytes]":
    """Start the command as a user does."""
    command = [sys.executable, "-m", "nmt", *map(str, arguments)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **streams}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, **streams)


def _shell(line: str, **words: object) -> tuple[int, bytes, bytes]:
    """Run a line of a shell in which $NMT is the command; return its status and what it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NMT": f"{sys.executable} -m nmt"}
    environment |= {name: str(word) for name, word in words.items()}
    result = subprocess.run(
        ["bash", "-c", line], capture_output=True, env=environment, timeout=200, check=False
    )
    return result.returncode, result.stdout, result.stderr


@pytest.mark.parametrize(
    "flags", [[], ["--batch-size", "1"], ["--n-best", "2", "--beam-size", "2"]]
)
def test_a_line_is_answered_before_the_next_one_is_sent(
    heads_model: Path, flags: list[str]
) -> None:
    process = _process("translate", "--model", heads_model, *flags, stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    rows = 2 if "--n-best" in flags else 1
    for line in (b"one two\n", b"\n", b"three\nfour"):  # the last line ends later
        process.stdin.write(line)
        process.stdin.flush()
        for _ in range(rows):  # a caller that waits for the answer would wait forever otherwise
            assert process.stdout.readline().endswith(b"\n")
    rest, err = process.communicate(timeout=100)
    assert (rest.count(b"\n"), err, process.returncode) == (rows, b"", 0)


def test_lines_at_hand_share_batches(
    nmt: Nmt, heads_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nmt.decoding.translator import Translator

    sizes = []
    translate = Translator.translate

    def counting(self: Translator, sentences: list[str], **options: Any) -> Any:
        sizes.append(len(sentences))
        return translate(self, sentences, **options)

    monkeypatch.setattr(Translator, "translate", counting)
    text = b"one two\n" * 40
    assert nmt("translate", "--model", heads_model, "--batch-size", 2, stdin=text).status == 0
    assert sizes == [32, 8]


LATE = b"one\n" * 20 + "fünf\n".encode("cp1252") + b"two\n" * 3


def test_a_line_that_is_not_utf_8_costs_only_itself(nmt: Nmt, heads_model: Path) -> None:
    call = ("translate", "--model", heads_model)
    good = nmt(*call, stdin=b"one\n" * 20 + b"two\n" * 3).out.splitlines(keepends=True)
    strict = nmt(*call, "--batch-size", 1, stdin=LATE)
    assert (strict.status, strict.out) == (2, "".join(good[:20]))
    assert strict.err.count("\n") == 1
    for part in ("standard input, line 21 ", "0xfc", "iconv -f WINDOWS-1252", "--errors replace"):
        assert part in strict.err
    assert "lines translated before it: 20" in strict.err
    skipped = nmt(*call, "--errors", "skip-blank", stdin=LATE)
    assert (skipped.status, skipped.out) == (0, "".join([*good[:20], "\n", *good[20:]]))
    assert "line 21 is not UTF-8" in skipped.err
    assert skipped.err.endswith("empty in the output: 1\n")
    replaced = nmt(*call, "--errors", "replace", stdin=LATE)
    expected = nmt(*call, stdin=LATE.replace(b"\xfc", "\ufffd".encode()))
    assert (replaced.status, replaced.out) == (0, expected.out)
    assert "line 21" in replaced.err


def test_many_faulty_lines_are_counted_but_not_all_named(nmt: Nmt, heads_model: Path) -> None:
    flags = ["--errors", "skip-blank"]
    result = nmt("translate", "--model", heads_model, *flags, stdin=b"\xff\n" * 50)
    assert result.out == "\n" * 50
    assert len(result.err.splitlines()) == 11
    assert result.err.splitlines()[-1].endswith(": 50")


def test_an_argument_that_is_not_utf_8_is_named(refused: Refused, heads_model: Path) -> None:
    message = refused("translate", "--model", heads_model, "f\udcfcnf")
    assert "argument 1 is not UTF-8" in message
    assert "0xfc" in message


@pytest.mark.parametrize(
    "odd", [b"\0", b"\r", b"\x0b", b"\x0c", b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\x1a"]
)
def test_only_a_line_feed_ends_a_line(nmt: Nmt, heads_model: Path, odd: bytes) -> None:
    text = b"one" + odd + b"two\n" + odd + b"\n" + odd + b"three" + odd
    result = nmt("translate", "--model", heads_model, stdin=text)
    assert (result.status, result.err) == (0, "")
    assert result.out.count("\n") == 3


def test_a_byte_order_mark_and_the_kind_of_line_end_change_nothing(
    nmt: Nmt, heads_model: Path
) -> None:
    call = ("translate", "--model", heads_model)
    plain = nmt(*call, stdin=b"one two\n\nthree\n").out
    assert nmt(*call, stdin=b"\xef\xbb\xbfone two\r\n\r\nthree").out == plain


LONG = "one two three. " * 30 + "four five, six seven, eight nine! " + "ten " * 60


def test_a_long_line_is_cut_translated_and_joined(nmt: Nmt, heads_model: Path) -> None:
    from nmt.checkpoint import load_checkpoint
    from nmt.decoding.long_lines import source_lengths, split_line

    call = ("translate", "--model", heads_model)
    result = nmt(*call, "--max-length", 20, stdin=f"one\n{LONG}\ntwo\n".encode())
    assert result.status == 0
    tokenizer = load_checkpoint(heads_model).tokenizers.source
    parts = split_line(tokenizer, LONG, 20)
    assert max(source_lengths(tokenizer, parts)) <= 20
    assert "".join("".join(parts).split()) == "".join(LONG.split())
    translated = nmt(*call, stdin="".join(f"{part}\n" for part in parts).encode()).out
    assert result.out.splitlines()[1] == " ".join(filter(None, translated.split("\n")))
    assert result.out.count("\n") == 3
    assert f"line 2 has {source_lengths(tokenizer, [LONG])[0]:,} pieces" in result.err
    assert result.err.count("line 2 ") == 1


def test_a_long_line_is_refused_or_translated_whole_by_choice(nmt: Nmt, heads_model: Path) -> None:
    call = ("translate", "--model", heads_model, "--max-length", 20)
    text = f"one\n{LONG}\ntwo\n".encode()
    refused = nmt(*call, "--long-lines", "refuse", stdin=text)
    assert (refused.status, refused.out.count("\n")) == (2, 1)
    assert "line 2 has" in refused.err
    blank = nmt(*call, "--long-lines", "refuse", "--errors", "skip-blank", stdin=text)
    assert (blank.status, blank.out.split("\n")[1]) == (0, "")
    whole = nmt(*call, "--long-lines", "whole", stdin=text)
    assert (whole.status, whole.err) == (0, "")
    assert whole.out == nmt(*call[:3], "--max-length", 9000, stdin=text).out


def test_the_limit_is_that_of_training(nmt: Nmt, run: Path, tmp_path: Path) -> None:
    result = nmt("translate", "--model", run, stdin=("one " * 400).encode())
    assert result.status == 0
    assert "more than --max-length 128" in result.err


@pytest.mark.parametrize("size", [(1 << 20) + 1, 3 << 20])
def test_a_line_without_end_is_bounded(nmt: Nmt, heads_model: Path, size: int) -> None:
    text = b"one\n" + b"x" * size + b"\ntwo\n"
    call = ("translate", "--model", heads_model)
    strict = nmt(*call, stdin=text)
    assert (strict.status, strict.out.count("\n")) == (2, 1)
    assert f"line 2 has {size:,} bytes" in strict.err
    blank = nmt(*call, "--errors", "skip-blank", stdin=text)
    assert [bool(line) for line in blank.out.splitlines()] == [True, False, True]


def test_samples_do_not_depend_on_how_long_lines_are_cut_into_chunks(
    nmt: Nmt, heads_model: Path
) -> None:
    call = ("translate", "--model", heads_model, "--sample", "--max-length", 20)
    text = f"one\n{LONG}\n{LONG}\n".encode()
    out = nmt(*call, stdin=text).out
    assert nmt(*call, "--batch-size", 1, stdin=text).out == out
    assert out.splitlines()[1] != out.splitlines()[2]


@pytest.mark.parametrize("flags", [["--beam-size", "4"], ["--sample"]])
def test_n_best_gives_different_texts_and_parses_everywhere(
    nmt: Nmt, heads_model: Path, flags: list[str]
) -> None:
    call = ("translate", "--model", heads_model, *flags)
    lines = ["one", "", "two three", " ", "ten"]
    text = "".join(f"{line}\n" for line in lines).encode()
    rows = [row.split("\t") for row in nmt(*call, "--n-best", 4, stdin=text).out.split("\n")[:-1]]
    assert [len(row) for row in rows] == [2] * 4 * len(lines)
    best = nmt(*call, stdin=text).out.split("\n")
    for number, line in enumerate(lines):
        group = rows[4 * number : 4 * number + 4]
        scores = [float(score) for score, _ in group]
        texts = [text for score, text in group if score != "-inf"]
        assert len(set(texts)) == len(texts)
        assert texts[0] == best[number]
        if "--sample" not in flags or not line.strip():
            assert scores == sorted(scores, reverse=True)
        if not line.strip():
            assert group == [["0.0000", ""], *([["-inf", ""]] * 3)]


def test_input_and_output_files(nmt: Nmt, heads_model: Path, tmp_path: Path) -> None:
    call = ("translate", "--model", heads_model)
    source, output = tmp_path / "a.en", tmp_path / "new" / "a.de"
    source.write_bytes(b"one two\n\nthree\n")
    expected = nmt(*call, stdin=source.read_bytes()).out
    result = nmt(*call, "--input", source, "--output", output)
    assert (result.status, result.out, result.err) == (0, "", "")
    assert output.read_text(encoding="utf-8") == expected
    assert nmt(*call, "--input", "-", "--output", "-", stdin=source.read_bytes()).out == expected
    source.write_bytes(b"one\n\xff\n")
    assert nmt(*call, "--input", source, "--output", output).status == 2
    assert output.read_text(encoding="utf-8") == nmt(*call, stdin=b"one\n").out


def test_compressed_input_is_read(nmt: Nmt, heads_model: Path, tmp_path: Path) -> None:
    import gzip

    call = ("translate", "--model", heads_model)
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"one two\nthree\n"))
    assert nmt(*call, "--input", tmp_path / "a.gz").out == nmt(*call, stdin=b"one two\nthree\n").out


def test_wrong_files_are_refused(refused: Refused, heads_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "sentences.en"
    file.write_text("one\n")
    call = ("translate", "--model", heads_model)
    assert f"to translate its lines: --input {file}" in refused(*call, file)
    assert "not both" in refused(*call, "--input", file, "one")
    assert "is the input file" in refused(*call, "--input", file, "--output", file)
    assert file.read_text() == "one\n"
    assert "is a folder" in refused(*call, "--input", tmp_path)
    assert "is a folder" in refused(*call, "--input", file, "--output", tmp_path)
    assert "there is no file" in refused(*call, "--input", tmp_path / "nowhere")
    assert "must be from 1" in refused(*call, "--max-length", 0, "one")
    assert "/dev/zero: it is a device" in refused(*call, "--input", "/dev/zero")
    if os.path.exists("/proc/self/mem"):  # its first byte cannot be read
        assert "cannot read /proc/self/mem" in refused(*call, "--input", "/proc/self/mem")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.en", "one\n")
    message = refused(*call, "--input", tmp_path / "a.zip", "--errors", "replace")
    assert "zip archive, not text" in message


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"PK\x03\x04", r"document or workbook \(.docx"),
        (b"\xd0\xcf\x11\xe0", "old Microsoft Office"),
        (b"%PDF-1.7", "a PDF"),
        (b"{\\rtf1", "word processor"),
    ],
)
@pytest.mark.parametrize("flags", [[], ["--format", "html"]])
def test_a_document_of_a_word_processor_is_named_with_the_remedy(
    nmt: Nmt, heads_model: Path, tmp_path: Path, start: bytes, kind: str, flags: list[str]
) -> None:
    path = tmp_path / "letter.docx"
    path.write_bytes(start + bytes(100) + b"\n\xff\n")
    command = ("translate", "--model", heads_model, *flags)
    for source, name in (((*command, "--input", path), str(path)), (command, "standard input")):
        done = nmt(*source, stdin=path.read_bytes())
        assert done.status == 2
        assert re.search(f"cannot read {name}: it is .*{kind}.*as HTML or as plain", done.err)


def test_a_missing_model_does_not_empty_the_output(refused: Refused, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.write_text("earlier\n")
    refused("translate", "--model", tmp_path / "none", "--output", output, "one")
    assert output.read_text() == "earlier\n"


@needs_full
@pytest.mark.parametrize("command", ["--help", "train --cfg job", "translate --model $M one"])
def test_a_full_disk_behind_standard_output_is_one_line(command: str, heads_model: Path) -> None:
    status, _, err = _shell(f"$NMT {command} > /dev/full", M=heads_model)
    assert status == 2
    assert err.startswith(b"nmt: cannot write standard output: No space left")
    assert err.count(b"\n") == 1


@needs_full
@pytest.mark.parametrize(
    "command",
    [
        *("--version", "translate --help", "train --help", "prepare --help", "data check --help"),
        *("bench decode --help", "data check --json {T} {T2}", "attention --model {M} one"),
        *("align --model {M} --source {T} --target {T}",),
        *("evaluate --model {M} --source {T} --reference {T} --json",),
    ],
)
def test_every_command_reports_a_full_disk_behind_standard_output(
    command: str, heads_model: Path, tmp_path: Path
) -> None:
    texts = [tmp_path / "a.en", tmp_path / "a.de"]
    for text, word in zip(texts, ("one", "two"), strict=True):
        text.write_text(f"{word} three\n" * 20)
    arguments = command.format(M=heads_model, T=texts[0], T2=texts[1]).split()

    def run() -> int:
        os.dup2(os.open(FULL, os.O_WRONLY), 1)
        sys.argv = ["nmt", *arguments]
        main()
        return 0

    assert in_a_fork(run, tmp_path / "log") == 2
    err = (tmp_path / "log").read_text()
    assert err.splitlines()[-1].startswith("nmt: cannot write standard output: No space left")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("$NMT translate --model $M one >&-", b"standard output is closed"),
        ("$NMT --help >&-", b"standard output is closed"),
        ("$NMT translate --model $M <&-", b"standard input is closed"),
        ("$NMT translate --model $M one 1</dev/null", b"cannot write standard output"),
        ("$NMT translate --model $M 0>/dev/null", b"cannot read standard input"),
    ],
)
def test_a_closed_stream_is_one_line(line: str, message: bytes, heads_model: Path) -> None:
    status, out, err = _shell(line, M=heads_model)
    assert (status, out) == (2, b"")
    assert err.startswith(b"nmt: " + message)
    assert err.count(b"\n") == 1


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full", "2> >(true)"])
def test_lost_messages_do_not_stop_a_translation(stream: str, heads_model: Path) -> None:
    if "full" in stream and not FULL.exists():
        pytest.skip("this system has no /dev/full")
    line = f"printf 'one\\n\\377\\n' | $NMT translate --model $M --errors skip-blank {stream}"
    status, out, err = _shell(line, M=heads_model)
    assert (status, out.count(b"\n"), err) == (0, 2, b"")


@needs_full
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "html", "json", "align"])
def test_a_full_disk_behind_an_output_file_is_one_line(
    refused: Refused, heads_model: Path, tmp_path: Path, suffix: str
) -> None:
    output = tmp_path / f"map.{suffix}"
    output.symlink_to(FULL)
    message = refused(
        "attention", "--model", heads_model, "one", "--output", output, after_progress=True
    )
    assert message == f"cannot write --output {output}: No space left on device; free some space"
    assert FULL.is_char_device()


def test_a_failure_to_close_an_output_file_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LateDisk(io.StringIO):
        """A file whose disk reports a failure at the end, as a network disk does."""

        def close(self) -> None:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(Path, "open", lambda *_, **__: LateDisk())
    with (
        pytest.raises(
            UserError, match="out: Disk quota exceeded; free some space; it may be incomplete"
        ),
        open_output(tmp_path / "out", None),
    ):
        pass


@needs_full
def test_a_full_disk_behind_the_output_of_translate(
    refused: Refused, heads_model: Path, tmp_path: Path
) -> None:
    call = ("translate", "--model", heads_model, "one")
    message = refused(*call, "--output", FULL)
    assert message.startswith(f"cannot write --output {FULL}: No space left on device")
    picture = tmp_path / "x.pdf"
    picture.symlink_to(FULL)
    assert "No space left" in refused(*call, "--attention", picture, after_progress=True)


def test_a_terminal_gets_no_control_characters_and_a_pipe_gets_all() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    answer = "a\x1b[31m\x07b\u202e\tc"
    for stream, expected in (
        (Terminal(), "a\\x1b[31m\\x07b\\u202e\tc\n"),
        (io.StringIO(), f"{answer}\n"),
    ):
        AnswerOutput(stream, None).write([[answer]])
        assert stream.getvalue() == expected


def test_a_terminal_is_asked_line_by_line(heads_model: Path) -> None:
    master, slave = pty.openpty()
    process = _process("translate", "--model", heads_model, stdin=slave)
    os.close(slave)
    assert process.stdout is not None
    os.write(master, b"one two\n")
    assert process.stdout.readline().endswith(b"\n")
    os.write(master, b"three\n\x04")
    out, err = process.communicate(timeout=100)
    os.close(master)
    assert out.count(b"\n") == 1
    assert err.startswith(b"One sentence per line; Ctrl-D ends.\n> ")
    assert err.count(b"> ") == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["attention", "--model", "a", "--model", "b", "one"],
        ["translate", "--model", "a", "--beam-size", "3", "--beam-size", "3", "one"],
        ["evaluate", "--model", "a", "--source", "x", "--reference", "y", "--source", "z"],
        ["align", "--model", "a", "--source", "x", "--target", "y", "--shift", "--no-shift"],
        ["attention", "--model", "a", "one", "--eos", "--no-eos"],
        ["average", "--output", "a", "--output", "b", "c"],
        ["data", "check", "--valid", "a", "b", "--valid", "c", "d", "e", "f"],
        ["bench", "decode", "--json", "a", "--json", "b"],
    ],
)
def test_an_option_with_one_value_is_not_given_twice(
    arguments: list[str], refused: Refused
) -> None:
    message = refused(*arguments)
    assert re.match(r"--[a-z-]+(/--[a-z-]+)? is given more than once, but has one value", message)


def test_options_that_collect_values_are_repeated(
    nmt: Nmt, heads_model: Path, tmp_path: Path
) -> None:
    outputs = ["--output", tmp_path / "a.json", "--output", tmp_path / "a.align"]
    assert nmt("attention", "--model", heads_model, "one", *outputs).status == 0
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "a.align"}


@pytest.mark.parametrize("faulty", ["strict", "skip-blank"])
def test_a_long_line_for_a_model_that_reads_its_translations_is_named(
    faulty: str,
    nmt: Nmt,
    model_file: Callable[..., Path],
    tiny_config: Callable[..., Any],
) -> None:
    reads = dict(documents="blank_lines", context_sentences=1, context_targets=1)
    model = model_file(tiny_config("transformer", "transformer"), reads)
    lines = b"one\none two three four five\ntwo\n"
    options = "--max-length", 8, "--errors", faulty
    result = nmt("translate", "--model", model, *options, stdin=lines)
    assert "standard input, line 2 has " in result.err.replace("stdin", "standard input")
    assert "cannot be cut, because the model reads its own translations" in result.err
    assert result.status == (2 if faulty == "strict" else 0)
    assert len(result.out.splitlines()) == (1 if faulty == "strict" else 3)
    assert ("add --long-lines whole" in result.err) == (faulty == "strict")
