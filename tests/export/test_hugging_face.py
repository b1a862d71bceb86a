"""Pegasus and Marian compute the log-probabilities of the model, or the export is refused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import NUMBERS, ZAHLEN

from nmt.checkpoint import load_checkpoint
from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.export.exported_folder import write_tokenizers
from nmt.export.hugging_face import check_form, piece_log_probs, save_hugging_face
from nmt.export.parity import measure_parity

SENTENCES = [" ".join(NUMBERS[start : start + 3]) for start in range(6)] + [" ".join(NUMBERS * 3)]
JOINT: dict[str, Any] = dict(
    encoder="transformer", decoder="transformer", num_layers=2, size=16, tying="three_way"
)


@pytest.fixture(params=["pre-relu", "post-relu", "pre-gelu", "post-gelu"])
def exported(
    request: pytest.FixtureRequest,
    model_file: Callable[[ModelConfig], Path],
    tiny_config: Callable[..., ModelConfig],
    tmp_path: Path,
) -> tuple[Path, Path]:
    pytest.importorskip("transformers", reason="needs the extra huggingface")
    norm, activation = request.param.split("-")
    checkpoint = model_file(tiny_config(**JOINT, norm=norm, activation=activation))
    save_hugging_face(load_checkpoint(checkpoint), tmp_path)
    write_tokenizers(load_checkpoint(checkpoint), tmp_path)
    return checkpoint, tmp_path


def test_the_loaded_model_scores_as_the_model(exported: tuple[Path, Path]) -> None:
    from transformers import AutoModelForSeq2SeqLM

    checkpoint, folder = exported
    model = AutoModelForSeq2SeqLM.from_pretrained(folder)
    translator = Translator.from_checkpoint(checkpoint, device="cpu")
    parity = measure_parity(
        translator, SENTENCES, lambda *pieces: piece_log_probs(model.eval(), *pieces)
    )
    assert parity.sentences == len(SENTENCES)
    assert parity.difference < 1e-5


def test_the_loaded_tokenizer_gives_the_pieces_and_the_texts(exported: tuple[Path, Path]) -> None:
    from transformers import AutoTokenizer

    checkpoint, folder = exported
    tokenizers = load_checkpoint(checkpoint).tokenizers
    loaded = AutoTokenizer.from_pretrained(folder)
    unknown = "fünf  öäü unknown."
    assert loaded(unknown).input_ids == [*tokenizers.source.encode(unknown), loaded.eos_token_id]
    for sentence in [*SENTENCES, " ".join(ZAHLEN)]:
        ids = tokenizers.source.encode(sentence)
        assert loaded(sentence).input_ids == [*ids, loaded.eos_token_id]
        assert loaded.decode([*ids, 3], skip_special_tokens=True) == tokenizers.target.decode(ids)


def test_greedy_search_gives_the_same_pieces(exported: tuple[Path, Path]) -> None:
    from transformers import AutoModelForSeq2SeqLM

    checkpoint, folder = exported
    model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    translator = Translator.from_checkpoint(checkpoint, device="cpu", beam_size=1)
    for found in translator.translate(SENTENCES):
        ids = torch.tensor([[*found.source_ids, 3]])
        limit = len(found.hypotheses[0].ids)
        written = model.generate(ids, num_beams=1, do_sample=False, max_new_tokens=limit + 1)
        assert written[0, 1 : limit + 1].tolist() == found.hypotheses[0].ids


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            dict(positions="rotary"),
            "model.encoder.positions=rotary, model.decoder.positions=rotary",
        ),
        (dict(norm_type="rms"), "model.encoder.norm_type=rms, model.decoder.norm_type=rms"),
        (dict(tying="decoder"), "model.tying=decoder"),
        (dict(context="hierarchical"), "model.encoder.context=hierarchical"),
        (dict(decoder_context="hierarchical"), "model.decoder.context=hierarchical"),
        (dict(decoder="rnn"), "model.decoder.name=rnn"),
    ],
)
def test_what_transformers_cannot_compute_is_refused_by_name(
    changes: dict[str, Any],
    named: str,
    run_config: Callable[..., Config],
    tiny_config: Callable[..., ModelConfig],
) -> None:
    expected = f"transformers has no form for {named}; --to safetensors takes every model"
    with pytest.raises(UserError, match=re.escape(expected)):
        check_form(run_config(tiny_config(**JOINT | changes)))
