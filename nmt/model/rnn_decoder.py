"""The common part of RNN decoders; see `attend_first` and `update_first`.

Legend: B batch, T target length, S source length, U units, C context size.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt.config.model import Bridge, RnnDecoderConfig
from nmt.kernels.repeated_linear import Project, loop_projection, plain_project
from nmt.model.attention.core import Attention
from nmt.model.attention.coverage import Coverage, CoverageState
from nmt.model.attention.memory import Attended, AttentionMemory
from nmt.model.interfaces import Decoder, DecoderOutput, DecoderState, EncoderOutput
from nmt.model.layers import Dropout, Linear
from nmt.model.modules import Modules
from nmt.model.recurrent_cells import CELLS, RecurrentCell
from nmt.model.structured_dropout import WordDropout


@dataclass(frozen=True)
class RnnState(DecoderState):
    """Layer states, the vector fed into the next step, and the source.

    Attributes:
        layers: [B, state size] of each layer.
        fed: [B, U], Luong's attentional state; None without input feeding.
        memory: Keys and values of the source.
        coverage: The attention to each source piece so far; None if the score has no such term.
        position: Number of target pieces so far.
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
    """Decoding without attention: the context is the summary at every step (Cho et al. 2014)."""

    def memory_of(self, encoder_output: EncoderOutput) -> AttentionMemory:
        """Return the summary [B, D] as the only value."""
        summary = encoder_output.summary[:, None]
        return AttentionMemory(summary, summary, None)

    def forward(
        self,
        query: Tensor,
        memory: AttentionMemory,
        position: int = 0,
        coverage: Tensor | None = None,
        project: Project = plain_project,
    ) -> Attended:
        """Return the summary as context [B, 1, D]; there are no weights over the source."""
        return Attended(memory.values, None)


class RnnDecoder(Decoder):
    """A stack of cells whose first state is a bridge from the encoder's summary.

    The first layer's input is the sum of two products: that with the embedding is computed for all
    steps at once in training, that with the result of attention step by step. Layers that are
    applied in the loop over time are called through a `Project`.
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
        """Build the stack; a vector of ``fed_size`` is an input beside the embedding (0: none)."""
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
        self.fed_gates = nn.Linear(fed_size, gates, bias=False) if fed_size else None
        self.layer_gates = Modules[nn.Linear](nn.Linear(size, gates) for _ in self.cells[1:])
        self.bridge_kind = config.bridge
        states_size = first.state_size * config.num_layers
        self.bridge = None if config.bridge == Bridge.ZERO else Linear(memory_size, states_size)

    def start(self, encoder_output: EncoderOutput) -> RnnState:
        """Compute every layer's first state from the encoder's summary."""
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
        steps, state = self._advance(embedded[:, None], state, plain_project)
        weights = steps.weights[:, :, :, 0] if need_weights and steps.weights is not None else None
        return DecoderOutput(steps.hidden[:, 0], weights), state

    def forward(
        self, target_input_ids: Tensor, encoder_output: EncoderOutput, *, need_weights: bool
    ) -> DecoderOutput:
        """Read known targets, step by step where a step depends on the previous one."""
        embedded = self.word_dropout(self.embedding(target_input_ids), target_input_ids)
        embedded = self.dropout(embedded)
        output = self._read(embedded, self.start(encoder_output))
        return output if need_weights else replace(output, weights=None)

    def _read(self, embedded: Tensor, state: RnnState) -> DecoderOutput:
        """Run over embeddings [B, T, E] of a whole target."""
        return self._advance(embedded, state, loop_projection())[0]

    @abstractmethod
    def _advance(
        self, embedded: Tensor, state: RnnState, project: Project
    ) -> tuple[DecoderOutput, RnnState]:
        """Run over embeddings [B, T, E] from a state, step by step."""

    def _memory(self, encoder_output: EncoderOutput) -> AttentionMemory:
        if isinstance(self.attention, FixedVector):
            return self.attention.memory_of(encoder_output)
        return self.attention.memory(encoder_output.states, encoder_output.mask)

    def _attend(
        self,
        query: Tensor,
        memory: AttentionMemory,
        position: int,
        coverage: CoverageState | None,
        project: Project,
    ) -> tuple[Attended, CoverageState | None]:
        """Attend from a step's query [B, 1, U], and update the coverage."""
        if self.coverage is None or coverage is None:
            return self.attention(query, memory, position, None, project), None
        term = self.coverage(coverage)
        attended: Attended = self.attention(query, memory, position, term, project)
        assert attended.weights is not None
        return attended, self.coverage.advance(coverage, attended.weights[:, 0])

    def _bridged(self, encoder_output: EncoderOutput) -> tuple[Tensor, ...]:
        width = self.cells[0].state_size
        if self.bridge is None:
            zeros = encoder_output.summary.new_zeros(len(encoder_output.summary), width)
            return (zeros,) * len(self.cells)
        first: Tensor = self.bridge(encoder_output.summary)
        first = first.tanh() if self.bridge_kind == Bridge.TANH else first
        return tuple(first.split(width, dim=1))

    def _update(
        self, gates: Tensor, fed: Tensor | None, layers: Sequence[Tensor], project: Project
    ) -> tuple[Tensor, ...]:
        """Step all layers, from the embedding's gates [B, G · U] and the fed vector."""
        if self.fed_gates is not None and fed is not None:
            gates = gates + project(self.fed_gates, fed)
        updated = [self.cells[0](gates, layers[0], project)]
        for cell, linear, layer in zip(self.cells[1:], self.layer_gates, layers[1:], strict=True):
            below = self.dropout(cell.hidden(updated[-1]))
            updated.append(cell(project(linear, below), layer, project))
        return tuple(updated)

    def _query(self, layers: Sequence[Tensor]) -> Tensor:
        """Return the top layer's h, [B, 1, U]."""
        top: Tensor = self.cells[-1].hidden(layers[-1])
        return top[:, None]


def stack_steps(weights: list[Tensor | None]) -> Tensor | None:
    """Join the weights [B, T', S] or [B, H, T', S] of steps to [B, L=1, H, T, S]."""
    kept = [step for step in weights if step is not None]
    if not kept:
        return None
    joined = torch.cat(kept, dim=-2)
    return joined[:, None] if joined.dim() == 4 else joined[:, None, None]
