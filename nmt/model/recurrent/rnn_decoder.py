"""The common part of the two RNN decoders, `attend_first` and `update_first`.

Each step reads the embedding of the previous piece, updates the states of all layers, and attends
to the source. `attend_first` attends with the previous state, then updates it. `update_first`
updates the state, then attends with the new state.

Legend: B batch, T target length, S source length, D size of an encoder state, E embedding size,
U units of a layer, G gates of a cell (3 of a GRU, 4 of an LSTM), F size of the fed vector. In
search: A sentences, N beams of each, A · N rows. In training N = 1 and A = B.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt.config.model import Bridge, CopyKind, RnnDecoderConfig
from nmt.kernels.attention.attention_mask import AttentionMask
from nmt.kernels.recurrent.loop_over_time import loop_over_time
from nmt.model.attention.core import Attention
from nmt.model.attention.coverage import CoverageState
from nmt.model.attention.doubly import DoublyAttention
from nmt.model.attention.memory import AttentionMemory, AttentionOutput
from nmt.model.attention.none import FixedContext
from nmt.model.attention.settings import BuiltAttention
from nmt.model.beams import parent_rows, sentence_rows
from nmt.model.interfaces import Decoder, DecoderOutput, DecoderState, EncoderOutput
from nmt.model.layers import Dropout, Linear, Modules, RepeatedLinear
from nmt.model.pointer import Copying, Pointer
from nmt.model.recurrent.recurrent_cells import CELLS, RecurrentCell
from nmt.model.structured_dropout import WordDropout


@dataclass(frozen=True)
class RnnState(DecoderState):
    """The states of all layers, the source, and the other inputs of the next step.

    Attributes:
        layer_states: One [A · N, state_size] per layer; see `RecurrentCell`.
        fed: [A · N, U], the attentional state of the previous step, an input of the next step of
            `UpdateFirstDecoder`; None: no input feeding, or an `AttendFirstDecoder`.
        memory: Keys and values of the A source sentences.
        coverage: The attention to each source piece so far; None: no coverage.
        position: [1], the number of target pieces so far.
        source_ids: [A, S], the pieces that may be copied; None: the decoder does not copy.
    """

    layer_states: tuple[Tensor, ...]
    fed: Tensor | None
    memory: AttentionMemory
    coverage: CoverageState | None
    position: Tensor
    source_ids: Tensor | None = None

    def select(self, sentences: Tensor) -> "RnnState":
        """Return the state of these sentences [R], in this order."""
        return self._of_sentences(sentences, self.memory.select(sentences))

    def keep(self, sentences: Tensor) -> "RnnState":
        """Return the state of these sentences [R]; see `DecoderState.keep`."""
        return self._of_sentences(sentences, self.memory.keep(sentences))

    def reorder(self, parents: Tensor) -> "RnnState":
        """Return the state of the beams ``parents`` [A, N] of each sentence."""
        coverage = None if self.coverage is None else self.coverage.reorder(parents)
        rows = parent_rows(parents, self._beams)
        return replace(self, coverage=coverage)._with_rows(rows)

    @property
    def _beams(self) -> int:
        return len(self.layer_states[0]) // len(self.memory.values)

    def _of_sentences(self, sentences: Tensor, memory: AttentionMemory) -> "RnnState":
        """Return the state of these sentences [R] with their memory."""
        coverage, ids, beams = self.coverage, self.source_ids, self._beams
        state = replace(
            self,
            memory=memory,
            coverage=None if coverage is None else coverage.select(sentences),
            source_ids=None if ids is None else ids.index_select(0, sentences),
        )
        return state._with_rows(sentence_rows(sentences, beams))

    def _with_rows(self, rows: Tensor) -> "RnnState":
        return replace(
            self,
            layer_states=tuple(layer.index_select(0, rows) for layer in self.layer_states),
            fed=None if self.fed is None else self.fed.index_select(0, rows),
        )


class RnnDecoder(Decoder):
    """A stack of recurrent cells that attends to the source.

    The bridge, a linear layer, maps the encoder's summary to the first state of every layer. The
    gates of the bottom layer, before the sigmoid and without the part of the state, are

        gates_t = W e(y_{t-1}) + W_f f_t

    e(y_{t-1}) is the embedding of the previous piece, and f_t the fed vector. In
    `AttendFirstDecoder`, it is the context c_t. In `UpdateFirstDecoder` with input feeding, it is
    the previous attentional state. The first term (``embedding_gates``) does not depend on earlier
    steps, so training computes it for all steps at once. The second term (``fed_gates``) is
    computed step by step.

    In the loop over a whole target, `RepeatedLinear` layers compute the gradient of each weight
    once for all steps (`nmt.kernels.recurrent.loop_over_time`).
    """

    def __init__(
        self,
        config: RnnDecoderConfig,
        vocab_size: int,
        memory_size: int,
        built: BuiltAttention,
        fed_size: int,
    ) -> None:
        """Build the stack for a vocabulary and an encoder of ``memory_size``.

        Args:
            config: Settings of the decoder.
            vocab_size: Pieces of the vocabulary.
            memory_size: Size of the encoder's summary.
            built: The attention, its coverage and the size D of its contexts.
            fed_size: F; 0 if the embedding is the only input.
        """
        super().__init__()
        self.output_size = config.hidden_size
        self.attends = built.attention is not None
        self.embedding = nn.Embedding(vocab_size, config.embedding_size)
        self.attention: Attention | FixedContext = built.attention or FixedContext()
        if built.attention is not None:
            built.attention.dropout.probability = config.attention_dropout
        self.coverage = built.coverage
        self.reads_source_ids = config.copy == CopyKind.POINTER
        self.pointer = None
        if self.reads_source_ids:
            sizes = built.context_size, config.hidden_size, config.embedding_size
            self.pointer = Pointer(*sizes)
        self.word_dropout = WordDropout(config.word_dropout)
        self.dropout = Dropout(config.dropout)
        self.cells = Modules[RecurrentCell](
            CELLS[config.cell](config.hidden_size) for _ in range(config.num_layers)
        )
        first = self.cells[0]
        gates, size = first.gates_size, first.hidden_size
        self.embedding_gates = Linear(config.embedding_size, gates)
        self.fed_gates = RepeatedLinear(fed_size, gates, bias=False) if fed_size else None
        self.layer_gates = Modules[RepeatedLinear](
            RepeatedLinear(size, gates) for _ in self.cells[1:]
        )
        self.bridge_kind = config.bridge
        states_size = first.state_size * config.num_layers
        self.bridge = None if config.bridge == Bridge.ZERO else Linear(memory_size, states_size)

    def start(self, encoder_output: EncoderOutput) -> RnnState:
        """Return the state before the first piece."""
        coverage = None
        if self.coverage is not None:
            coverage = self.coverage.start(encoder_output.states, encoder_output.mask)
        layer_states = self._first_states(encoder_output)
        position = encoder_output.mask.new_zeros(1, dtype=torch.long)
        memory, source_ids = self._memory(encoder_output), encoder_output.source_ids
        return RnnState(layer_states, None, memory, coverage, position, source_ids)

    def step(
        self, previous_ids: Tensor, state: DecoderState, *, need_weights: bool
    ) -> tuple[DecoderOutput, RnnState]:
        """Advance by one piece; see `Decoder.step`."""
        assert isinstance(state, RnnState)
        embedded = self.dropout(self.embedding(previous_ids))
        steps, state = self._run_step_by_step(embedded[:, None], state)
        weights = None
        if need_weights and steps.weights is not None:
            weights = steps.weights.permute(0, 3, 1, 2, 4).flatten(0, 1)  # [A, L, H, N, S] before
        now = steps.predictions_at(lambda tensor: tensor.flatten(0, 1))
        return replace(now, weights=weights), state

    def forward(
        self, target_input_ids: Tensor, encoder_output: EncoderOutput, *, need_weights: bool
    ) -> DecoderOutput:
        """Run over known targets [B, T]; see `Decoder.forward`."""
        embedded = self.word_dropout(self.embedding(target_input_ids), target_input_ids)
        embedded = self.dropout(embedded)
        output = self._run_whole_target(embedded, self.start(encoder_output))
        return output if need_weights else replace(output, weights=None)

    def _run_whole_target(self, embedded: Tensor, state: RnnState) -> DecoderOutput:
        """Run over embeddings [B, T, E] of whole targets; subclasses may avoid the loop."""
        with loop_over_time():
            return self._run_step_by_step(embedded, state)[0]

    @abstractmethod
    def _run_step_by_step(
        self, embedded: Tensor, state: RnnState
    ) -> tuple[DecoderOutput, RnnState]:
        """Run over embeddings [A · N, T, E] in a loop over T; return the output and the new state.

        T or N is 1. So the axis T · N of hidden [A, T · N, O] and of weights [A, L, H, T · N, S]
        is an axis of steps or of beams.
        """

    def _copying(
        self,
        state: RnnState,
        weights: Tensor | None,
        contexts: Tensor,
        states: Tensor,
        embedded: Tensor,
    ) -> Copying | None:
        """Return the distribution of copied pieces; None: the decoder does not copy.

        Args:
            state: The state before the steps.
            weights: [A, L, H, T · N, S], of all steps. Copying uses the mean over the heads.
            contexts: [A, T · N, D].
            states: [A, T · N, U], of the top layer.
            embedded: [A · N, T, E].
        """
        if self.pointer is None:
            return None
        assert weights is not None
        assert state.source_ids is not None
        embedded = embedded.reshape(*states.shape[:2], -1)  # T or N is 1
        attended = weights[:, 0].mean(1)
        source_ids = state.source_ids[:, None].expand_as(attended)
        return Copying(self.pointer(contexts, states, embedded), attended, source_ids)

    def _memory(self, encoder_output: EncoderOutput) -> AttentionMemory:
        if isinstance(self.attention, FixedContext):
            return self.attention.build_memory(encoder_output)
        regions = encoder_output.regions
        if isinstance(self.attention, DoublyAttention):
            assert regions is not None
            of_text = encoder_output.states, encoder_output.mask
            return self.attention.build_double_memory(of_text, (regions.values, regions.mask))
        memory = self.attention.build_memory(encoder_output.states, encoder_output.mask)
        return replace(memory, mask=AttentionMask.of(memory.mask))  # all steps share its bias

    def _attend(
        self,
        query: Tensor,
        memory: AttentionMemory,
        positions: Tensor,
        coverage: CoverageState | None,
    ) -> tuple[AttentionOutput, CoverageState | None]:
        """Attend from the query [A, N, U] of a step; return the output and the new coverage.

        Without coverage, ``query`` may have T steps, [B, T, U], at ``positions`` [T].
        """
        if self.coverage is None or coverage is None:
            return self.attention(query, memory, positions), None
        term = self.coverage(coverage)
        attended: AttentionOutput = self.attention(query, memory, positions, term)
        assert attended.weights is not None
        weights = memory.text_weights(attended.weights)
        return attended, self.coverage.advance(coverage, weights)

    def _first_states(self, encoder_output: EncoderOutput) -> tuple[Tensor, ...]:
        """Map the summary [B, D] to the first state of each layer, [B, state_size]."""
        width = self.cells[0].state_size
        if self.bridge is None:
            zeros = encoder_output.summary.new_zeros(len(encoder_output.summary), width)
            return (zeros,) * len(self.cells)
        first: Tensor = self.bridge(encoder_output.summary)
        first = first.tanh() if self.bridge_kind == Bridge.TANH else first
        return tuple(first.split(width, dim=1))

    def _update(
        self, gates: Tensor, fed: Tensor | None, layer_states: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """Return the next states of all layers.

        Args:
            gates: [B, G · U], the term of the embedding in the gates of the bottom layer.
            fed: [B, F], the fed vector, whose term is added; None: no fed vector.
            layer_states: The previous states, one [B, state_size] per layer.
        """
        if self.fed_gates is not None and fed is not None:
            gates = gates + self.fed_gates(fed)
        updated = [self.cells[0](gates, layer_states[0])]
        upper = zip(self.cells[1:], self.layer_gates, layer_states[1:], strict=True)
        for cell, linear, state in upper:
            below = self.dropout(cell.hidden(updated[-1]))
            updated.append(cell(linear(below), state))
        return tuple(updated)

    def _query(self, layer_states: Sequence[Tensor], memory: AttentionMemory) -> Tensor:
        """Return h of the top layer, [A, N, U], the query of attention."""
        top: Tensor = self.cells[-1].hidden(layer_states[-1])
        return top.unflatten(0, (len(memory.values), -1))


def step_positions(state: RnnState, length: int) -> Tensor:
    """Return the target positions [T] of the next ``length`` = T steps."""
    if length == 1:
        return state.position
    return state.position + torch.arange(length, device=state.position.device)


def stack_steps(weights: list[Tensor | None]) -> Tensor | None:
    """Join the weights of all steps to [B, L, H, T, S], with L = 1 layer that attends.

    An element is [B, T', S], or [B, H, T', S] of multi-head attention, usually with T' = 1. The
    result is None if no element has weights.
    """
    kept = [step for step in weights if step is not None]
    if not kept:
        return None
    joined = torch.cat(kept, dim=-2)
    return joined[:, None] if joined.dim() == 4 else joined[:, None, None]
