"""`nmt export` and `nmt pack`: what they write works as their page says, or nothing is written."""

import os
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.checkpoint import load_checkpoint
from nmt.config.model import ModelConfig

Nmt = Callable[..., Any]
Refused = Callable[..., str]


@pytest.fixture
def transformer(
    model_file: Callable[[ModelConfig], Path], tiny_config: Callable[..., ModelConfig]
) -> Path:
    """A model that every layout has a form for, with random weights."""
    model = tiny_config("transformer", "transformer", num_layers=2, size=16, tying="three_way")
    return model_file(model)


def _usage(folder: Path) -> str:
    """Return the code under *Use* of the page."""
    found = re.search(r"## Use\n\n```\n(.*?)\n```", (folder / "README.md").read_text(), re.S)
    assert found is not None
    return found[1]


def test_a_folder_of_safetensors_builds_the_model_again(
    nmt: Nmt, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("safetensors", reason="needs the extra safetensors")
    folder = tmp_path / "exported"
    result = nmt("export", run, "--to", "safetensors", "--output", folder)
    assert (result.status, result.out) == (0, f"{folder}: safetensors, float32\n"), result.err
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(_usage(folder), names)
    expected = load_checkpoint(run / "checkpoints" / "best.pt").weights
    built = names["model"].state_dict()
    assert built.keys() == expected.keys()
    assert all(built[name].equal(tensor) for name, tensor in expected.items())


def test_the_page_has_the_scores_with_their_signatures(nmt: Nmt, run: Path, tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="needs the extra safetensors")
    nmt("export", run, "--to", "safetensors", "--output", tmp_path / "exported")
    page = (tmp_path / "exported" / "README.md").read_text()
    assert page.startswith("---\nlanguage:\n- en\n- de\nlicense: other\n")
    assert page.count("| validation | BLEU |") == page.count("| test | BLEU |") == 1
    assert r"`nrefs:1\|case:mixed\|eff:no\|tok:13a\|" in page
    assert f"data.train.source`: `{run.parent / 'corpus' / 'train.en'}`" in page


def test_the_run_folder_has_the_page(run: Path) -> None:
    page = (run / "README.md").read_text()
    assert _usage(run) == f'nmt translate --model {run} "A sentence."'
    assert "All settings are in `config.yaml`." in page


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_exported_files_can_be_read_by_others(
    nmt: Nmt, transformer: Path, tmp_path: Path
) -> None:
    pytest.importorskip("safetensors", reason="needs the extra safetensors")
    before = os.umask(0o022)
    try:
        result = nmt("export", transformer, "--to", "safetensors", "--output", tmp_path / "out")
    finally:
        os.umask(before)
    assert result.status == 0, result.err
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "out").iterdir()}
    assert set(modes.values()) == {0o644}, modes
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("to", "library"),
    [("ctranslate2", "ctranslate2"), ("huggingface", "transformers"), ("onnx", "onnxscript")],
)
def test_the_code_of_the_page_translates(
    to: str,
    library: str,
    nmt: Nmt,
    transformer: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip(library, reason=f"needs the extra {to}")
    sentences = tmp_path / "sentences"
    sentences.write_text("one two three\n\nfour five\n")
    folder = tmp_path / "exported"
    flags = ("--to", to, "--output", folder, "--sentences", sentences)
    result = nmt("export", transformer, *flags)
    assert result.status == 0, result.err
    pattern = r"parity: the log-probabilities of \d+ pieces in 2 translations differ by at most .*"
    assert re.fullmatch(pattern, result.out.splitlines()[-1])
    monkeypatch.chdir(folder)
    exec(_usage(folder), {})
    assert capsys.readouterr().out.count("\n") == 1


def test_bleu_of_the_export_is_that_of_the_model_where_both_search_greedily(
    nmt: Nmt, transformer: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ctranslate2", reason="needs the extra ctranslate2")
    sentences, references = tmp_path / "sentences", tmp_path / "references"
    sentences.write_text("one two three\n\nfour five\n")
    references.write_text("eins zwei drei\n\nvier\n")
    flags = ["--to", "ctranslate2", "--sentences", sentences, "--references", references]
    result = nmt("export", transformer, *flags, "--output", tmp_path / "exported")
    assert result.status == 0, result.err
    pattern = (
        r"BLEU of 3 sentences, beam 1: ([\d.]+) by the export, \1 by the model, \+0\.00 "
        r"\(nrefs:1\|.*\)"
    )
    assert re.fullmatch(pattern, result.out.splitlines()[-1]), result.out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--to", "onnx"), "--references scores the translations of CTranslate2: leave it out"),
        (("--to", "ctranslate2"), "give both files"),
        (("--to", "ctranslate2", "--sentences"), "1 line"),
    ],
)
def test_references_that_nothing_translates_are_refused(
    flags: tuple[str, ...], said: str, refused: Refused, transformer: Path, tmp_path: Path
) -> None:
    sentences, references = tmp_path / "sentences", tmp_path / "references"
    sentences.write_text("one\n")
    references.write_text("eins\nzwei\n")
    given = [*flags, sentences] if flags[-1] == "--sentences" else flags
    message = refused(
        *("export", transformer, *given, "--references", references),
        *("--output", tmp_path / "exported"),
    )
    assert said in message
    assert not (tmp_path / "exported").exists()


