"""Word dropout and layer drop: what is dropped, how often, and no effect if disabled."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nmt.config.model import ModelConfig
from nmt.data.batches.batch import Batch
from nmt.model.build import build_model
from nmt.model.losses.loss import sequence_loss
from nmt.model.structured_dropout import LayerDrop, WordDropout

Configs = Callable[..., ModelConfig]

STACKS: dict[str, Any] = dict(encoder="transformer", decoder="transformer", num_layers=3)


def test_a_piece_is_dropped_at_all_its_positions_in_a_sentence_only() -> None:
    dropout = WordDropout(0.4).train()
    ids = torch.randint(4, 9, (200, 12))
    embedded = torch.rand(200, 12, 5) + 1
    dropped = dropout(embedded, ids)
    zero = (dropped == 0).all(dim=2)
    assert torch.equal(zero, (dropped == 0).any(dim=2)), "half an embedding was dropped"
    fates = [
        {(i, bool(z)) for i, z in zip(*row, strict=True)}
        for row in zip(ids.tolist(), zero.tolist(), strict=True)
    ]
    assert all(len(fate) == len({i for i, _ in fate}) for fate in fates)
    torch.testing.assert_close(dropped[~zero], embedded[~zero] / 0.6)
    kinds = [z for fate in fates for _, z in fate]
    assert abs(sum(kinds) / len(kinds) - 0.4) < 4 * (0.24 / len(kinds)) ** 0.5


def test_word_dropout_keeps_the_mean() -> None:
    embedded, ids = torch.ones(1, 3, 2), torch.tensor([[5, 6, 5]])
    mean = torch.stack([WordDropout(0.3).train()(embedded, ids) for _ in range(4000)]).mean(0)
    torch.testing.assert_close(mean, embedded, rtol=0, atol=0.05)


@pytest.mark.parametrize("kind", ["rnn", "transformer"])
def test_word_dropout_is_for_training_only(
    tiny_config: Configs, ragged_batch: Batch, kind: str
) -> None:
    model = build_model(tiny_config(kind, kind, word_dropout=0.5), 30, 30)
    inputs = ragged_batch.source_ids, ragged_batch.source_mask, ragged_batch.target_input_ids
    model.eval()
    assert torch.equal(model(*inputs).hidden, model(*inputs).hidden)
    model.train()
    assert not torch.equal(model(*inputs).hidden, model(*inputs).hidden)


def test_a_dropped_word_keeps_its_position(tiny_config: Configs) -> None:
    model = build_model(tiny_config(word_dropout=0.99, **STACKS), 30, 30).train()
    positioned = model.encoder.positioned  # type: ignore[union-attr]
    ids = torch.full((1, 6), 7)
    states = positioned(ids)  # type: ignore[operator]
    torch.testing.assert_close(states, positioned.table[:6][None])  # type: ignore[union-attr, index]


def test_a_dropped_layer_is_the_identity_without_gradient(
    tiny_config: Configs, ragged_batch: Batch
) -> None:
    model = build_model(tiny_config(layer_drop=0.5, **STACKS), 30, 30).train()
    plain = build_model(tiny_config(**STACKS), 30, 30)
    plain.load_state_dict(model.state_dict())
    plain.eval()
    inputs = ragged_batch.source_ids, ragged_batch.source_mask, ragged_batch.target_input_ids
    seen = set()
    for seed in range(8):
        torch.manual_seed(seed)
        fates = [[bool(torch.rand(()).item() < 0.5) for _ in range(3)] for _ in range(2)]
        seen.add(str(fates))
        torch.manual_seed(seed)
        model.zero_grad()
        output = model(*inputs, need_weights=True)
        output.hidden.square().sum().backward()
        shorter = build_model(tiny_config(**STACKS), 30, 30)
        shorter.load_state_dict(model.state_dict())
        for part, fate in zip((shorter.encoder, shorter.decoder), fates, strict=True):
            kept = [layer for layer, gone in zip(part.layers, fate, strict=True) if not gone]  # type: ignore[arg-type]
            part.layers = type(part.layers)(kept)  # type: ignore[operator]
        torch.testing.assert_close(shorter.eval()(*inputs).hidden, output.hidden)
        for part, fate in zip((model.encoder, model.decoder), fates, strict=True):
            for layer, gone in zip(part.layers, fate, strict=True):  # type: ignore[arg-type]
                learned = layer.feed_forward[0].weight.grad is not None
                read = part is model.decoder or not all(fates[1])
                assert learned is (read and not gone)
        looked = output.weights.sum(-1).amax((0, 2, 3)) > 0
        assert looked.tolist() == [not gone for gone in fates[1]]
    assert len(seen) > 4


def test_all_layers_translate(tiny_config: Configs, ragged_batch: Batch) -> None:
    torch.manual_seed(5)
    dropping = build_model(tiny_config(layer_drop=0.9, **STACKS), 30, 30).eval()
    torch.manual_seed(5)
    plain = build_model(tiny_config(**STACKS), 30, 30).eval()
    inputs = ragged_batch.source_ids, ragged_batch.source_mask, ragged_batch.target_input_ids
    assert torch.equal(dropping(*inputs).hidden, plain(*inputs).hidden)


def test_layer_drop_is_as_frequent_as_asked() -> None:
    drop = LayerDrop(0.2).train()
    assert abs(sum(drop() for _ in range(5000)) / 5000 - 0.2) < 4 * (0.16 / 5000) ** 0.5


@pytest.mark.parametrize("kind", ["rnn", "transformer"])
def test_disabled_dropout_draws_no_random_number(
    tiny_config: Configs, ragged_batch: Batch, kind: str
) -> None:
    model = build_model(tiny_config(kind, kind), 30, 30).train()
    before = torch.get_rng_state()
    sequence_loss(model, ragged_batch, 0.1)
    assert torch.equal(torch.get_rng_state(), before)


def test_layer_drop_draws_on_the_cpu_whatever_the_default_device_is() -> None:
    drop = LayerDrop(0.5).train()
    torch.manual_seed(3)
    expected = [drop() for _ in range(9)]
    torch.manual_seed(3)
    with torch.device("meta"):  # it stores no value that could be read
        assert [drop() for _ in range(9)] == expected
