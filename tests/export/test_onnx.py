"""Both graphs in onnxruntime compute the log-probabilities of the model, for every shape."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import NUMBERS
from tiny_models import TRANSFORMERS

from nmt.checkpoint import load_checkpoint
from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.export.onnx_graphs import (
    check_form,
    save_onnx,
    scorer,
)
from nmt.export.parity import measure_parity

SENTENCES = [" ".join(NUMBERS[start : start + 3]) for start in range(4)] + [" ".join(NUMBERS * 3)]


KINDS = [
    *("pre", "grouped_query-relative", "grouped_query-t5_bias-qk_norm"),
    *("rms-qk_norm-rotary-swiglu", "post-rms-gelu-alibi"),
]


@pytest.fixture(params=KINDS)
def exported(
    request: pytest.FixtureRequest,
    model_file: Callable[[ModelConfig], Path],
    tiny_config: Callable[..., ModelConfig],
    tmp_path: Path,
) -> tuple[Path, Path]:
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    model = tiny_config("transformer", "transformer", num_layers=2, **TRANSFORMERS[request.param])
    checkpoint = model_file(model)
    save_onnx(load_checkpoint(checkpoint), tmp_path)
    return checkpoint, tmp_path


@pytest.mark.slow
def test_the_graphs_score_as_the_model(exported: tuple[Path, Path]) -> None:
    checkpoint, folder = exported
    translator = Translator.from_checkpoint(checkpoint, device="cpu")
    parity = measure_parity(translator, SENTENCES, scorer(folder))
    assert parity.sentences == len(SENTENCES)
    assert parity.difference < 1e-4


def test_a_recurrent_model_is_refused_by_name(
    run_config: Callable[..., Config], tiny_config: Callable[..., ModelConfig]
) -> None:
    with pytest.raises(UserError, match="the ONNX export has no form for model.encoder.name=rnn"):
        check_form(run_config(tiny_config()))


def test_hierarchical_attention_is_refused_by_name(
    run_config: Callable[..., Config], tiny_config: Callable[..., ModelConfig]
) -> None:
    model = tiny_config("transformer", "transformer", context="hierarchical")
    with pytest.raises(UserError, match="has no form for model.encoder.context=hierarchical"):
        check_form(run_config(model))
