"""An RNN decoder that updates its state first, then attends.

Legend: B batch, T target length, E embedding size, U units of a layer, G gates of a cell, D context
size. In search: A sentences, N beams of each.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from nmt.config.model import RnnDecoderConfig
from nmt.kernels.recurrent.recurrent_sequence import run_projected_sequence
from nmt.model.attention.memory import AttentionOutput
from nmt.model.attention.settings import BuiltAttention
from nmt.model.interfaces import DecoderOutput, EncoderOutput
from nmt.model.layers import RepeatedLinear
from nmt.model.recurrent.rnn_decoder import RnnDecoder, RnnState, stack_steps, step_positions


class UpdateFirstDecoder(RnnDecoder):
    """Updates, then attends with the new state (Luong et al. 2015, section 3, eq. 5).

    With state h_t, context c_t and the embedding e(y_{t-1}) of the previous piece, step t is

        h_t = cell(e(y_{t-1}), h_{t-1})
        c_t = attention(h_t)
        h~_t = tanh(W [c_t; h_t])

    The output layer maps h~_t, the attentional state, to logits. With input feeding (section 3.3),
    it is also an input of the next step: h_t = cell([e(y_{t-1}); h~_{t-1}], h_{t-1}). Without input
    feeding and coverage, no step needs the attention of an earlier step. Then training runs each
    layer, and the attention, over all steps at once.
    """

    def __init__(
        self,
        config: RnnDecoderConfig,
        vocab_size: int,
        memory_size: int,
        built: BuiltAttention,
        *,
        input_feeding: bool,
    ) -> None:
        """Build the decoder; see `RnnDecoder`."""
        size = config.hidden_size
        super().__init__(config, vocab_size, memory_size, built, size if input_feeding else 0)
        self.input_feeding = input_feeding
        self.attentional = RepeatedLinear(built.context_size + size, size)

    def start(self, encoder_output: EncoderOutput) -> RnnState:
        """Return the state before the first piece; the fed vector is 0."""
        state = super().start(encoder_output)
        if not self.input_feeding:
            return state
        top = self._query(state.layer_states, state.memory)
        return replace(state, fed=torch.zeros_like(top).flatten(0, 1))

    def _run_whole_target(self, embedded: Tensor, state: RnnState) -> DecoderOutput:
        if self.input_feeding or self.coverage is not None:
            return super()._run_whole_target(embedded, state)
        hidden = self._run_layer(0, self.embedding_gates, embedded, state.layer_states)
        for index, linear in enumerate(self.layer_gates, start=1):
            hidden = self._run_layer(index, linear, self.dropout(hidden), state.layer_states)
        positions = step_positions(state, hidden.size(1))
        attended, _ = self._attend(hidden, state.memory, positions, None)
        output = self._attentional_state(hidden, attended)
        weights = stack_steps([attended.weights])
        copying = self._copying(state, weights, attended.context, hidden, embedded)
        return DecoderOutput(output, weights, copying=copying)

    def _run_layer(
        self, index: int, linear: nn.Linear, inputs: Tensor, first_states: Sequence[Tensor]
    ) -> Tensor:
        """Run one layer from its first state over the inputs [B, T, E or U] of all steps.

        ``linear`` maps inputs to gates. The result is h of each step, [B, T, U].
        """
        cell, state = self.cells[index], first_states[index]
        weight, bias = cell.state_projection.weight, cell.state_projection.bias
        return run_projected_sequence(cell.kind, cell.step, linear, inputs, state, weight, bias)

    def _run_step_by_step(
        self, embedded: Tensor, state: RnnState
    ) -> tuple[DecoderOutput, RnnState]:
        layer_states, fed, coverage = state.layer_states, state.fed, state.coverage
        outputs, weights, tops, contexts = [], [], [], []
        positions = step_positions(state, embedded.size(1))
        steps = self.embedding_gates(embedded).unbind(1)  # [A · N, G · U] of each step
        for gates, position in zip(steps, positions.split(1), strict=True):
            layer_states = self._update(gates, fed, layer_states)
            top = self._query(layer_states, state.memory)  # [A, N, U]
            attended, coverage = self._attend(top, state.memory, position, coverage)
            output = self._attentional_state(top, attended)
            fed = output.flatten(0, 1) if self.input_feeding else None
            outputs.append(output)
            weights.append(attended.weights)
            tops.append(top)
            contexts.append(attended.context)
        attention = stack_steps(weights)
        copying = None
        if self.pointer is not None:
            joined = torch.cat(contexts, dim=1), torch.cat(tops, dim=1)
            copying = self._copying(state, attention, *joined, embedded)
        state = replace(
            state,
            layer_states=layer_states,
            fed=fed,
            coverage=coverage,
            position=positions[-1:] + 1,
        )
        return DecoderOutput(torch.cat(outputs, dim=1), attention, copying=copying), state

    def _attentional_state(self, states: Tensor, attended: AttentionOutput) -> Tensor:
        """Return tanh(W [c; h]), [B, T, U], of states h [B, T, U] and contexts c [B, T, D]."""
        joined = torch.cat([attended.context.type_as(states), states], dim=-1)
        output: Tensor = self.attentional(joined)
        return self.dropout(output.tanh())
