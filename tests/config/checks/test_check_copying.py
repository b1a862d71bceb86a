"""What cannot be combined with copying is refused, each with a one-line message and its remedy."""

from collections.abc import Callable

import pytest

from nmt.config.checks.check_config import check_config
from nmt.config.schema import Config
from nmt.errors import UserError

POINTER = ["model=rnn", "model.decoder.copy=pointer"]
D = "training.distillation"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["tokenizer.joint=false", "model.tying=decoder"], "set tokenizer.joint=true"),
        (["model/decoder/attention=none"], "choose another attention"),
        (["model.decoder.attention.window=local_p"], "choose global or local_m"),
        (
            ["model.features.combination=joint", "model.features.size=8"],
            "cannot be combined with model.features.combination=joint",
        ),
        (["training.r_drop=1"], "training.r_drop=1 compares distributions without copies"),
        ([f"{D}.teacher=a"], f"{D}.weight=0.5 compares distributions without copies"),
        (["model.decoder.copy=all"], "choose from none, pointer"),
    ],
)
def test_is_refused(overrides: list[str], said: str, config: Callable[..., Config]) -> None:
    with pytest.raises(UserError) as refusal:
        check_config(config(*POINTER, *overrides))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.decoder.attention.window=local_m", "training.coverage_loss=1"],
        ["model/encoder=transformer", "model/decoder/attention=multi_head"],
        [f"{D}.teacher=a", f"{D}.weight=0"],
        ["training.parallel=fsdp", "data.context_sentences=1", "data.documents=blank_lines"],
    ],
)
def test_is_accepted(overrides: list[str], config: Callable[..., Config]) -> None:
    check_config(config(*POINTER, *overrides))