def test_nothing_is_written_where_something_is(
    nmt: Nmt, refused: Refused, transformer: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for output in (tmp_path, tmp_path / "file"):
        message = refused("export", transformer, "--to", "safetensors", "--output", output)
        assert message == f"--output {output} exists; give a new or empty folder"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_refused_export_leaves_nothing_behind(
    refused: Refused, run: Path, tmp_path: Path
) -> None:
    output = tmp_path / "new" / "folders" / "out"
    message = refused("export", run, "--to", "ctranslate2", "--output", output)
    assert message == (
        "CTranslate2 has no form for model.encoder.name=rnn, model.decoder.name=rnn; "
        "--to safetensors takes every model"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("to", ["ctranslate2", "huggingface", "onnx"])
def test_a_model_without_a_form_is_refused_before_its_text_is_read(
    to: str, refused: Refused, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text may have been moved; that message would name no way to this export."""

    def read(*_: object) -> None:
        raise AssertionError("the text was read")

    monkeypatch.setattr("nmt.data.corpus.open_corpus", read)
    message = refused("export", run, "--to", to, "--output", tmp_path / "out")
    assert "has no form for model.encoder.name=rnn, model.decoder.name=rnn" in message


def test_a_missing_library_is_named_with_its_extra(
    refused: Refused, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    message = refused("export", run, "--to", "safetensors", "--output", tmp_path / "out")
    assert message == "safetensors is not installed: pip install 'nmt[safetensors]'"
    assert not list(tmp_path.iterdir())


def test_int8_is_refused_where_the_layout_has_none(
    refused: Refused, run: Path, tmp_path: Path
) -> None:
    flags = ("--to", "safetensors", "--weights", "int8", "--output", tmp_path / "out")
    assert refused("export", run, *flags) == (
        "--to safetensors has no int8 matrices: choose float32, float16 or bfloat16"
    )


def test_a_packed_file_translates_as_the_run(nmt: Nmt, run: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.nmt"
    result = nmt("pack", run, "--output", path)
    assert result.status == 0, result.err
    last = run / "checkpoints" / "last.pt"
    assert nmt("pack", last, "--output", tmp_path / "last.nmt").status == 0
    state = 2 * 4 * _parameters(last)  # two averages of each gradient, in float32
    assert (tmp_path / "last.nmt").stat().st_size <= last.stat().st_size - state
    words = "one two three"
    assert nmt("translate", "--model", path, words) == nmt("translate", "--model", run, words)


def test_half_precision_halves_a_packed_file(nmt: Nmt, run: Path, tmp_path: Path) -> None:
    sizes = []
    for weights in ("float32", "bfloat16"):
        path = tmp_path / weights
        assert nmt("pack", run, "--output", path, "--weights", weights).status == 0
        sizes.append(path.stat().st_size)
        assert nmt("translate", "--model", path, "one").status == 0
    assert sizes[0] - sizes[1] == pytest.approx(2 * _parameters(tmp_path / "float32"), rel=0.05)


def _parameters(path: Path) -> int:
    return sum(p.numel() for p in load_checkpoint(path).trained_model().parameters())


def test_packing_never_replaces_the_model_itself(refused: Refused, run: Path) -> None:
    best = run / "checkpoints" / "best.pt"
    assert refused("pack", run, "--output", best) == (
        f"--output {best} is the model itself; give another file"
    )
    assert refused("pack", run, "--output", run) == (
        f"--output {run} is a folder; give a file, e.g. {run / 'model.nmt'}"
    )
