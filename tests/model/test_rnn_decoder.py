"""One step of each RNN decoder, written out from the papers in float64.

Legend: U units, M size of an encoder state, E size of an embedding.
"""

from collections.abc import Callable

import pytest
import torch

from nmt.config.model import ModelConfig
from nmt.data.batches.batch import Batch
from nmt.model.recurrent.attend_first import AttendFirstDecoder
from nmt.model.recurrent.rnn_decoder import RnnState
from nmt.model.recurrent.update_first import UpdateFirstDecoder
from nmt.model.seq2seq import TranslationModel


@pytest.mark.parametrize("maxout_size", [None, 8])
def test_rnnsearch_attends_updates_and_reads_out(
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
    ragged_batch: Batch,
    maxout_size: int | None,
) -> None:
    model = tiny_model(tiny_config(maxout_size=maxout_size)).double()
    decoder = model.decoder
    assert isinstance(decoder, AttendFirstDecoder)
    previous = ragged_batch.target_input_ids[:, 1]
    with torch.no_grad():
        encoded = model.encode(ragged_batch.source_ids, ragged_batch.source_mask)
        state = decoder.start(encoded)
        found, after = decoder.step(previous, state, need_weights=True)
        before = state.layer_states[0]  # s_{t-1}; a GRU's state is h
        embedding = decoder.embedding(previous)
        context = decoder.attention(before[:, None], state.memory).context[:, 0]
        assert decoder.fed_gates is not None
        gates = decoder.embedding_gates(embedding) + decoder.fed_gates(context)
        updated = decoder.cells[0](gates, before)
        torch.testing.assert_close(after.layer_states[0], updated)
        W, b = decoder.readout.weight, decoder.readout.bias
        if maxout_size is None:
            expected = torch.tanh(torch.cat([updated, context, embedding], dim=1) @ W.T + b)
        else:  # Bahdanau et al. 2015, A.2.2: of s_{t-1}, and the greater of units 2i and 2i + 1
            doubled = torch.cat([before, context, embedding], dim=1) @ W.T + b
            expected = torch.maximum(doubled[:, 0::2], doubled[:, 1::2])
    torch.testing.assert_close(found.hidden, expected)


@pytest.mark.parametrize("input_feeding", [False, True])
def test_luongs_decoder_updates_attends_and_feeds(
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
    ragged_batch: Batch,
    *,
    input_feeding: bool,
) -> None:
    config = tiny_config(attention="luong_general", input_feeding=input_feeding)
    model = tiny_model(config).double()
    decoder = model.decoder
    assert isinstance(decoder, UpdateFirstDecoder)
    with torch.no_grad():
        state = decoder.start(model.encode(ragged_batch.source_ids, ragged_batch.source_mask))
        fed = torch.zeros_like(
            state.layer_states[0]
        )  # before the first step there is no previous piece
        for previous in ragged_batch.target_input_ids[:, :3].unbind(1):
            gates = decoder.embedding_gates(decoder.embedding(previous))
            if decoder.fed_gates is not None:
                gates = gates + decoder.fed_gates(fed)
            updated = decoder.cells[0](gates, state.layer_states[0])
            context = decoder.attention(updated[:, None], state.memory).context[:, 0]
            W, b = decoder.attentional.weight, decoder.attentional.bias
            fed = torch.tanh(torch.cat([context, updated], dim=1) @ W.T + b)  # eq. 5
            found, state = decoder.step(previous, state, need_weights=False)
            assert isinstance(state, RnnState)
            torch.testing.assert_close(state.layer_states[0], updated)
            torch.testing.assert_close(found.hidden, fed)
    assert (decoder.fed_gates is not None) == input_feeding
