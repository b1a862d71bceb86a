"""Models of documents from training to translation: context arrives, and what it is good for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.checkpoint import load_checkpoint

Nmt = Callable[..., Any]
Tiny = Callable[[Path], list[str]]

EMBEDDED = Path(__file__).resolve().parents[2] / "data" / "phrasebook_documents"
TRAINED = ["experiment=documents", "training.device=cpu", "logging.samples=0"]


@pytest.fixture
def documents(corpus: Path) -> list[str]:
    """The tiny corpus with a blank line after every third pair."""
    for file in corpus.iterdir():
        lines = file.read_text().splitlines()
        parts = ["".join(f"{x}\n" for x in lines[i : i + 3]) for i in range(0, len(lines), 3)]
        file.write_text("\n".join(parts))
    return ["data.documents=blank_lines", "data.context_sentences=2"]


def hierarchical(settings: list[str], sides: tuple[str, ...] = ("encoder",)) -> list[str]:
    """The settings with a tiny Transformer, of which sides read each previous sentence alone."""
    sizes = [
        f"model.{side}.{name}={size}"
        for side in ("encoder", "decoder")
        for name, size in (("hidden_size", 16), ("feed_forward_size", 16), ("num_layers", 1))
    ]
    kept = [one for one in settings if not one.startswith("model")]
    contexts = [f"model.{side}.context=hierarchical" for side in sides]
    return [*kept, "model=transformer", *contexts, *sizes]


SIDES = {"hierarchical": ("encoder",), "decoder": ("decoder",), "joint": ("encoder", "decoder")}


@pytest.mark.parametrize("kind", ["0 targets", "1 target", *SIDES])
def test_a_run_trains_validates_and_translates_documents(
    kind: str, nmt: Nmt, tiny: Tiny, corpus: Path, documents: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    targets = int(kind not in ("0 targets", "hierarchical"))
    settings = [*tiny(corpus), *documents, f"data.context_targets={targets}"]
    settings = hierarchical(settings, SIDES[kind]) if kind in SIDES else settings
    result = nmt("train", *settings, f"run.dir={run}")
    assert result.status == 0, result.err
    tested = (run / "test.translations.txt").read_text().splitlines()
    assert "<brk>" not in "".join(tested)
    given = (corpus / "test.en").read_text().splitlines()
    assert given.count("") == 1
    for batch_size in (1, 4):
        device = ("--batch-size", batch_size, "--device", "cpu", "--precision", "float32")
        found = nmt("translate", "--model", run, "--input", corpus / "test.en", *device)
        assert found.status == 0, found.err
        lines = found.out.splitlines()
        assert len(lines) == len(given)
        assert lines.pop(given.index("")) == ""
        assert lines == tested


@pytest.mark.parametrize("kind", ["1 target", *SIDES])
def test_a_model_of_sentences_becomes_one_of_documents(
    kind: str, nmt: Nmt, tiny: Tiny, corpus: Path, documents: list[str], tmp_path: Path
) -> None:
    def trained(name: str, *settings: str) -> str:
        result = nmt("train", *hierarchical([*tiny(corpus), *settings], sides), f"run.dir={name}")
        assert result.status == 0, result.err
        return result.err

    sides: tuple[str, ...] = ()
    sentences, run = str(tmp_path / "sentences"), str(tmp_path / "documents")
    trained(sentences)
    sides = SIDES.get(kind, ())
    targets = f"data.context_targets={int(kind != 'hierarchical')}"
    said = trained(run, *documents, targets, f"training.init_from={sentences}")
    assert ("parameters of hierarchical attention are new" in said) == (kind in SIDES)
    before, after = (
        load_checkpoint(Path(run) / "checkpoints" / name).weights
        for run, name in ((sentences, "best.pt"), (run, "initial.pt"))
    )
    pieces = load_checkpoint(Path(sentences) / "checkpoints" / "best.pt").tokenizers
    for name, old in before.items():
        new = after[name]
        assert old.equal(new) or name.endswith(("embedding.weight", "output.weight")), name
    assert len(pieces.source) + 1 == len(after["encoder.embedding.weight"])


def test_a_model_of_documents_refuses_what_has_none(
    nmt: Nmt,
    refused: Callable[..., str],
    tiny: Tiny,
    corpus: Path,
    documents: list[str],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    assert nmt("train", *tiny(corpus), *documents, f"run.dir={run}").status == 0
    (tmp_path / "page.html").write_text("<p>one two three</p>")
    message = refused("translate", "--model", run, "--input", tmp_path / "page.html")
    assert "data.context_sentences=2" in message
    assert "one sentence per line" in message


def test_both_levels_of_hierarchical_attention_are_shown(
    nmt: Nmt,
    refused: Callable[..., str],
    tiny: Tiny,
    corpus: Path,
    documents: list[str],
    tmp_path: Path,
) -> None:
    run, maps = tmp_path / "run", tmp_path / "maps.json"
    assert nmt("train", *hierarchical([*tiny(corpus), *documents]), f"run.dir={run}").status == 0
    text = tmp_path / "talk.en"
    text.write_text("one two\nsix\nten four one\n\nnine\ntwo <brk> three\n")
    show: list[object] = ["attention", "--model", run, "--device", "cpu", "--context"]
    outputs = ["--output", maps, "--output", tmp_path / "map.svg"]
    result = nmt(*show, "--source", text, *outputs)
    assert (result.status, result.out, result.err) == (0, "", "")
    records = json.loads(maps.read_text())
    records = records if isinstance(records, list) else records["sentences"]
    words, sentences = "attention to the words of sentence {} before", "1 before"
    columns = ["one", "two", "<brk>"]
    expected = [
        ("six", words.format(1), columns),
        ("six", "attention to the previous sentences", [sentences]),
        ("ten four one", words.format(2), columns),
        ("ten four one", words.format(1), ["six", "<brk>"]),
        ("ten four one", "attention to the previous sentences", ["2 before", sentences]),
        ("three", words.format(1), ["two", "<brk>"]),
        ("three", "attention to the previous sentences", [sentences]),
    ]
    found = [(one["target_text"], one["title"], one["source"]) for one in records]
    assert found == expected
    for one in records:
        weights = np.array(one["weights"])
        assert one["target"] == [*one["target_text"].split(), "</s>"]
        assert weights.shape == (1, 4, len(one["target"]), len(one["source"]))
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-3)
    assert len(list(tmp_path.glob("map-*.svg"))) == len(expected)
    for options, message in (
        (["one two", "--output", maps], "no sentence has a previous one"),
        (["one <brk> two"], "--context draws files: add --output FILE"),
        (["one <brk> two", "--layer", 1, "--output", maps], "--layer does not apply to --context"),
        (["one <brk> two", "--output", "x.align"], "--context has no links of words"),
        (["one <brk> two", "--head", 5, "--output", maps], "head 5 does not exist"),
    ):
        assert message in refused(*show, *options)
    faithful = refused("attention", "--model", run, "one <brk> two", "--faithfulness")
    assert "reads only the current sentence" in faithful


def test_the_attention_of_a_decoder_to_its_own_translations_is_shown(
    nmt: Nmt, tiny: Tiny, corpus: Path, documents: list[str], tmp_path: Path
) -> None:
    run, maps = tmp_path / "run", tmp_path / "maps.json"
    settings = [*tiny(corpus), *documents, "data.context_targets=2"]
    made = hierarchical(settings, SIDES["joint"])
    assert nmt("train", *made, f"run.dir={run}").status == 0
    text = tmp_path / "talk.en"
    text.write_text("one two\nsix\nten four one\n\nnine\n")
    device = ("--device", "cpu", "--precision", "float32")
    written = nmt("translate", "--model", run, "--input", text, *device).out.splitlines()
    show: list[object] = ["attention", "--model", run, "--device", "cpu", "--context"]
    result = nmt(*show, "--source", text, "--output", maps)
    assert (result.status, result.out, result.err) == (0, "", "")
    records = json.loads(maps.read_text())
    records = records if isinstance(records, list) else records["sentences"]
    words = "the decoder's attention to the words of translation {} before"
    sentences = "the decoder's attention to the previous translations"
    expected = [
        (written[1], words.format(1), written[0]),
        (written[1], sentences, written[0]),
        (written[2], words.format(2), written[0]),
        (written[2], words.format(1), written[1]),
        (written[2], sentences, f"{written[0]} <brk> {written[1]}"),
    ]
    found = [one for one in records if "translation" in one["title"]]
    assert [(one["target_text"], one["title"], one["source_text"]) for one in found] == expected
    assert len(records) == 2 * len(found)
    for one in found:
        weights = np.array(one["weights"])
        assert one["target"] == [*one["target_text"].split(), "</s>"]
        assert weights.shape == (1, 4, len(one["target"]), len(one["source"]))
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-3)


def test_a_model_without_hierarchical_attention_shows_none(
    refused: Callable[..., str], run: Path, tmp_path: Path
) -> None:
    message = refused(
        "attention", "--model", run, "one", "--context", "--output", tmp_path / "m.png"
    )
    assert "--context shows the attention of model.encoder.context=hierarchical" in message


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.context_sentences=1"], "data.documents=none has no previous sentences"),
        (["data.documents=column"], "data.document_column is null"),
        (["data.document_column=doc"], "set data.documents=column"),
        (
            ["data.documents=blank_lines", "data.context_targets=1"],
            "more than data.context_sentences",
        ),
        (
            ["data.documents=blank_lines", "data.alignments.train=x"],
            "cannot be combined with data.documents",
        ),
    ],
)
def test_contradictory_settings_are_refused(
    overrides: list[str], message: str, refused: Callable[..., str], tiny: Tiny, corpus: Path
) -> None:
    assert message in refused("train", *tiny(corpus), *overrides)


@pytest.mark.slow
def test_a_pronoun_needs_the_sentence_before_it(nmt: Nmt, tmp_path: Path) -> None:
    """The contrastive set is balanced: one translation in three is right without the context."""
    contrast: list[object] = ["--source", EMBEDDED / "contrastive.en"]
    for name in ("right", "wrong-1", "wrong-2"):
        contrast += ["--target", EMBEDDED / f"contrastive.{name}.de"]
    accuracy = {}
    for context, updates in ((0, 20), (1, 600)):
        run = tmp_path / f"run-{context}"
        settings = [f"data.context_sentences={context}", f"training.max_updates={updates}"]
        result = nmt("train", *TRAINED, *settings, f"run.dir={run}")
        assert result.status == 0, result.err
        found = json.loads(nmt("score", "--model", run, *contrast, "--contrastive", "--json").out)
        assert found["sentences"] == 300
        accuracy[context] = found["accuracy"]
    assert accuracy[0] == pytest.approx(1 / 3, abs=0.01)  # but for ties
    assert accuracy[1] >= 0.95
