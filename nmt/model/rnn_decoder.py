"""RNN decoders: what they share, and the two orders of attending and updating.

Legend: B batch, T target length, S source length, U units, C context size.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt.config.model import RnnDecoderConfig
from nmt.model.attention.core import Attended, Attention, AttentionMemory
from nmt.model.attention.coverage import Coverage, CoverageState
from nmt.model.dropout import Dropout
from nmt.model.interfaces import Decoder, DecoderOutput, DecoderState, EncoderOutput
from nmt.model.linear import Linear
from nmt.model.modules import Modules
from nmt.model.recurrent import CELLS, RecurrentCell
from nmt.model.recurrent_sequence import run_sequence
from nmt.model.repeated import RepeatedLinear, one_gradient
from nmt.model.structured_dropout import WordDropout


@dataclass(frozen=True)
class RnnState(DecoderState):
    """Layer states, the vector fed into the next step, and the source.

    Attributes:
        layers: [B, state size] of each layer.
        fed: [B, U], Luong's attentional state; None where nothing is fed.
        memory: What attention reads.
        coverage: What was attended to so far; None where the score is not told.
        position: Pieces written so far.
    """

    layers: tuple[Tensor, ...]
    fed: Tensor | None
    memory: AttentionMemory
    coverage: CoverageState | None
    position: int = 0

    def select(self, rows: Tensor) -> "RnnState":
        """Return the state of these rows."""
        return RnnState(
            tuple(layer.index_select(0, rows) for layer in self.layers),
            None if self.fed is None else self.fed.index_select(0, rows),
            self.memory.select(rows),
            None if self.coverage is None else self.coverage.select(rows),
            self.position,
        )


class FixedVector(nn.Module):
    """The bottleneck that attention was invented to beat: the context is the summary, always.

    Cho et al. 2014: the decoder sees one vector, at every step the same.
    """

    def memory_of(self, encoder_output: EncoderOutput) -> AttentionMemory:
        """Keep the summary [B, D] as the one thing to look at."""
        summary = encoder_output.summary[:, None]
        return AttentionMemory(summary, summary, None)

    def forward(
        self,
        query: Tensor,
        memory: AttentionMemory,
        position: int = 0,
        coverage: Tensor | None = None,
    ) -> Attended:
        """Return the summary as context [B, 1, D]; there are no weights over the source."""
        return Attended(memory.values, None)


class RnnDecoder(Decoder):
    """A stack of cells, bridged from the encoder's summary.

    The first layer's input is a sum of two products, one with the embedding, taken for all steps at
    once in training, and one with what attention gives, taken step by step.
    """

    def __init__(
        self,
        config: RnnDecoderConfig,
        vocab_size: int,
        memory_size: int,
        attention: Attention | FixedVector,
        fed_size: int,
        coverage: Coverage | None,
    ) -> None:
        """Build the stack; a step adds a vector of ``fed_size`` to the embedding (0: none)."""
        super().__init__()
        self.output_size = config.hidden_size
        self.attends = isinstance(attention, Attention)
        self.embedding = nn.Embedding(vocab_size, config.embedding_size)
        self.attention = attention
        self.coverage = coverage
        self.word_dropout = WordDropout(config.word_dropout)
        self.dropout = Dropout(config.dropout)
        self.cells = Modules[RecurrentCell](
            CELLS[config.cell](config.hidden_size) for _ in range(config.num_layers)
        )
        first = self.cells[0]
        gates, size = first.gates_size, first.hidden_size
        self.embedding_gates = Linear(config.embedding_size, gates)
        self.fed_gates = RepeatedLinear(fed_size, gates, bias=False) if fed_size else None
        self.layer_gates = nn.ModuleList(RepeatedLinear(size, gates) for _ in self.cells[1:])
        self.bridge_kind = config.bridge
        states_size = first.state_size * config.num_layers
        self.bridge = None if config.bridge == "zero" else Linear(memory_size, states_size)

    def start(self, encoder_output: EncoderOutput) -> RnnState:
        """Bridge the encoder's summary to every layer's first state."""
        coverage = None
        if self.coverage is not None:
            coverage = self.coverage.start(encoder_output.states, encoder_output.mask)
        layers = self._bridged(encoder_output)
        return RnnState(layers, None, self._memory(encoder_output), coverage)

    def step(
        self, previous_ids: Tensor, state: DecoderState, *, need_weights: bool
    ) -> tuple[DecoderOutput, RnnState]:
        """Advance by one piece."""
        assert isinstance(state, RnnState)
        embedded = self.dropout(self.embedding(previous_ids))
        steps, state = self._advance(embedded[:, None], state)
        weights = steps.weights[:, :, :, 0] if need_weights and steps.weights is not None else None
        return DecoderOutput(steps.hidden[:, 0], weights), state

    def forward(
        self, target_input_ids: Tensor, encoder_output: EncoderOutput, *, need_weights: bool
    ) -> DecoderOutput:
        """Read known targets, step by step where each step needs the one before."""
        embedded = self.word_dropout(self.embedding(target_input_ids), target_input_ids)
        embedded = self.dropout(embedded)
        output = self._read(embedded, self.start(encoder_output))
        return output if need_weights else replace(output, weights=None)

    def _read(self, embedded: Tensor, state: RnnState) -> DecoderOutput:
        """Run over embeddings [B, T, E] of a whole target."""
        with one_gradient(self):
            return self._advance(embedded, state)[0]

    @abstractmethod
    def _advance(self, embedded: Tensor, state: RnnState) -> tuple[DecoderOutput, RnnState]:
        """Run over embeddings [B, T, E] from a state."""

    def _memory(self, encoder_output: EncoderOutput) -> AttentionMemory:
        if isinstance(self.attention, FixedVector):
            return self.attention.memory_of(encoder_output)
        return self.attention.memory(encoder_output.states, encoder_output.mask)

    def _look(
        self, query: Tensor, memory: AttentionMemory, position: int, covered: CoverageState | None
    ) -> tuple[Attended, CoverageState | None]:
        """Attend from a step's query [B, 1, U], and note what was attended to."""
        if self.coverage is None or covered is None:
            return self.attention(query, memory, position), None
        seen: Attended = self.attention(query, memory, position, self.coverage(covered))
        assert seen.weights is not None
        return seen, self.coverage.advance(covered, seen.weights[:, 0])

    def _bridged(self, encoder_output: EncoderOutput) -> tuple[Tensor, ...]:
        width = self.cells[0].state_size
        if self.bridge is None:
            zeros = encoder_output.summary.new_zeros(len(encoder_output.summary), width)
            return (zeros,) * len(self.cells)
        first: Tensor = self.bridge(encoder_output.summary)
        first = first.tanh() if self.bridge_kind == "tanh" else first
        return tuple(first.split(width, dim=1))

    def _update(
        self, gates: Tensor, fed: Tensor | None, layers: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """Step all layers, from the embedding's gates [B, G · U] and the fed vector."""
        if self.fed_gates is not None and fed is not None:
            gates = gates + self.fed_gates(fed)
        updated = [self.cells[0](gates, layers[0])]
        for cell, project, layer in zip(self.cells[1:], self.layer_gates, layers[1:], strict=True):
            updated.append(cell(project(self.dropout(cell.hidden(updated[-1]))), layer))
        return tuple(updated)

    def _query(self, layers: Sequence[Tensor]) -> Tensor:
        """The top layer's h, [B, 1, U]."""
        top: Tensor = self.cells[-1].hidden(layers[-1])
        return top[:, None]


def _as_layer(weights: list[Tensor | None]) -> Tensor | None:
    """Join the weights [B, T', S] or [B, H, T', S] of steps into [B, L=1, H, T, S]."""
    kept = [step for step in weights if step is not None]
    if not kept:
        return None
    joined = torch.cat(kept, dim=-2)
    return joined[:, None] if joined.dim() == 4 else joined[:, None, None]


class AttendFirstDecoder(RnnDecoder):
    """Attends with the state before, then updates (Bahdanau et al. 2015, section 3.1, A.2.2).

    c_t = attention(s_{t-1}); s_t = cell([e(y_{t-1}); c_t], s_{t-1}). The read-out is
    tanh(W [s_t; c_t; e]), or RNNsearch's own: the greater of each two of
    W [s_{t-1}; c_t; e] (Goodfellow et al. 2013).
    """

    def __init__(
        self,
        config: RnnDecoderConfig,
        vocab_size: int,
        memory_size: int,
        attention: Attention | FixedVector,
        coverage: Coverage | None = None,
        maxout_size: int | None = None,
    ) -> None:
        """Build the decoder for a vocabulary and an encoder of ``memory_size``."""
        super().__init__(config, vocab_size, memory_size, attention, memory_size, coverage)
        self.maxout = maxout_size is not None
        self.output_size = maxout_size or config.hidden_size
        self.readout = Linear(
            config.hidden_size + memory_size + config.embedding_size,
            2 * maxout_size if maxout_size else config.hidden_size,
        )

    def _advance(self, embedded: Tensor, state: RnnState) -> tuple[DecoderOutput, RnnState]:
        layers, covered, position = state.layers, state.coverage, state.position
        before, after, contexts, weights = [], [], [], []
        for gates in self.embedding_gates(embedded).unbind(1):
            query = self._query(layers)
            seen, covered = self._look(query, state.memory, position, covered)
            layers = self._update(gates, seen.context[:, 0], layers)
            before.append(query)
            after.append(self._query(layers))
            contexts.append(seen.context)
            weights.append(seen.weights)
            position += 1
        states = torch.cat(before if self.maxout else after, dim=1)
        output = self._read_out(states, torch.cat(contexts, dim=1), embedded)
        state = replace(state, layers=layers, coverage=covered, position=position)
        return DecoderOutput(output, _as_layer(weights)), state

    def _read_out(self, states: Tensor, contexts: Tensor, embedded: Tensor) -> Tensor:
        joined = torch.cat([states, contexts.to(states.dtype), embedded.to(states.dtype)], dim=-1)
        output: Tensor = self.readout(joined)
        if self.maxout:
            return self.dropout(output.unflatten(-1, (-1, 2)).amax(dim=-1))
        return self.dropout(output.tanh())


class UpdateFirstDecoder(RnnDecoder):
    """Updates, then attends with the new state (Luong et al. 2015, section 3, eq. 5).

    h_t = cell(e(y_{t-1}), h_{t-1}); c_t = attention(h_t); attentional state tanh(W [c_t; h_t]).
    With input feeding (section 3.3) the attentional state enters the next step; without it,
    attention leaves the time loop, unless it is told its coverage.
    """

    def __init__(
        self,
        config: RnnDecoderConfig,
        vocab_size: int,
        memory_size: int,
        attention: Attention,
        context_size: int,
        coverage: Coverage | None = None,
        *,
        input_feeding: bool,
    ) -> None:
        """Build the decoder; the attention's contexts are ``context_size`` wide."""
        size = config.hidden_size
        fed_size = size if input_feeding else 0
        super().__init__(config, vocab_size, memory_size, attention, fed_size, coverage)
        self.input_feeding = input_feeding
        self.attentional = RepeatedLinear(context_size + size, size)

    def start(self, encoder_output: EncoderOutput) -> RnnState:
        """Bridge the summary; the first fed vector is zero."""
        state = super().start(encoder_output)
        if not self.input_feeding:
            return state
        top = self._query(state.layers)[:, 0]
        return replace(state, fed=torch.zeros_like(top))

    def _read(self, embedded: Tensor, state: RnnState) -> DecoderOutput:
        if self.input_feeding or self.coverage is not None:
            return super()._read(embedded, state)
        gates = self.embedding_gates(embedded)
        hidden = self._run_layer(0, gates, state.layers)
        for index, project in enumerate(self.layer_gates, start=1):
            hidden = self._run_layer(index, project(self.dropout(hidden)), state.layers)
        seen, _ = self._look(hidden, state.memory, 0, None)
        return DecoderOutput(self._attentional_state(hidden, seen), _as_layer([seen.weights]))

    def _run_layer(self, index: int, gates: Tensor, first: Sequence[Tensor]) -> Tensor:
        """Run one layer over all steps' gates [B, T, G · U] -> h [B, T, U]."""
        projection = self.cells[index].state_projection
        steps, kind = gates.transpose(0, 1), self.cells[index].kind
        weight, bias = projection.weight, projection.bias
        return run_sequence(kind, steps, first[index], weight, bias).transpose(0, 1)

    def _advance(self, embedded: Tensor, state: RnnState) -> tuple[DecoderOutput, RnnState]:
        layers, fed, covered, position = state.layers, state.fed, state.coverage, state.position
        outputs, weights = [], []
        for gates in self.embedding_gates(embedded).unbind(1):
            layers = self._update(gates, fed, layers)
            top = self._query(layers)
            seen, covered = self._look(top, state.memory, position, covered)
            output = self._attentional_state(top, seen)
            fed = output[:, 0] if self.input_feeding else None
            outputs.append(output)
            weights.append(seen.weights)
            position += 1
        state = replace(state, layers=layers, fed=fed, coverage=covered, position=position)
        return DecoderOutput(torch.cat(outputs, dim=1), _as_layer(weights)), state

    def _attentional_state(self, states: Tensor, seen: Attended) -> Tensor:
        """Return tanh(W [c; h]) of states [B, T, U]."""
        joined = torch.cat([seen.context.to(states.dtype), states], dim=-1)
        return self.dropout(self.attentional(joined).tanh())
