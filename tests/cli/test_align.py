"""`nmt align`: its links are valid gold links, its scores agree with hand calculation, errors."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nmt = Callable[..., Any]
Refused = Callable[..., str]

SOURCES = ["one two three", "four", "", "five six  seven eight", "nine ten"]
TARGETS = ["eins zwei drei", "vier fünf", "eins", "fünf sechs acht", ""]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "text.en", tmp_path / "text.de"
    for path, lines in zip(paths, (SOURCES, TARGETS), strict=True):
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return paths


@pytest.fixture
def align(nmt: Nmt, heads_model: Path, files: tuple[Path, Path]) -> Callable[..., str]:
    """Align the files, which must succeed, and return the output."""

    def call(*arguments: object, model: Path = heads_model) -> str:
        source, target = files
        result = nmt("align", "--model", model, "--source", source, "--target", target, *arguments)
        assert result.status == 0, result.err
        return str(result.out)

    return call


def test_every_target_word_is_linked_and_every_pair_has_a_line(
    align: Callable[..., str], run: Path
) -> None:
    for out in (align(), align(model=run)):
        lines = out.split("\n")
        assert lines.pop() == ""
        words = [[link.split("-") for link in line.split()] for line in lines]
        targets = [sorted(int(target) for _, target in line) for line in words]
        assert targets == [[0, 1, 2], [0, 1], [], [0, 1, 2], []]
        assert {int(source) for source, _ in words[3]} <= {0, 1, 2, 3}


@pytest.mark.parametrize("size", [1, 2, 100])
def test_the_batch_size_changes_nothing(size: int, align: Callable[..., str]) -> None:
    assert align("--batch-size", size) == align()


def test_a_compressed_file_is_read_as_the_plain_one(
    align: Callable[..., str], files: tuple[Path, Path], nmt: Nmt, heads_model: Path
) -> None:
    zipped = files[0].with_name("text.en.gz")
    zipped.write_bytes(gzip.compress(files[0].read_bytes()))
    result = nmt("align", "--model", heads_model, "--source", zipped, "--target", files[1])
    assert result.out == align()


@pytest.mark.parametrize(
    "reading",
    [[], ["--layer", 1], ["--layer", -2, "--head", 3, "--shift"], ["--head", "mean", "--no-shift"]],
)
def test_its_own_links_as_gold_give_no_error(
    reading: list[object], align: Callable[..., str], tmp_path: Path
) -> None:
    gold = tmp_path / "gold.align"
    gold.write_text(align(*reading))
    scores = json.loads(align(*reading, "--gold", gold, "--json"))
    assert (scores["aer"], scores["precision"], scores["recall"]) == (0, 1, 1)
    assert scores["found"] == scores["sure"] == 8
    assert scores["sentences"] == len(SOURCES)
    pairs = [
        [link.split("-")[::-1] for link in line.split()] for line in align(*reading).split("\n")
    ]
    flipped = "\n".join(" ".join("-".join(link) for link in line) for line in pairs)
    gold.write_text(flipped)
    assert json.loads(align(*reading, "--gold", gold, "--flip-gold", "--json"))["aer"] == 0


def test_scores_refer_to_the_printed_links(align: Callable[..., str], tmp_path: Path) -> None:
    first, *others = align().splitlines()[0].split()
    gold = tmp_path / "gold.align"
    # Of 8 links found, the first one is sure, and the other two of its sentence are possible.
    gold.write_text(" ".join([first, *(link.replace("-", "p") for link in others)]) + 5 * "\n")
    scores = json.loads(align("--gold", gold, "--json"))
    # A 8, S 1, A and S 1, A and P 3: precision 3/8, recall 1, error rate 1 - 4/9.
    assert scores["precision"] == pytest.approx(3 / 8)
    assert scores["recall"] == 1
    assert scores["aer"] == pytest.approx(5 / 9)
    assert scores["reading"] == {
        "layer": 1,
        "head": None,
        "shift": False,
        "threshold": 1.0,
    }
    shown = align("--gold", gold)
    assert "AER        55.56 %" in shown
    assert "precision  37.50 %  8 links found" in shown
    assert "recall    100.00 %  1 sure links" in shown


def test_a_comparison_lists_every_reading_with_its_score_best_first(
    align: Callable[..., str], tmp_path: Path
) -> None:
    gold = tmp_path / "gold.align"
    gold.write_text(align("--layer", 2, "--head", 3, "--shift"))
    rows = json.loads(align("--gold", gold, "--compare", "--json"))
    assert len(rows) == 2 * (1 + 4) * 2
    assert len({tuple(row["reading"].values()) for row in rows}) == len(rows)
    assert [row["aer"] for row in rows] == sorted(row["aer"] for row in rows)
    assert {"layer": 2, "head": 3, "shift": True, "threshold": 1.0} in [
        row["reading"] for row in rows if row["aer"] == 0
    ]
    assert rows[-1]["aer"] > 0
    for row in rows[:: len(rows) - 1]:
        read = row["reading"]
        flags = ["--layer", read["layer"], "--shift" if read["shift"] else "--no-shift"]
        flags += ["--head", "mean" if read["head"] is None else read["head"]]
        assert json.loads(align("--gold", gold, "--json", *flags)) == row
    table = align("--gold", gold, "--compare").splitlines()
    assert table[0].split()[:3] == ["--layer", "--head", "shift"]
    assert len(table) == 1 + len(rows)
    assert [float(line.split()[3]) for line in table[1:]] == [
        round(100 * row["aer"], 2) for row in rows
    ]


def test_a_recurrent_model_has_one_layer_and_one_head_to_compare(
    align: Callable[..., str], run: Path, tmp_path: Path
) -> None:
    gold = tmp_path / "gold.align"
    gold.write_text(align(model=run))
    rows = json.loads(align("--gold", gold, "--compare", "--json", model=run))
    assert [row["reading"]["head"] for row in rows] == [None, None]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--layer", 3], ["layer 3 does not exist", "2 layers", "from 1 to 2", "from -2 to -1"]),
        (["--layer", 0], ["layer 0 does not exist", "2 layers", "from 1 to 2"]),
        (["--head", 5], ["head 5 does not exist", "4 heads"]),
        (["--head", 0], ["head 0 does not exist", "4 heads", "from 1 to 4"]),
        (["--head", "first"], ["--head first", "mean"]),
        (["--compare"], ["--compare", "--gold"]),
        (["--flip-gold"], ["--flip-gold", "--gold"]),
        (["--json"], ["--json", "--gold"]),
        (["--gold", "nowhere.align"], ["there is no file nowhere.align"]),
        (["--batch-size", 0], ["batch size is 0"]),
    ],
)
def test_invalid_options_are_refused_before_any_output(
    arguments: list[object],
    parts: list[str],
    refused: Refused,
    heads_model: Path,
    files: tuple[Path, Path],
) -> None:
    source, target = files
    common = ["--model", heads_model, "--source", source, "--target", target]
    message = refused("align", *common, *arguments)
    assert all(part in message for part in parts), message


def test_a_comparison_with_a_reading_is_refused(
    refused: Refused, heads_model: Path, files: tuple[Path, Path]
) -> None:
    source, target = files
    common = ["--model", heads_model, "--source", source, "--target", target, "--gold", source]
    assert "leave out --layer" in refused("align", *common, "--compare", "--layer", 0)


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        (["0-0", "0-0", "", "0-0"], "gold.align ends before it"),
        (["0-0", "0-0", "", "0-0", "", ""], "gold.align has a line 6 but"),
        (["0-0", "0-0", "", "4-0", ""], "line 4: the link 4-0 points outside its pair of 4 source"),
        (["0-0", "0-0", "0-0", "", ""], "line 3: the link 0-0 points outside its pair of 0 source"),
        (["0-0", "0-1 x", "", "", ""], "line 2: 'x' is not a link"),
        (["", "", "", "", ""], "contains no links"),
    ],
)
def test_gold_alignments_of_another_text_are_refused(
    gold: list[str],
    message: str,
    refused: Refused,
    heads_model: Path,
    files: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    path = tmp_path / "gold.align"
    path.write_text("".join(f"{line}\n" for line in gold))
    source, target = files
    common = ["--model", heads_model, "--source", source, "--target", target]
    assert message in refused("align", *common, "--gold", path)


def test_files_of_different_lengths_are_refused_with_the_line(
    refused: Refused, heads_model: Path, files: tuple[Path, Path]
) -> None:
    source, target = files
    with target.open("a") as file:
        file.write("noch eins\n")
    common = ["--model", heads_model, "--source", source, "--target", target]
    message = refused("align", *common, after_progress=True)
    assert f"{target} has a line 6 but {source} ends before it" in message


def test_a_model_without_attention_is_refused(
    refused: Refused, blind_model: Path, files: tuple[Path, Path]
) -> None:
    source, target = files
    common = ["--model", blind_model, "--source", source, "--target", target]
    assert "this model has no attention" in refused("align", *common)
