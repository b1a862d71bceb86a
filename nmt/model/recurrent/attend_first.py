"""An RNN decoder that attends first, then updates its state.

Legend: B batch, T target length, E embedding size, U units of a layer, G gates of a cell, D size of
a context: the size of an encoder state, plus that of a region if there are regions. In search: A
sentences, N beams of each.
"""

from dataclasses import replace

import torch
from torch import Tensor

from nmt.config.model import RnnDecoderConfig
from nmt.model.attention.settings import BuiltAttention
from nmt.model.interfaces import DecoderOutput
from nmt.model.layers import Linear
from nmt.model.recurrent.rnn_decoder import RnnDecoder, RnnState, stack_steps, step_positions


class AttendFirstDecoder(RnnDecoder):
    """Attends with the previous state, then updates (Bahdanau et al. 2015, section 3.1, A.2.2).

    With state s_t, context c_t and the embedding e(y_{t-1}) of the previous piece, step t is

        c_t = attention(s_{t-1})
        s_t = cell([e(y_{t-1}); c_t], s_{t-1})
        hidden_t = tanh(W [s_t; c_t; e(y_{t-1})])

    The last line is the read-out; the output layer maps hidden_t to logits. RNNsearch, the model of
    the paper, has another read-out (``maxout_size``): the maximum of each pair of units of
    W [s_{t-1}; c_t; e(y_{t-1})] (Goodfellow et al. 2013).
    """

    def __init__(
        self,
        config: RnnDecoderConfig,
        vocab_size: int,
        memory_size: int,
        built: BuiltAttention,
    ) -> None:
        """Build the decoder; see `RnnDecoder`. The fed vector is the context."""
        super().__init__(config, vocab_size, memory_size, built, fed_size=built.context_size)
        units = built.maxout_size
        self.maxout = units is not None
        self.output_size = units or config.hidden_size
        self.readout = Linear(
            config.hidden_size + built.context_size + config.embedding_size,
            2 * units if units else config.hidden_size,
        )

    def _run_step_by_step(
        self, embedded: Tensor, state: RnnState
    ) -> tuple[DecoderOutput, RnnState]:
        layer_states, coverage, memory = state.layer_states, state.coverage, state.memory
        previous, updated, contexts, weights = [], [], [], []  # one element [A, N, ...] per step
        positions = step_positions(state, embedded.size(1))
        steps = self.embedding_gates(embedded).unbind(1)  # [A · N, G · U] of each step
        for gates, position in zip(steps, positions.split(1), strict=True):
            query = self._query(layer_states, memory)  # [A, N, U]
            attended, coverage = self._attend(query, memory, position, coverage)
            context = attended.context.flatten(0, 1)
            layer_states = self._update(gates, context, layer_states)
            previous.append(query)
            updated.append(self._query(layer_states, memory))
            contexts.append(attended.context)
            weights.append(attended.weights)
        new, context = torch.cat(updated, dim=1), torch.cat(contexts, dim=1)  # [A, T · N, U or D]
        states = torch.cat(previous, dim=1) if self.maxout else new
        output, attention = self._read_out(states, context, embedded), stack_steps(weights)
        copying = self._copying(state, attention, context, new, embedded)
        state = replace(
            state, layer_states=layer_states, coverage=coverage, position=positions[-1:] + 1
        )
        return DecoderOutput(output, attention, copying=copying), state

    def _read_out(self, states: Tensor, contexts: Tensor, embedded: Tensor) -> Tensor:
        """Return hidden vectors [A, T · N, O] of states [A, T · N, U] and contexts [A, T · N, D].

        ``embedded`` is [A · N, T, E].
        """
        embedded = embedded.reshape(*states.shape[:2], -1)  # T or N is 1
        joined = torch.cat([states, contexts.type_as(states), embedded.type_as(states)], dim=-1)
        output: Tensor = self.readout(joined)
        if self.maxout:
            return self.dropout(output.unflatten(-1, (-1, 2)).amax(dim=-1))
        return self.dropout(output.tanh())
