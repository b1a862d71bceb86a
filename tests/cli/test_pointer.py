"""A model that copies by a pointer in every command: what works, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import write_corpus

from nmt.checkpoint import load_checkpoint
from nmt.decoding.translator import Translator

Nmt = Callable[..., Any]
Refused = Callable[..., str]
WORDS = ["one two three", "seven"]


@pytest.fixture(scope="module")
def pointer_run(
    nmt: Nmt, tiny: Callable[[Path], list[str]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A finished run of a tiny model with a pointer, and with the losses that may be added."""
    folder = tmp_path_factory.mktemp("pointer")
    result = nmt(
        *("train", *tiny(write_corpus(folder / "corpus")), f"run.dir={folder / 'run'}"),
        *("model.decoder.copy=pointer", "training.coverage_loss=1", "training.accumulation=2"),
        "model.decoder.attention.coverage=sum",
    )
    assert result.status == 0, result.err
    return folder / "run"


def test_scores_are_those_of_the_search(nmt: Nmt, pointer_run: Path, tmp_path: Path) -> None:
    translator = Translator.from_checkpoint(pointer_run)
    found = translator.translate(WORDS)
    files = []
    for side, lines in (("source", WORDS), ("target", [one.text for one in found])):
        files += [f"--{side}", tmp_path / side]
        (tmp_path / side).write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = nmt("score", "--model", pointer_run, *files)
    assert result.status == 0, result.err
    for line, one in zip(result.out.splitlines(), found, strict=True):
        best = one.hypotheses[0]
        if translator.tokenizers.target.encode(one.text) == list(best.ids):
            assert float(line) == pytest.approx(best.log_prob, abs=1e-3)


def test_p_gen_is_shown_beside_the_pieces(nmt: Nmt, pointer_run: Path, tmp_path: Path) -> None:
    for side, line in (("source", WORDS[0]), ("target", "eins zwei")):
        (tmp_path / side).write_text(f"{line}\n", encoding="utf-8")
    files = "--source", tmp_path / "source", "--target", tmp_path / "target", "--tokens", "--json"
    (found,) = json.loads(nmt("score", "--model", pointer_run, *files).out)["targets"]
    assert len(found["p_gen"]) == len(found["pieces"])
    assert all(0 < share < 1 for share in found["p_gen"])
    several = "--model", pointer_run, "--model", pointer_run
    (joined,) = json.loads(nmt("score", *several, *files).out)["targets"]
    assert "p_gen" not in joined
    assert joined["score"] == pytest.approx(found["score"], abs=1e-4)


def test_an_ensemble_with_itself_is_the_model(nmt: Nmt, pointer_run: Path) -> None:
    alone = nmt("translate", "--model", pointer_run, *WORDS)
    both = nmt("translate", "--model", pointer_run, "--model", pointer_run, *WORDS)
    assert both.out == alone.out != ""


def test_attention_and_faithfulness_read_the_mixture(
    nmt: Nmt, pointer_run: Path, tmp_path: Path
) -> None:
    files = "--output", tmp_path / "attention.json"
    assert nmt("attention", "--model", pointer_run, *files, WORDS[0]).status == 0
    assert nmt("evaluate", "--model", pointer_run).status == 0


def test_integers_translate_too(nmt: Nmt, pointer_run: Path) -> None:
    result = nmt("translate", "--model", pointer_run, "--precision", "int8", *WORDS)
    if "products of integers" in result.err:
        pytest.skip("this processor has no product of integers")
    assert result.status == 0, result.err


def test_what_cannot_be_combined_is_refused(
    refused: Refused, nmt: Nmt, pointer_run: Path, run: Path, tmp_path: Path, tiny: Any
) -> None:
    assert "use it without a shortlist" in refused("shortlist", pointer_run, after_progress=True)
    model = "--model", pointer_run
    assert "use it without a shortlist" in refused("translate", *model, "--shortlist", run, "a")
    for target in ("onnx", "ctranslate2", "huggingface"):
        message = refused("export", pointer_run, "--to", target, "--output", tmp_path / target)
        assert "has no form for" in message
    teacher = f"training.distillation.teacher={pointer_run}"
    overrides = *tiny(write_corpus(tmp_path / "corpus")), f"run.dir={tmp_path / 'student'}"
    message = refused("train", *overrides, teacher, after_progress=True)
    assert "copies pieces of the source" in message
    message = refused("train", *overrides, f"training.init_from={pointer_run}", after_progress=True)
    assert "copy" in message


def test_safetensors_keep_the_pointer(nmt: Nmt, pointer_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="needs the extra safetensors")
    folder = tmp_path / "exported"
    assert nmt("export", pointer_run, "--to", "safetensors", "--output", folder).status == 0
    expected = load_checkpoint(pointer_run / "checkpoints" / "best.pt").weights
    from safetensors import safe_open

    (file,) = folder.glob("*.safetensors")
    with safe_open(str(file), "pt") as weights:
        name = "decoder.pointer.gate.weight"
        assert (weights.get_tensor(name) == expected[name]).all()
