"""`nmt attention`: every output format, from search and from forced decoding, and errors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.reporting.heatmaps import fonts

Nmt = Callable[..., Any]
Refused = Callable[..., str]

SENTENCE = "one two seven"
SOURCES = [SENTENCE, "four", "nine ten"]
REFERENCES = ["eins zwei sieben", "vier", "neun zehn"]


@pytest.fixture
def attention(nmt: Nmt, heads_model: Path) -> Callable[..., str]:
    """Show attention, which must succeed, and return the output."""

    def call(*arguments: object) -> str:
        result = nmt("attention", "--model", heads_model, *arguments)
        assert (result.status, result.err) == (0, "")
        return str(result.out)

    return call


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return _write(tmp_path / "text.en", SOURCES)


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    return _write(tmp_path / "text.de", REFERENCES)


def _write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_one_call_writes_every_format(
    attention: Callable[..., str], nmt: Nmt, heads_model: Path, source: Path, tmp_path: Path
) -> None:
    formats = ("png", "svg", "pdf", "html", "json", "align")
    outputs = [
        part for suffix in formats for part in ("--output", tmp_path / "new" / f"map.{suffix}")
    ]
    out = attention("--source", source, *outputs)
    assert out == nmt("translate", "--model", heads_model, stdin=source.read_bytes()).out
    written = {path.name for path in (tmp_path / "new").iterdir()}
    pictures = {f"map-{n}.{suffix}" for suffix in ("png", "svg", "pdf") for n in (1, 2, 3)}
    assert written == pictures | {"map.html", "map.json", "map.align"}
    assert (tmp_path / "new" / "map-1.png").read_bytes().startswith(b"\x89PNG")
    links = (tmp_path / "new" / "map.align").read_text()
    assert links == attention("--source", source)
    assert links.count("\n") == len(SOURCES)


def test_one_sentence_is_drawn_to_the_given_file(
    attention: Callable[..., str], tmp_path: Path
) -> None:
    for flags in ([], ["--grid"], ["--pieces", "--no-eos", "--shift", "--layer", 1, "--head", 3]):
        path = tmp_path / "map.svg"
        attention(SENTENCE, "--output", path, *flags)
        assert path.read_text().lstrip().startswith("<?xml")
        path.unlink()
    assert list(tmp_path.iterdir()) == []


def _weights(record: Any) -> Any:
    return np.array(record["weights"])


def _records(path: Path) -> list[Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    records = content if isinstance(content, list) else content["sentences"]
    assert isinstance(records, list)
    return records


def test_words_or_pieces_with_or_without_eos_forced(
    attention: Callable[..., str], source: Path, reference: Path, tmp_path: Path
) -> None:
    path = tmp_path / "map.json"
    forced = ["--source", source, "--reference", reference, "--output", path]
    assert attention(*forced) == ""
    records = _records(path)
    assert len(records) == 3
    for record, english, german in zip(records, SOURCES, REFERENCES, strict=True):
        assert record["source"] == [*english.split(), "</s>"]
        assert record["target"] == [*german.split(), "</s>"]
        weights = _weights(record)
        assert weights.shape == (2, 4, len(record["target"]), len(record["source"]))
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-3)
    attention(*forced, "--no-eos")
    bare = _records(path)[0]
    assert (bare["source"], bare["target"]) == (SOURCES[0].split(), REFERENCES[0].split())
    np.testing.assert_allclose(_weights(bare).sum(-1), 1, atol=1e-3)
    attention(*forced, "--pieces", "--shift")
    pieces = _records(path)[0]
    assert pieces["target"][-1] != "</s>"
    assert "".join(pieces["target"]).replace("▁", " ").strip() == REFERENCES[0]
    assert len(pieces["source"]) > len(bare["source"])


def test_forced_links_are_those_of_align(
    attention: Callable[..., str], nmt: Nmt, heads_model: Path, source: Path, reference: Path
) -> None:
    flags = ["--layer", 2, "--head", 1, "--shift"]
    files = ["--model", heads_model, "--source", source, "--target", reference]
    out = attention("--source", source, "--reference", reference, *flags)
    assert out == nmt("align", *files, *flags).out
    assert out.count("-") == sum(len(line.split()) for line in REFERENCES)


def test_one_sentence_may_have_a_reference_of_one_line(
    attention: Callable[..., str], tmp_path: Path, source: Path, reference: Path
) -> None:
    one = _write(tmp_path / "one.de", REFERENCES[:1])
    alone = attention(SENTENCE, "--reference", one)
    assert alone == attention("--source", source, "--reference", reference).splitlines()[0] + "\n"


def test_a_rank_is_a_position_in_the_beam(
    attention: Callable[..., str], nmt: Nmt, heads_model: Path, tmp_path: Path
) -> None:
    flags = ["--beam-size", 3, SENTENCE]
    out = nmt("translate", "--model", heads_model, "--n-best", 3, *flags).out
    best = [line.split("\t")[1] for line in out.splitlines()]
    for rank, expected in enumerate(best, start=1):
        path = tmp_path / f"{rank}.json"
        assert attention(*flags, "--rank", rank, "--output", path).rstrip("\n") == expected
        assert _records(path)[0]["target_text"] == expected


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["there is no sentence", "--source"]),
        ([SENTENCE, "--source", "x.en"], ["not both"]),
        ([" "], ["the sentence is blank"]),
        (["one\ntwo"], ["line break"]),
        (["one \udcff"], ["character 5 is a byte that is not UTF-8"]),
        ([SENTENCE, "--output", "map.gif"], ["map.gif", ".png", ".html", ".align"]),
        ([SENTENCE, "--output", "map"], ["--output map", "suffix"]),
        ([SENTENCE, "--output", "a.png", "--output", "a.png"], ["a.png is given twice"]),
        ([SENTENCE, "--grid"], ["--grid", "--output"]),
        ([SENTENCE, "--grid", "--output", "a.html"], ["--grid", ".png"]),
        ([SENTENCE, "--rank", 0], ["--rank is 0"]),
        ([SENTENCE, "--rank", 2, "--reference", "x.de"], ["--rank", "--reference"]),
        ([SENTENCE, "--beam-size", 2, "--reference", "x.de"], ["--beam-size", "--reference"]),
        ([SENTENCE, "--head", "all"], ["--head all"]),
        (["--source", "nowhere.en"], ["there is no file nowhere.en"]),
    ],
)
def test_invalid_input_is_refused_before_the_model_is_opened(
    arguments: list[object], parts: list[str], refused: Refused
) -> None:
    message = refused("attention", "--model", "nowhere", *arguments)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", 5], "layer 5 does not exist: the model's attention has 2 layers"),
        (["--rank", 4, "--beam-size", 3], "--rank 4 exceeds the beam size: add --beam-size 4"),
    ],
)
def test_a_layer_or_rank_that_does_not_exist_is_refused(
    arguments: list[object], message: str, refused: Refused, heads_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "map.png"
    flags = ["--model", heads_model, SENTENCE, "--output", output]
    assert message in refused("attention", *flags, *arguments)
    assert not output.exists()


def test_files_that_do_not_fit_are_refused(
    refused: Refused, source: Path, reference: Path, tmp_path: Path
) -> None:
    def message(*arguments: object) -> str:
        return refused("attention", "--model", "nowhere", *arguments)

    short = _write(tmp_path / "short.de", REFERENCES[:2])
    assert "has 3 lines but" in message("--source", source, "--reference", short)
    assert "has 2 lines, but there is one" in message(SENTENCE, "--reference", short)
    blank = _write(tmp_path / "blank.de", ["eins", " ", "drei"])
    assert f"{blank}, line 2 is blank" in message("--source", source, "--reference", blank)
    assert f"{blank}, line 2 is blank" in message("--source", blank)
    assert "--grid draws one sentence, but there are 3" in message(
        "--source", source, "--grid", "--output", "a.png"
    )
    empty = _write(tmp_path / "empty.en", [])
    assert f"{empty} contains no text" in message("--source", empty)


def test_a_model_without_attention_is_refused(refused: Refused, blind_model: Path) -> None:
    assert "no attention" in refused("attention", "--model", blind_model, SENTENCE)


@pytest.mark.parametrize("command", ["attention", "translate"])
def test_boxes_in_pictures_are_one_warning_that_names_script_package_and_page(
    nmt: Nmt,
    heads_model: Path,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    monkeypatch.setattr(fonts, "_has", lambda _, character: character != "w")
    fonts._families.cache_clear()
    arguments = (
        "--source",
        source,
        "--output",
        tmp_path / "map.png",
        "--output",
        tmp_path / "m.svg",
    )
    if command == "translate":
        arguments = ("--attention", tmp_path / "map.png", SENTENCE)
    result = nmt(command, "--model", heads_model, *arguments)
    fonts._families.cache_clear()
    assert result.status == 0
    (warning,) = result.err.splitlines()
    assert warning.startswith("warning: no installed font has these characters")
    for part in ("Latin (w)", "fonts-noto-core", "--output map.html"):
        assert part in warning


def test_faithfulness_is_printed_and_written(
    attention: Callable[..., str], source: Path, reference: Path, tmp_path: Path
) -> None:
    files = ["--source", source, "--reference", reference]
    page, numbers = tmp_path / "page.html", tmp_path / "numbers.json"
    out = attention(*files, "--faithfulness", "--output", page, "--output", numbers)
    assert "order of the weights and of leave-one-out erasure, tau" in out
    assert "change of the prediction, weights permuted" in out
    found = json.loads(numbers.read_text())
    assert len(found["records"]) == found["sentences"]
    record = found["records"][0]
    assert np.array(record["erasure"]).shape == (len(record["target"]), len(record["source"]))
    text = page.read_text(encoding="utf-8")
    assert SENTENCE in text
    assert "<script>" in text
    assert "http" not in text.replace("http-equiv", "")


def test_faithfulness_of_what_the_model_translates(attention: Callable[..., str]) -> None:
    assert "weights equal" in attention(SENTENCE, "--faithfulness")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--grid"], "--grid does not apply to --faithfulness"),
        (["--no-eos"], "--no-eos does not apply"),
        (["--output", "x.png"], "with --faithfulness give a .html or .json file"),
    ],
)
def test_options_that_faithfulness_lacks(
    refused: Refused, heads_model: Path, options: list[str], message: str
) -> None:
    arguments = ["attention", "--model", heads_model, SENTENCE, "--faithfulness", *options]
    assert message in refused(*arguments)
