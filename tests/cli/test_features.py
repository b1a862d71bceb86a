"""The commands with --features: counts, sizes, captions without text, regions of attention."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Call, corpus, nmt, refused, tiny, write_corpus

from nmt.api import load
from nmt.errors import UserError

__all__ = ["corpus", "nmt", "refused", "tiny"]  # fixtures

SIZE, REGIONS = 4, 3


def with_features(folder: Path) -> list[str]:
    """Write features of all splits; return the settings that name them."""
    random = np.random.default_rng(1)
    for split, count in (("train", 100), ("valid", 5), ("test", 5)):
        array = random.normal(size=(count, REGIONS, SIZE)).astype(np.float32)
        np.save(folder / f"{split}.npy", array)
    return [f"data.features.{s}={folder / s}.npy" for s in ("train", "valid", "test")]


KINDS = {
    "gated": ["model.features.combination=gated", f"model.features.size={SIZE}"],
    "joint": ["model.features.combination=joint", f"model.features.size={SIZE}"],
    "regions": [
        "model/encoder=regions",
        f"model.encoder.feature_size={SIZE}",
        "model.encoder.hidden_size=16",
        "model.tying=decoder",
    ],
}


def settings(kind: str, tiny: list[str]) -> list[str]:
    dropped = ("model.encoder.",) if kind == "regions" else ()
    return [*(one for one in tiny if not one.startswith(dropped)), *KINDS[kind]]


@pytest.fixture(scope="module", params=list(KINDS))
def trained(
    request: pytest.FixtureRequest,
    nmt: Call,
    tiny: Callable[[Path], list[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Path, Path]:
    """The kind of a model, the folder of its run, and its corpus with features."""
    folder = tmp_path_factory.mktemp("features")
    text = write_corpus(folder / "corpus")
    features = with_features(text)
    run = folder / "run"
    chosen = [*settings(request.param, tiny(text)), *features, f"run.dir={run}"]
    result = nmt("train", *chosen, "logging.samples=1")
    assert result.status == 0, result.err
    return request.param, run, text


def test_a_file_is_translated_with_its_features(trained: tuple[str, Path, Path], nmt: Call) -> None:
    _, run, text = trained
    options = "--model", run, "--input", text / "test.en", "--features", text / "test.npy"
    result = nmt("translate", *options)
    assert result.status == 0, result.err
    assert result.out == (run / "test.translations.txt").read_text()


def test_features_of_other_lines_change_scores(trained: tuple[str, Path, Path], nmt: Call) -> None:
    _, run, text = trained
    np.save(text / "other.npy", np.load(text / "test.npy")[::-1])
    files = "--source", text / "test.en", "--target", text / "test.de", "--target", text / "test.de"
    own, other = (
        nmt("score", "--model", run, *files, "--features", text / f"{name}.npy")
        for name in ("test", "other")
    )
    assert own.status == other.status == 0, own.err
    rows = [[line.split("\t") for line in result.out.splitlines()] for result in (own, other)]
    assert all(one[0] == one[1] for one in rows[0])  # both targets have the features of the line
    assert [one[0] for one in rows[0]] != [one[0] for one in rows[1]]
    assert rows[0][2] == rows[1][2]  # the middle line has its own features in both


def test_the_model_is_evaluated_with_the_features_of_its_run(
    trained: tuple[str, Path, Path], nmt: Call
) -> None:
    _, run, text = trained
    own = nmt("evaluate", "--model", run, "--json", "--metrics", "bleu")
    assert own.status == 0, own.err
    files = "--source", text / "test.en", "--reference", text / "test.de"
    given = nmt(
        *("evaluate", "--model", run, "--json", "--metrics", "bleu", *files),
        *("--features", text / "test.npy"),
    )
    assert given.status == 0, given.err
    systems = [json.loads(result.out)["systems"] for result in (own, given)]
    assert systems[0] == systems[1]


def test_the_attention_to_regions_is_shown(
    trained: tuple[str, Path, Path], nmt: Call, tmp_path: Path
) -> None:
    _, run, text = trained
    files = "--source", text / "test.en", "--features", text / "test.npy", "--regions"
    for more in ((), ("--reference", text / "test.de")):
        output = tmp_path / "attention.json"
        result = nmt("attention", "--model", run, *files, *more, "--output", output)
        assert result.status == 0, result.err
        for record in json.loads(output.read_text())["sentences"]:
            assert record["source"] == ["region 1", "region 2", "region 3"]


def test_weights_are_drawn_on_pictures(
    trained: tuple[str, Path, Path], nmt: Call, refused: Callable[..., str], tmp_path: Path
) -> None:
    _, run, text = trained
    files = "--source", text / "test.en", "--features", text / "test.npy"
    command = "attention", "--model", run, *files, "--output", tmp_path / "a.png"
    pictures = tmp_path / "p.npy"
    np.save(pictures, np.zeros((5, 6, 9, 3), np.uint8))
    drawn = *command, "--regions", "--pictures", pictures
    result = nmt(*drawn, "--picture-grid", "1x3")
    assert result.status == 0, result.err
    assert len(list(tmp_path.glob("a-*.png"))) == 5
    assert "3 regions are not a square: give their rows" in refused(*drawn)
    assert "2x2 has 4 regions, but the features have 3" in refused(*drawn, "--picture-grid", "2x2")
    assert "7 is not ROWSxCOLUMNS" in refused(*drawn, "--picture-grid", "7")
    assert "add --pictures FILE" in refused(*command, "--regions", "--picture-grid", "1x3")
    assert "--pictures shows the attention to regions" in refused(*command, "--pictures", pictures)
    few = tmp_path / "few.npy"
    np.save(few, np.zeros((4, 6, 9, 3), np.uint8))
    assert "4 pictures, but there are 5 lines" in refused(*drawn[:-1], few)
    page = *command[:-1], tmp_path / "a.html", "--regions", "--pictures", pictures
    assert "add --output with .png" in refused(*page)


def test_a_sentence_is_drawn(trained: tuple[str, Path, Path], nmt: Call, tmp_path: Path) -> None:
    _, run, text = trained
    np.save(tmp_path / "one.npy", np.load(text / "test.npy")[:1])
    options = "--features", tmp_path / "one.npy", "--attention", tmp_path / "one.png"
    result = nmt("translate", "--model", run, *options, "one two three")
    assert result.status == 0, result.err
    assert (tmp_path / "one.png").stat().st_size > 1000


def test_wrong_features_are_refused(
    trained: tuple[str, Path, Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    _, run, text = trained
    few, wide = tmp_path / "few.npy", tmp_path / "wide.npy"
    np.save(few, np.zeros((4, REGIONS, SIZE), np.float32))
    np.save(wide, np.zeros((5, REGIONS, SIZE + 1), np.float32))
    translate = "translate", "--model", run, "--input", text / "test.en", "--features"
    assert "has 4 arrays, but the text has line 5" in refused(*translate, few)
    assert "vectors of size 5, but this model reads vectors of size 4" in refused(*translate, wide)
    assert "there is no such file" in refused(*translate, tmp_path / "none.npy")
    assert "--features FILE" in refused(*translate[:-1])
    files = "--source", text / "test.en", "--target", text / "test.de", "--features", few
    assert "has 4 arrays, but" in refused("score", "--model", run, *files)
    assert "leave out --devices" in refused(*translate, few, "--devices", "cpu,cpu")
    assert "--engine ctranslate2" in refused(*translate, few, "--engine", "ctranslate2")
    assert "--features cannot be combined" in refused(*translate, few, "--format", "markdown")
    attention = "attention", "--model", run, "--source", text / "test.en"
    assert "add --features FILE" in refused(*attention, "--regions")
    assert "--features does not apply to --faith" in refused(
        *attention,
        "--faithfulness",
        "--features",
        text / "test.npy",
        "--output",
        tmp_path / "a.html",
    )


def test_the_python_interface_reads_features(
    trained: tuple[str, Path, Path], nmt: Call, tmp_path: Path
) -> None:
    kind, run, text = trained
    lines = (text / "test.en").read_text(encoding="utf-8").splitlines()
    targets = (text / "test.de").read_text(encoding="utf-8").splitlines()
    arrays = np.load(text / "test.npy")
    options = "--model", run, "--input", text / "test.en", "--features", text / "test.npy"
    expected = nmt("translate", *options).out.splitlines()
    model = load(run)
    for given in (text / "test.npy", arrays, list(arrays)):
        assert model.translate(lines, features=given) == expected
    for line, array, translation in zip(lines, arrays, expected, strict=True):
        assert model.translate(line, features=array) == translation
    scores = [found.log_prob for found in model.score(lines, targets, features=arrays)]
    others = [found.log_prob for found in model.score(lines, targets, features=arrays[::-1])]
    assert scores[2] == pytest.approx(others[2], abs=1e-5)  # the middle array is the same
    assert scores != pytest.approx(others, abs=1e-5)
    assert model.translate([], features=[]) == []
    alone = model.score(lines[0], targets[0], features=arrays[0])
    assert alone.log_prob == pytest.approx(scores[0], abs=1e-4)
    if kind != "regions":
        forced = [
            model.attention(lines[0], targets[0], features=array).map.weights
            for array in (arrays[0], arrays[-1])
        ]
        assert forced[0].shape == forced[1].shape
        assert not np.allclose(forced[0], forced[1], atol=1e-6)


def test_the_python_interface_refuses_wrong_features(trained: tuple[str, Path, Path]) -> None:
    _, run, text = trained
    model, arrays = load(run), np.load(text / "test.npy")
    lines = ["one", "two"]
    two = arrays[:2]
    refusals: list[tuple[str, Callable[[], Any]]] = [
        (
            r"number of sentences \(2\) differs from the number of arrays in features \(5\)",
            lambda: model.translate(lines, features=arrays),
        ),
        ("by --features FILE", lambda: model.translate(lines)),
        ("make a list of the iterator", lambda: model.translate(iter(lines), features=two)),
        ("size 5, but this model reads", lambda: model.score("a", "b", features=np.ones((1, 5)))),
        ("array 2 has the shape", lambda: model.search(lines, features=[two[0], np.ones(4)])),
        ("has the shape", lambda: model.search(lines, features=np.ones((2, 0, SIZE)))),
        ("are real numbers", lambda: model.search(lines, features=[two[0], two[1].astype(str)])),
        ("is not finite", lambda: model.search(lines, features=two * np.float32(np.nan))),
    ]
    for message, call in refusals:
        with pytest.raises(UserError, match=message):
            call()


def test_more_features_than_lines_are_refused_after_the_lines(
    trained: tuple[str, Path, Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    _, run, text = trained
    many = tmp_path / "many.npy"
    np.save(many, np.zeros((6, REGIONS, SIZE), np.float32))
    options = "--input", text / "test.en", "--features", many
    message = refused("translate", "--model", run, *options, after_progress=True)
    assert "has 6 arrays, but the input has 5 lines" in message


def test_a_model_of_text_refuses_features(
    nmt: Call, refused: Callable[..., str], tiny: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    text = write_corpus(tmp_path / "corpus")
    with_features(text)
    assert nmt("train", *tiny(text), f"run.dir={tmp_path / 'run'}").status == 0
    options = "--input", text / "test.en", "--features", text / "test.npy"
    message = refused("translate", "--model", tmp_path / "run", *options)
    assert "this model reads no features" in message


@pytest.mark.parametrize("trained", ["regions"], indirect=True)
def test_captions_need_no_lines(trained: tuple[str, Path, Path], nmt: Call) -> None:
    _, run, text = trained
    result = nmt("translate", "--model", run, "--features", text / "test.npy")
    assert result.status == 0, result.err
    assert len(result.out.splitlines()) == 5


def test_a_corpus_whose_features_have_another_size_names_the_setting(
    refused: Callable[..., str], tiny: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    text = write_corpus(tmp_path / "corpus")
    features = with_features(text)
    chosen = ["model.features.combination=gated", "model.features.size=7"]
    message = refused(
        "train", *tiny(text), *features, *chosen, f"run.dir={tmp_path / 'r'}", after_progress=True
    )
    assert "set model.features.size=4" in message
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("target", ["ctranslate2", "onnx", "huggingface"])
def test_other_programs_have_no_form_for_features(
    target: str, trained: tuple[str, Path, Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    _, run, _ = trained
    message = refused("export", run, "--to", target, "--output", tmp_path / "out")
    assert "has no form for" in message or "pip install" in message


def test_json_has_the_weights_over_what_the_model_reads(
    trained: tuple[str, Path, Path], nmt: Call
) -> None:
    kind, run, text = trained
    options = "--input", text / "test.en", "--features", text / "test.npy"
    for more in ((), ("--with-attention", "--n-best", "2")):
        result = nmt("translate", "--model", run, *options, "--output-format", "json", *more)
        assert result.status == 0, result.err
        records = [json.loads(line) for line in result.out.splitlines()]
        assert all(("alignment" in record) == (kind != "regions") for record in records)
    regions = [f"region {number}" for number in range(1, REGIONS + 1)]
    for record in records:
        shown = record["attention"][0]
        assert (shown["source"] == regions) == (kind == "regions")
        assert np.shape(shown["weights"]) == (len(shown["target"]), len(shown["source"]))


def test_the_python_interface_shows_the_attention_of_a_search(
    trained: tuple[str, Path, Path],
) -> None:
    kind, run, text = trained
    array = np.load(text / "test.npy")[0]
    shown = load(run).attention("one two three", features=array)
    assert (shown.map.source[0] == "region 1") == (kind == "regions")


@pytest.mark.parametrize("trained", ["regions"], indirect=True)
def test_a_text_that_is_not_read_changes_no_caption(
    trained: tuple[str, Path, Path], nmt: Call, tmp_path: Path
) -> None:
    _, run, text = trained
    (tmp_path / "long.en").write_text("one two three four " * 30 + "\n" + "one\n" * 4)
    options = "translate", "--model", run, "--features", text / "test.npy"
    found = [
        nmt(*options, *more)
        for more in ((), ("--input", text / "test.en"), ("--input", tmp_path / "long.en"))
    ]
    assert all(result.status == 0 for result in found), found
    assert found[0].out == found[1].out == found[2].out


@pytest.mark.parametrize("trained", ["regions", "gated"], indirect=True)
def test_coverage_is_of_the_positions_that_the_model_reads(
    trained: tuple[str, Path, Path], nmt: Call
) -> None:
    _, run, text = trained
    options = "--input", text / "test.en", "--features", text / "test.npy"
    given = "--output-format", "json", "--with-attention", "--length-normalization", "none"
    result = nmt("translate", "--model", run, *options, *given, "--coverage-penalty", "0.5")
    assert result.status == 0, result.err
    for record in map(json.loads, result.out.splitlines()):
        shown = record["attention"][0]
        columns = np.sum(shown["weights"], axis=0)[[one != "</s>" for one in shown["source"]]]
        penalty = 0.5 * np.log(np.clip(columns, 1e-6, 1)).sum()
        assert record["score"] == pytest.approx(record["log_prob"] + penalty, abs=0.02)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("command", ["score", "align"])
def test_lines_of_a_pipe_have_no_features(
    command: str, trained: tuple[str, Path, Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    _, run, text = trained
    os.mkfifo(tmp_path / "pipe")
    files = "--source", tmp_path / "pipe", "--target", text / "test.de"
    message = refused(command, "--model", run, *files, "--features", text / "test.npy")
    assert "pipe is not a regular file" in message


def test_the_speed_of_search_is_measured_without_features(
    trained: tuple[str, Path, Path], refused: Callable[..., str]
) -> None:
    _, run, text = trained
    message = refused("bench", "decode", "--model", run, "--source", text / "test.en")
    assert "this model reads features: time nmt translate --features FILE" in message
