"""Ancestral sampling: translations drawn from the model, for back-translation and inspection.

Legend: B sentences, R rows still being written, V vocabulary, L layers with attention, H heads,
T target length, S source length. Each sample of a sentence is a row of its own; the samples of a
sentence are adjacent rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nmt.config.schema import DecodingConfig
from nmt.decoding.search import Hypothesis, length_penalty
from nmt.errors import UserError
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import BOS, EOS, PAD


@dataclass(frozen=True)
class Sampling:
    """How translations are sampled (Edunov et al. 2018, section 3).

    Attributes:
        temperature: Divisor of the logits; 1 is the model's own distribution.
        top_k: Sample each piece from the K most probable ones (Fan et al. 2018, section 5.2); None
            samples from all.
        seed: Random seed. A sample depends on it and on the sentence's position in the text, but
            not on the batch.
        count: Samples per sentence.
        first: Position in the text of the first sentence that is given, from 0.
    """

    temperature: float = 1.0
    top_k: int | None = None
    seed: int = 1
    count: int = 1
    first: int = 0

    def checked(self) -> "Sampling":
        """Return the object itself after checking its values.

        Raises:
            UserError: A value is out of range.
        """
        if not 0 < self.temperature < float("inf"):
            raise UserError(f"the temperature is {self.temperature}; it must be a number above 0")
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"top-k is {self.top_k}; it must be at least 1")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"the seed is {self.seed}; it must be at least 0 and below 2^63")
        return self


@torch.inference_mode()
def sample(
    model: TranslationModel,
    source_ids: Tensor,
    source_mask: Tensor,
    positions: Sequence[int],
    options: DecodingConfig,
    sampling: Sampling,
    *,
    need_weights: bool = False,
) -> list[list[Hypothesis]]:
    """Sample translations of a batch of sentences. EOS is forced at the maximum length.

    Args:
        model: A model in evaluation mode, on the device of the ids.
        source_ids: [B, S] piece ids, EOS included.
        source_mask: [B, S] bool, True at real pieces.
        positions: The position of each sentence, from 0; `Sampling.first` is added to it.
        options: The maximum length, and the length penalty of the scores.
        sampling: Temperature, top-k, seed and number of samples.
        need_weights: Whether to return attention weights.

    Returns:
        The samples of each sentence in the order in which they were drawn. Their ``log_prob`` is
        that of the model's own distribution, whatever the temperature and top-k.
    """
    source_lengths = source_mask.sum(1)
    max_lengths = (source_lengths * options.max_length_ratio).long() + options.max_length_extra
    samples = _Samples(
        source_lengths,
        max_lengths,
        [sampling.first + position for position in positions],
        options,
        sampling,
        need_weights=need_weights,
    )
    state = model.start(model.encode(source_ids, source_mask)).select(samples.initial_rows())
    while samples.active:
        logits, weights, state = model.step(samples.last_tokens(), state, need_weights=need_weights)
        continuing = samples.append(logits, weights)
        if continuing is not None:
            state = state.select(continuing)
    return samples.results()


def draw(logits: Tensor, numbers: Tensor, temperature: float, top_k: int | None) -> Tensor:
    """Draw a piece per row by inverting the cumulative distribution of the logits.

    PAD and BOS are never drawn.

    Args:
        logits: [R, V]. In float64 where the device has it, rounding that depends on the batch
            almost never changes a draw.
        numbers: [R], uniform in [0, 1).
        temperature: Divisor of the logits, above 0.
        top_k: Draw from the K most probable pieces, K at least 1; None draws from all.

    Returns:
        Piece ids [R].
    """
    logits = logits / temperature
    logits[:, [PAD, BOS]] = float("-inf")
    if top_k is not None and top_k < logits.size(1):
        smallest = logits.topk(top_k, dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < smallest, float("-inf"))
    cumulative = logits.softmax(dim=1).cumsum(dim=1)
    drawn = torch.searchsorted(cumulative, numbers[:, None] * cumulative[:, -1:], right=True)
    return drawn[:, 0].clamp_max(logits.size(1) - 1)


class _Samples:
    """The samples of a batch: B · count rows, of which R are unfinished."""

    def __init__(
        self,
        source_lengths: Tensor,
        max_lengths: Tensor,
        positions: Sequence[int],
        options: DecodingConfig,
        sampling: Sampling,
        *,
        need_weights: bool,
    ) -> None:
        self._options, self._sampling = options, sampling
        count, rows = sampling.count, len(source_lengths) * sampling.count
        self._source_lengths = source_lengths.repeat_interleave(count)
        self._max_lengths = max_lengths.repeat_interleave(count)
        device = source_lengths.device
        self._tokens = torch.full((rows, int(max_lengths.max()) + 1), BOS, device=device)
        self._dtype = torch.float32 if device.type == "mps" else torch.float64  # MPS has no float64
        self._numbers = self._uniform_numbers(positions)
        self._log_probs = torch.zeros(rows, dtype=self._dtype, device=device)
        self._active = torch.arange(rows, device=device)  # [R]
        self._length = 0
        self._weights: list[list[Tensor]] | None = (
            [[] for _ in range(rows)] if need_weights else None
        )

    @property
    def active(self) -> bool:
        """Whether any row is unfinished."""
        return len(self._active) > 0

    def initial_rows(self) -> Tensor:
        """Return the rows [B · count] that repeat each sentence once per sample."""
        sentences = torch.arange(len(self._tokens) // self._sampling.count)
        return sentences.repeat_interleave(self._sampling.count).to(self._tokens.device)

    def last_tokens(self) -> Tensor:
        """Return the last piece of each unfinished row, [R]."""
        return self._tokens[self._active, self._length]

    def append(self, logits: Tensor, weights: Tensor | None) -> Tensor | None:
        """Draw the next piece of every unfinished row.

        Args:
            logits: [R, V].
            weights: [R, L, H, S] attention weights of this step, or None.

        Returns:
            The positions, among the R rows, of those that continue; None if all do.
        """
        logits = logits.to(self._dtype)
        numbers = self._numbers[self._active, self._length]
        drawn = draw(logits, numbers, self._sampling.temperature, self._sampling.top_k)
        self._length += 1
        drawn = drawn.masked_fill(self._max_lengths[self._active] <= self._length, EOS)
        log_probs = logits.log_softmax(dim=1).gather(1, drawn[:, None])[:, 0]
        self._tokens[self._active, self._length] = drawn
        self._log_probs[self._active] += log_probs
        if self._weights is not None and weights is not None:
            for row, step in zip(self._active.tolist(), weights, strict=True):
                self._weights[row].append(step)
        continuing = (drawn != EOS).nonzero()[:, 0]
        if len(continuing) == len(self._active):
            return None
        self._active = self._active[continuing]
        return continuing

    def results(self) -> list[list[Hypothesis]]:
        """Return the samples of each sentence."""
        samples = [self._hypothesis(row) for row in range(len(self._tokens))]
        count = self._sampling.count
        return [samples[start : start + count] for start in range(0, len(samples), count)]

    def _uniform_numbers(self, positions: Sequence[int]) -> Tensor:
        """Return one number in [0, 1) per row and step, [B · count, maximum length + 1].

        Each row has a random generator of its own, seeded by the seed, the sentence's position and
        the sample's number, so that a sample does not depend on the batch.
        """
        count, (rows, width) = self._sampling.count, self._tokens.shape
        numbers = np.zeros((rows, width))
        for row in range(rows):
            entropy = (self._sampling.seed, positions[row // count], row % count)
            generator = np.random.default_rng(np.random.SeedSequence(entropy))
            numbers[row] = generator.random(width)
        return torch.from_numpy(numbers).to(self._dtype).to(self._tokens.device)

    def _hypothesis(self, row: int) -> Hypothesis:
        ids = self._tokens[row, 1:].tolist()
        ids = ids[: ids.index(EOS)]
        log_prob = float(self._log_probs[row])
        penalty = length_penalty(len(ids) + 1, self._options.length_penalty)
        weights = None
        if self._weights is not None and self._weights[row]:
            source_length = int(self._source_lengths[row])
            weights = torch.stack(self._weights[row], dim=2)[..., :source_length]
        return Hypothesis(ids, log_prob, log_prob / penalty, weights)
