"""Recurrent cells and the RNN encoder compared with torch, sentence by sentence."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig, RnnEncoderConfig
from nmt.data.batches.batch import Batch
from nmt.model.recurrent.recurrent_cells import GruCell, LstmCell
from nmt.model.recurrent.rnn_encoder import RnnEncoder
from nmt.model.seq2seq import TranslationModel

INPUT, UNITS, ROWS = 5, 7, 4


def gates_of(cell: nn.GRUCell | nn.LSTMCell, order: list[int]) -> tuple[Tensor, ...]:
    """Return the gates' weights and biases, of the input and of the state, in another order."""
    tensors = (cell.weight_ih, cell.bias_ih, cell.weight_hh, cell.bias_hh)
    return tuple(torch.cat([tensor.chunk(len(order))[i] for i in order]) for tensor in tensors)


def test_gru_cell_equals_that_of_torch() -> None:
    ours, theirs = GruCell(UNITS), nn.GRUCell(INPUT, UNITS)
    weight, bias, recurrent_weight, recurrent_bias = gates_of(theirs, [0, 1, 2])
    inputs, state = torch.randn(ROWS, INPUT), torch.randn(ROWS, UNITS)
    with torch.no_grad():
        ours.state_projection.weight.copy_(recurrent_weight)
        ours.state_projection.bias.copy_(recurrent_bias)
        found = ours(inputs @ weight.T + bias, state)
        torch.testing.assert_close(found, theirs(inputs, state))
    assert found.shape == (ROWS, ours.state_size)
    assert torch.equal(ours.hidden(found), found), "the state of a GRU is h alone"


def test_lstm_cell_equals_that_of_torch() -> None:
    ours, theirs = LstmCell(UNITS), nn.LSTMCell(INPUT, UNITS)
    # torch: input, forget, candidate, output; ours: the three sigmoids side by side.
    weight, bias, recurrent_weight, recurrent_bias = gates_of(theirs, [0, 1, 3, 2])
    inputs = torch.randn(ROWS, INPUT)
    hidden, cell = torch.randn(ROWS, UNITS), torch.randn(ROWS, UNITS)
    with torch.no_grad():
        ours.state_projection.weight.copy_(recurrent_weight)
        ours.state_projection.bias.copy_(recurrent_bias)
        found = ours(inputs @ weight.T + bias, torch.cat([hidden, cell], dim=1))
        expected_hidden, expected_cell = theirs(inputs, (hidden, cell))
    torch.testing.assert_close(found, torch.cat([expected_hidden, expected_cell], dim=1))
    torch.testing.assert_close(ours.hidden(found), expected_hidden)
    assert found.shape == (ROWS, ours.state_size)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "both-ways"])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_encoder_equals_torch_on_each_single_sentence(
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
    ragged_batch: Batch,
    cell: str,
    num_layers: int,
    *,
    bidirectional: bool,
) -> None:
    config = tiny_config(cell=cell, num_layers=num_layers, bidirectional=bidirectional)
    encoder = tiny_model(config).encoder
    assert isinstance(encoder, RnnEncoder)
    assert isinstance(config.encoder, RnnEncoderConfig)
    theirs = stacked(encoder, config.encoder)
    with torch.no_grad():
        found = encoder(ragged_batch.source_ids, ragged_batch.source_mask)
        for row, length in enumerate(ragged_batch.source_mask.sum(1).tolist()):
            alone = ragged_batch.source_ids[row : row + 1, :length]
            states, last = theirs(encoder.embedding(alone))
            final = (last[0] if cell == "lstm" else last)[-2 if bidirectional else -1 :]
            torch.testing.assert_close(
                found.states[row, :length], states[0], msg=f"sentence {row} reads its padding"
            )
            torch.testing.assert_close(
                found.summary[row], final.flatten(), msg=f"summary of sentence {row}: not its end"
            )
    assert found.mask is ragged_batch.source_mask
    assert found.states.size(2) == found.summary.size(1) == encoder.output_size


def stacked(encoder: RnnEncoder, config: RnnEncoderConfig) -> Any:
    """The multi-layer RNN of torch with the encoder's weights."""
    kind = {"gru": nn.GRU, "lstm": nn.LSTM}[config.cell]
    stack = kind(
        config.embedding_size,
        config.hidden_size,
        num_layers=config.num_layers,
        bidirectional=config.bidirectional,
        batch_first=True,
    )
    weights = {
        name.replace("_l0", f"_l{index}"): weight
        for index, layer in enumerate(encoder.layers)
        for name, weight in layer.state_dict().items()
    }
    stack.load_state_dict(weights)
    return stack
