"""The loop of beam search and sampling: it runs steps until every sentence is done.

On a CPU, a step uses only the pieces so far, and finished sentences are removed after each step. On
a GPU, shapes stay the same for many steps, the host rarely reads which sentences are finished, and
a CUDA graph can capture the step.

Legend: A sentences in the search, N beams, B sentences of the batch, V vocabulary, S source length,
U pieces that at least one sentence may write.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from nmt.config.schema import DecodingConfig
from nmt.data.batches.regions import Regions
from nmt.decoding.constrained.allowed_pieces import AllowedPieces
from nmt.decoding.history import History, Path, WeightsHistory
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.repeated_step import Graphs, RepeatedStep
from nmt.kernels import dispatch
from nmt.model.beams import rows_that_stay
from nmt.model.interfaces import DecoderState, EncoderOutput
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import EOS, PAD

STEPS_PER_READ = 4
"""On a GPU, the host reads which sentences are done after this number of steps."""

FIRST_ROOM = 32
"""On a GPU, the number of target pieces in the first buffers. Full buffers are doubled."""

SOURCE_MULTIPLE, SENTENCE_MULTIPLE = 8, 8
"""On a GPU, the source length and the number of sentences of a batch are padded to multiples of
these numbers. So there are few shapes, and masks have the alignment that memory-efficient attention
needs."""

KEPT_SHARE, FEWEST_SENTENCES = 4, 32
"""On a GPU, the batch shrinks to a fourth if three fourths are finished, but not below the second
number of sentences. Smaller steps are hardly faster, and a new shape needs a new graph."""


@dataclass(frozen=True)
class Source:
    """A batch of sentences to translate.

    Attributes:
        ids: [B, S] piece ids, EOS included.
        mask: [B, S] bool, True for real pieces.
        lengths: Number of real pieces of each sentence, without padding sentences.
        sizes: Number of source positions of each sentence, to which the limits of the length refer:
            its real pieces, or its regions if the model reads no text.
        limits: [B], the greatest number of target pieces, EOS included, on the CPU.
        steps: The greatest number of steps.
        fixed: Whether the steps have fixed shapes. Then padding sentences, which consist of EOS,
            may follow the sentences of ``lengths``.
        regions: Features of the sentences; None: no features.
        previous_targets: See `nmt.model.interfaces.EncoderOutput`.
    """

    ids: Tensor
    mask: Tensor
    lengths: list[int]
    sizes: list[int]
    limits: Tensor
    steps: int
    fixed: bool
    regions: Regions | None = None
    previous_targets: Tensor | None = None

    @classmethod
    def of(
        cls,
        model: TranslationModel,
        ids: Tensor,
        mask: Tensor,
        options: DecodingConfig,
        regions: Regions | None,
        *,
        plain: bool,
    ) -> "Source":
        """Count the pieces, for which the host waits once; pad the batch for fixed shapes."""
        lengths = sizes = mask.sum(1).tolist()
        if regions is not None and not model.reads_text:
            sizes = regions.mask.sum(1).tolist()
        limits = (torch.tensor(sizes) * options.max_length_ratio).long() + options.max_length_extra
        fixed = dispatch.repeats_shapes(ids) and not plain
        if fixed:
            rows, columns = -len(ids) % SENTENCE_MULTIPLE, -ids.size(1) % SOURCE_MULTIPLE
            ids = functional.pad(ids, (0, columns, 0, rows), value=PAD)
            mask = functional.pad(mask, (0, columns, 0, rows), value=False)
            ids[len(lengths) :, 0] = EOS
            mask[len(lengths) :, 0] = True
            regions = None if regions is None else regions.with_rows(rows)
        return cls(ids, mask, lengths, sizes, limits, int(limits.max()), fixed, regions)

    @property
    def padding(self) -> int:
        """The number of padding sentences."""
        return len(self.ids) - len(self.lengths)

    def encode(self, model: TranslationModel) -> EncoderOutput:
        """Encode the sentences; the encoder gets their lengths on the CPU."""
        lengths = torch.tensor(self.lengths + [1] * self.padding)
        return model.encode(self.ids, self.mask, lengths, self.regions, self.previous_targets)

    def padded_sizes(self) -> Tensor:
        """Return the sizes on the device, 0 for padding sentences."""
        sizes = torch.tensor(self.sizes + [0] * self.padding)
        return sizes.to(self.ids.device)

    def padded_limits(self) -> Tensor:
        """Return the limits on the device, 0 for padding sentences."""
        return functional.pad(self.limits, (0, self.padding)).to(self.ids.device)


@dataclass(frozen=True)
class Live(ABC):
    """The hypotheses of the sentences that are in the search.

    Attributes:
        decoder: The state of the decoder.
        pieces: [A, N], the last piece of each hypothesis.
        log_probs: [A, N], the log-probability of each hypothesis.
        done: [A] bool; a sentence that is done records no further hypotheses.
        limits: [A], the greatest number of pieces, EOS included.
        sentences: [A], the index of each sentence in the batch.
        step: [1], the number of steps so far.
        history: The choices of all steps.
        allowed: The pieces that each sentence may write; None: all pieces of the vocabulary.
    """

    decoder: DecoderState
    pieces: Tensor
    log_probs: Tensor
    done: Tensor
    limits: Tensor
    sentences: Tensor
    step: Tensor
    history: History
    allowed: AllowedPieces | None

    @abstractmethod
    def choose(self, logits: Tensor) -> Self:
        """Extend the hypotheses, given the logits of a step, and record the choices.

        The logits are [A · N, V], or [A · N, U] of the union of the allowed pieces. All operations
        run on the device. Their shapes depend only on the shapes of the arguments.
        """

    def select(self, kept: Tensor, decoder: DecoderState) -> Self:
        """Return only the sentences with these indices [R]; ``decoder`` is their decoder state."""
        return replace(
            self,
            decoder=decoder,
            pieces=self.pieces[kept],
            log_probs=self.log_probs[kept],
            done=self.done[kept],
            limits=self.limits[kept],
            sentences=self.sentences[kept],
            allowed=None if self.allowed is None else self.allowed.select(kept),
        )

    @property
    def at_limit(self) -> Tensor:
        """Whether sentences write their last piece in this step, [A] bool."""
        return self.limits <= self.step + 1


@dataclass
class Loop:
    """Runs the steps of one batch.

    Attributes:
        model: The model, in evaluation mode.
        source: The batch.
        weights: Collects the attention weights; None: not requested.
        graphs: Captures the steps of fixed shapes; None: no capture.
        allowed: The pieces that each sentence may write; None: all pieces of the vocabulary.
        shown: [B, S], the source pieces that the decoder can attend to; set by `start`.
    """

    model: TranslationModel
    source: Source
    weights: WeightsHistory | None = None
    graphs: Graphs | None = None
    allowed: AllowedPieces | None = None
    shown: Tensor | None = None
    _part: Any = None  # of the output layer, for the allowed pieces

    def __post_init__(self) -> None:
        if self.allowed is not None:
            self._part = self.model.output_part(self.allowed.union)
            self.allowed = self.allowed.padded(self.source.padding)

    def start(self) -> DecoderState:
        """Encode the sentences and return the state of the decoder before the first piece."""
        encoded = self.source.encode(self.model)
        if self.weights is not None:
            self.shown = encoded.mask[:, : self.source.ids.size(1)].cpu()
        return self.model.start(encoded)

    def run(self, live: Live) -> list[list[Path]]:
        """Run steps until all sentences are done; return the paths of each row without padding."""
        steps = self._run_fixed(live) if self.source.fixed else self._run_exact(live)
        rows = len(live.sentences) // len(self.source.ids)  # per sentence of the batch
        return live.history.read(steps)[: rows * len(self.source.lengths)]

    def hypotheses(
        self, paths: Sequence[Sequence[Path]], options: DecodingConfig, count: int = 1
    ) -> list[list[Hypothesis]]:
        """Return the hypotheses of paths, with their scores and attention weights.

        Args:
            paths: The result of `run`.
            options: The penalties of the scores.
            count: Number of adjacent rows per sentence of the batch.
        """
        limits = self.source.limits.tolist()  # one read for all hypotheses
        return [
            [self._hypothesis(row, path, options, count, limits[row // count]) for path in found]
            for row, found in enumerate(paths)
        ]

    def _hypothesis(
        self, row: int, path: Path, options: DecodingConfig, count: int, limit: int
    ) -> Hypothesis:
        sentence, source = row // count, self.source
        if self.weights is None:
            return path.hypothesis(options, None, limit)
        pieces = slice(source.lengths[sentence] if self.model.reads_text else 0)
        weights, of_regions = self.weights.of(row, path, pieces), None
        if source.regions is not None:
            first = source.ids.size(1) if self.model.reads_text else 0
            regions = slice(first, first + int(source.regions.mask[sentence].sum()))
            of_regions = self.weights.of(row, path, regions)
        covering = None if weights is None else self._covering(sentence, weights, of_regions)
        found = path.hypothesis(options, covering, limit)
        return replace(found, weights=weights, region_weights=of_regions)

    def _covering(self, sentence: int, weights: Tensor, of_regions: Tensor | None) -> Tensor | None:
        """Return the weights of `nmt.decoding.hypothesis.coverage_penalty`."""
        if not self.model.reads_text:
            return of_regions
        assert self.shown is not None
        without_eos = weights[..., :-1]
        return without_eos[..., self.shown[sentence, : without_eos.size(-1)]]

    def _step(self, live: Live) -> Live:
        logits, _, decoder = self._model_step(live, need_weights=False)
        return replace(live, decoder=decoder).choose(logits)

    def _model_step(
        self, live: Live, *, need_weights: bool
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        pieces = live.pieces.flatten()
        return self.model.step(pieces, live.decoder, need_weights=need_weights, part=self._part)

    def _run_exact(self, live: Live) -> int:
        """Run steps only on sentences that are not done; return the number of steps."""
        sentences = live.sentences.tolist()
        need_weights = self.weights is not None
        for number in range(1, self.source.steps + 1):
            logits, weights, decoder = self._model_step(live, need_weights=need_weights)
            if self.weights is not None:
                self.weights.add(weights, sentences)
            live = replace(live, decoder=decoder).choose(logits)
            kept = rows_that_stay([not is_done for is_done in live.done.tolist()])
            if not kept:
                return number
            if len(kept) < len(sentences):
                sentences = [sentences[index] for index in kept]
                rows = torch.tensor(kept, device=live.done.device)
                live = live.select(rows, live.decoder.keep(rows))
        return self.source.steps

    def _run_fixed(self, live: Live) -> int:
        """Run steps of fixed shapes; return their number.

        The first step has one row per sentence. The others have N.
        """
        live, number, room = self._step(live), 1, 0
        repeated: RepeatedStep[Live] | None = None
        while number < self.source.steps:
            if number >= room:
                room = max(FIRST_ROOM, 2 * room)
                decoder = live.decoder.reserve(room)
                if decoder is not live.decoder:
                    live, repeated = replace(live, decoder=decoder), None
            if repeated is None:
                repeated = RepeatedStep(self._step, live, self.graphs)
            count = min(STEPS_PER_READ, self.source.steps - number, room - number)
            for _ in range(count):
                repeated()
            live, number = repeated.state, number + count
            done = live.done.tolist()
            if all(done):
                break
            kept = _kept_in_blocks(done)
            if len(kept) < len(done):
                rows = torch.tensor(kept, device=live.done.device)
                live, repeated = live.select(rows, live.decoder.select(rows)), None
        return number


def _kept_in_blocks(done: Sequence[bool]) -> list[int]:
    """Return the indices to keep: all, or a fourth (repeatedly) if it has all unfinished ones."""
    size, active = len(done), len(done) - sum(done)
    while active * KEPT_SHARE <= size and size // KEPT_SHARE >= FEWEST_SENTENCES:
        size = -(-size // KEPT_SHARE)
    if size == len(done):
        return list(range(size))
    return sorted(sorted(range(len(done)), key=done.__getitem__)[:size])
