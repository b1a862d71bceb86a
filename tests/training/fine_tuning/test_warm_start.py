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
from nmt.model.documents.sentence_segments import ContextPieces
from nmt.text.tokenizer import TokenizerPair, train_tokenizers
from nmt.training.fine_tuning.warm_start import (
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


def test_a_setting_that_no_kind_reads_is_not_a_different_model(tiny_config: Configs) -> None:
    def differing(kind: str, **changes: int) -> list[str]:
        stacks = dict(encoder="transformer", decoder="transformer", self_attention=kind)
        return model_differences(tiny_config(**stacks), tiny_config(**stacks, **changes))

    assert differing("full", attention_window=3, attention_buckets=2) == []
    assert differing("local", attention_window=3, attention_buckets=2) == [
        "model.encoder.attention_window is 3 here and 128 there",
        "model.decoder.attention_window is 3 here and 128 there",
    ]


def test_a_different_weight_of_a_loss_is_not_a_different_model(tiny_config: Configs) -> None:
    stacks = dict(encoder="transformer", decoder="transformer", num_layers=2)
    learned = dict(self_attention="adaptive_span", depth="adaptive")
    losses = dict(attention_span_loss=0.1, depth_loss=0.2)
    old, new = (tiny_config(**stacks, **learned, **changed) for changed in ({}, losses))
    assert old != new
    assert model_differences(old, new) == []
    refuse_other_model(old, new, "it")


HIERARCHICAL = dict(context="hierarchical", decoder_context="hierarchical")


def test_hierarchical_attention_may_be_added_but_not_dropped(tiny_config: Configs) -> None:
    plain = tiny_config("transformer", "transformer")
    both = tiny_config("transformer", "transformer", **HIERARCHICAL)
    refuse_other_model(plain, both, "it")
    with pytest.raises(UserError, match=r"encoder\.context is concatenated here and hierarchical"):
        refuse_other_model(both, plain, "it")
    with pytest.raises(UserError, match=r"encoder\.name is transformer here and rnn there"):
        refuse_other_model(tiny_config("rnn", "transformer"), both, "it")


def test_added_hierarchical_attention_is_fresh_and_has_no_penalty(
    pairs: tuple[TokenizerPair, TokenizerPair], tiny_config: Configs
) -> None:
    tokenizers, _ = pairs
    sizes = len(tokenizers.source), len(tokenizers.target)
    before = build_model(tiny_config("transformer", "transformer"), *sizes)
    config = tiny_config("transformer", "transformer", **HIERARCHICAL)
    pieces = ContextPieces(5, (), 1, target_separator=5)
    after = build_model(config, *sizes, context=pieces)
    old, fresh = before.state_dict(), after.state_dict()
    same = VocabularyTransfer(tokenizers, tokenizers)
    weights, held = same.transfer(old, fresh), stiffness(same, after, old.keys(), l2_sp=0.5)
    added = {name for name in fresh if ".hierarchical_attention." in name}
    assert added == fresh.keys() - old.keys()
    for name, value in weights.items():
        assert torch.equal(value, (fresh if name in added else old)[name]), name
    for name, _ in after.named_parameters():
        assert held[name].any() == (name not in added), name


def test_new_pieces_have_no_penalty_and_shared_pieces_have_one(
    pairs: tuple[TokenizerPair, TokenizerPair], tiny_config: Configs
) -> None:
    old, new = pairs
    config = tiny_config()
    before = build_model(config, len(old.source), len(old.target))
    model = build_model(config, len(new.source), len(new.target))
    fisher = {name: torch.rand_like(p) for name, p in before.named_parameters()}
    inherited = VocabularyTransfer(old, new)
    held = stiffness(inherited, model, fisher.keys(), l2_sp=0.5, ewc=3.0, fisher=fisher)
    plain = stiffness(inherited, model, fisher.keys(), l2_sp=0.5)
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
