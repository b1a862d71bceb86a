"""Weights from another run: an equal model has equal output; shared pieces keep their rows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from nmt.config.model import ModelConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.errors import UserError
from nmt.model.build import build_model
from nmt.text.tokenizer import TokenizerPair, train_tokenizers
from nmt.training.warm_start import (
    VocabularyTransfer,
    model_differences,
    refuse_other_model,
    stiffness,
)

Configs = Callable[..., ModelConfig]

OLD = ["one two three four five", "six seven eight"], ["eins zwei drei vier", "sechs sieben"]
NEW = ["one two nine ten eleven", "six seven"], ["eins zwei neun zehn elf zwölf", "sechs"]


@pytest.fixture
def pairs(tokenizer_config: Callable[..., TokenizerConfig]) -> tuple[TokenizerPair, TokenizerPair]:
    words = tokenizer_config(name="char", vocab_size=40)
    return tuple(  # type: ignore[return-value]
        train_tokenizers(
            replace(words, vocab_size=4 + min(len(set("▁".join(side))) for side in text) - 1), *text
        )
        for text in (OLD, NEW)
    )


@pytest.mark.parametrize("kind", ["rnn", "transformer"])
@pytest.mark.parametrize("tying", ["none", "decoder"])
def test_rows_of_shared_pieces_are_copied_and_the_others_are_new(
    pairs: tuple[TokenizerPair, TokenizerPair], tiny_config: Configs, kind: str, tying: str
) -> None:
    old, new = pairs
    config = tiny_config(kind, kind, size=12, tying=tying)
    before = build_model(config, len(old.source), len(old.target))
    after = build_model(config, len(new.source), len(new.target))
    fresh = {name: weight.clone() for name, weight in after.state_dict().items()}
    inherited = VocabularyTransfer(old, new)
    after.load_state_dict(inherited.transfer(before.state_dict(), fresh))
    tables = {"output.weight", "decoder.embedding.weight", "encoder.embedding.weight"}
    for side, table in (
        ("source", "encoder.embedding.weight"),
        ("target", "decoder.embedding.weight"),
        ("target", "output.weight"),
    ):
        was, now = getattr(old, side), getattr(new, side)
        places = {piece: i for i, piece in enumerate(was.pieces(range(len(was))))}
        shared = 0
        for place, piece in enumerate(now.pieces(range(len(now)))):
            row = after.state_dict()[table][place]
            if piece in places:
                shared += 1
                assert torch.equal(row, before.state_dict()[table][places[piece]]), piece
            else:
                assert torch.equal(row, fresh[table][place]), piece
        assert 4 < shared < len(now)
        assert f"{side} pieces: {shared} reused, {len(now) - shared} new" in inherited.describe()
    for name, weight in after.state_dict().items():
        if name not in tables and "positioned" not in name:
            assert torch.equal(weight, before.state_dict()[name]), name


def test_the_same_vocabulary_makes_the_same_model(
    pairs: tuple[TokenizerPair, TokenizerPair], tiny_config: Configs
) -> None:
    old, _ = pairs
    config = tiny_config("transformer", "transformer", positions="learned")
    before, after = (build_model(config, len(old.source), len(old.target)) for _ in range(2))
    carried = VocabularyTransfer(old, old).transfer(before.state_dict(), after.state_dict())
    assert all(torch.equal(carried[name], w) for name, w in before.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (dict(num_layers=3), r"model\.encoder\.num_layers is 3 here and 2 there"),
        (dict(norm="post"), r"model\.encoder\.norm is post here and pre there"),
        (dict(encoder="rnn"), r"model\.encoder\.name is rnn here and transformer there"),
        (dict(tying="decoder"), r"model\.tying is decoder here and none there"),
    ],
)
def test_another_model_is_refused_by_the_setting_that_differs(
    tiny_config: Configs, changes: dict[str, Any], said: str
) -> None:
    settings: dict[str, Any] = dict(encoder="transformer", decoder="transformer", num_layers=2)
    with pytest.raises(UserError, match=said):
        refuse_other_model(tiny_config(**settings), tiny_config(**{**settings, **changes}), "it")


def test_a_different_dropout_is_not_a_different_model(tiny_config: Configs) -> None:
    changed = tiny_config(dropout=0.3, word_dropout=0.1)
    assert changed != tiny_config()
    assert model_differences(tiny_config(), changed) == []
    refuse_other_model(tiny_config(), changed, "it")


def test_new_pieces_have_no_penalty_and_shared_pieces_have_one(
    pairs: tuple[TokenizerPair, TokenizerPair], tiny_config: Configs
) -> None:
    old, new = pairs
    config = tiny_config()
    before = build_model(config, len(old.source), len(old.target))
    model = build_model(config, len(new.source), len(new.target))
    fisher = {name: torch.rand_like(p) for name, p in before.named_parameters()}
    inherited = VocabularyTransfer(old, new)
    held = stiffness(inherited, model, l2_sp=0.5, ewc=3.0, fisher=fisher)
    plain = stiffness(inherited, model, l2_sp=0.5)
    torch.testing.assert_close(
        held["decoder.bridge.weight"], 0.5 + 3 * fisher["decoder.bridge.weight"]
    )
    assert plain["decoder.bridge.weight"].item() == 0.5
    rows, name = inherited.source, "encoder.embedding.weight"
    assert 0 < len(rows.new_ids) < rows.size
    assert not held[name][~rows.mask].any()
    assert not plain[name][~rows.mask].any()
    torch.testing.assert_close(held[name][rows.new_ids], 0.5 + 3 * fisher[name][rows.old_ids])
    assert (plain[name][rows.new_ids] == 0.5).all()
    assert all(held[n].broadcast_to(p.shape) is not None for n, p in model.named_parameters())
