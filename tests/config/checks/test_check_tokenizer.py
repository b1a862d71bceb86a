"""The rules of the tokenizer's settings."""

from collections.abc import Callable

import pytest

from nmt.config.checks.check_config import check_config
from nmt.config.schema import Config
from nmt.errors import UserError

Make = Callable[..., Config]

CHAR, WORD, UNIGRAM = (f"tokenizer={name}" for name in ("char", "word", "unigram"))
RULES = [  # overrides that are refused, part of the message, overrides that pass
    ([WORD, "tokenizer.byte_fallback=true"], "tokenizer.byte_fallback", [WORD]),
    (["tokenizer.sample_size=0"], "tokenizer.sample_size", ["tokenizer.sample_size=1"]),
    (["tokenizer=bpe", "tokenizer.sampling=1.1"], "sampling is 1.1", ["tokenizer.sampling=1"]),
    (["tokenizer.sampling=-0.1"], "sampling is -0.1", ["tokenizer.sampling=0.1"]),
    ([CHAR, "tokenizer.sampling=0.1"], "sampling is 0.1, but tokenizer=char", [CHAR]),
    ([WORD, "tokenizer.sampling=0.1"], "sampling is 0.1, but tokenizer=word", [WORD]),
    (
        [UNIGRAM, "tokenizer.sampling=0.1", "training.guided_alignment.weight=0.1"],
        "sampling is 0.1, but training.guided_alignment",
        [UNIGRAM, "tokenizer.sampling=1.5"],
    ),
    (
        ["tokenizer.target_model=b.model"],
        "target_model is b.model",
        ["tokenizer.target_model=b.model", "tokenizer.joint=false", "model.tying=none"],
    ),
    (["tokenizer.symbols=['<2de>','<2de>']"], "'<2de>' twice", ["tokenizer.symbols=['<2de>']"]),
    (["tokenizer.symbols=['']"], "an empty symbol", ["tokenizer.symbols=[]"]),
    (["tokenizer.symbols=['a b']"], "'a b': a symbol has no spaces", []),
    (["tokenizer.symbols=['a\u00a0b']"], "a symbol has no spaces", []),
    (["tokenizer.symbols=['a\u2581']"], "a symbol has no spaces", []),
    (["tokenizer.symbols=['<pad>']"], "'<pad>', which is a piece already", []),
    (["tokenizer.symbols=['</s>']"], "'</s>', which is a piece already", []),
    (["tokenizer.symbols=['<0x0A>']"], "'<0x0A>', which is a piece already", []),
]


@pytest.mark.parametrize(("refused", "message", "passed"), RULES)
def test_a_rule_refuses_one_setting_and_lets_its_neighbour_pass(
    refused: list[str], message: str, passed: list[str], config: Make
) -> None:
    check_config(config(*passed))
    with pytest.raises(UserError) as raised:
        check_config(config(*refused))
    assert message in str(raised.value)


@pytest.mark.parametrize("kind", ["unigram", "bpe", "char", "word"])
def test_every_kind_composes(kind: str, config: Make) -> None:
    made = config(f"tokenizer={kind}", "tokenizer.symbols=['<2de>','a,\"b']")
    check_config(made)
    assert made.tokenizer.name == kind
