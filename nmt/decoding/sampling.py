"""Ancestral sampling: translations drawn from the model, for back-translation and for a look.

Legend: B sentences, R rows still being written, V vocabulary, L layers with attention, H heads,
T target, S source. Every draw of a sentence is a row of its own, a sentence's side by side.
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
    """How translations are drawn (Edunov et al. 2018, section 3).

    Attributes:
        temperature: Logits are divided by it; 1 is the model's own distribution.
        top_k: Each piece is one of so many likeliest (Fan et al. 2018, section 5.2); None: of all.
        seed: With a sentence's place in the text it makes the draw, whatever the batch.
        count: Translations of each sentence.
        first: Place in the text of the first sentence given.
    """

    temperature: float = 1.0
    top_k: int | None = None
    seed: int = 1
    count: int = 1
    first: int = 0

    def checked(self) -> "Sampling":
        """Return itself.

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
    places: Sequence[int],
    options: DecodingConfig,
    sampling: Sampling,
    *,
    need_weights: bool = False,
) -> list[list[Hypothesis]]:
    """Draw translations of a batch of sources [B, S]; at the greatest length EOS is forced.

    Args:
        model: Whose distribution.
        source_ids: [B, S].
        source_mask: [B, S] bool.
        places: Of each sentence, from 0; see `Sampling.first`.
        options: Limits of the length, and the length penalty of the scores.
        sampling: How.
        need_weights: Whether attention is kept.

    Returns:
        The draws of each sentence, in the order in which they were drawn; ``log_prob`` is the
        model's own, whatever the temperature.
    """
    lengths = source_mask.sum(1)
    limits = (lengths * options.max_length_ratio).long() + options.max_length_extra
    draws = _Draws(lengths, limits, options, sampling, need_weights=need_weights)
    draws.draw_numbers([sampling.first + place for place in places])
    state = model.start(model.encode(source_ids, source_mask)).select(draws.first_rows())
    while draws.alive:
        logits, weights, state = model.step(draws.previous_ids(), state, need_weights=need_weights)
        going_on = draws.advance(logits, weights)
        if going_on is not None:
            state = state.select(going_on)
    return draws.results()


class _Draws:
    """The rows under way, and all that has been written."""

    def __init__(
        self,
        lengths: Tensor,
        limits: Tensor,
        options: DecodingConfig,
        sampling: Sampling,
        *,
        need_weights: bool,
    ) -> None:
        self._options, self._sampling = options, sampling
        count, rows, longest = sampling.count, len(lengths) * sampling.count, int(limits.max())
        self._source_lengths = lengths.repeat_interleave(count)
        self._limits = limits.repeat_interleave(count)
        device = lengths.device
        self._tokens = torch.full((rows, longest + 1), BOS, device=device)  # all rows
        self._wide = torch.float32 if device.type == "mps" else torch.float64
        self._log_probs = torch.zeros(rows, dtype=self._wide, device=device)
        self._live = torch.arange(rows, device=device)  # [R]
        self._position = 0
        self._weights: list[list[Tensor]] | None = (
            [[] for _ in range(rows)] if need_weights else None
        )

    @property
    def alive(self) -> bool:
        """Whether any row goes on."""
        return len(self._live) > 0

    def draw_numbers(self, places: Sequence[int]) -> None:
        """Draw the number that decides each piece, from generators of the sentences' own."""
        count, (rows, width) = self._sampling.count, self._tokens.shape
        numbers = np.zeros((rows, width))
        for row in range(rows):
            entropy = (self._sampling.seed, places[row // count], row % count)
            generator = np.random.default_rng(np.random.SeedSequence(entropy))
            numbers[row] = generator.random(width)
        self._numbers = torch.from_numpy(numbers).to(self._wide).to(self._tokens.device)

    def first_rows(self) -> Tensor:
        """Return the rows that expand a batch of sentences to their draws."""
        sentences = torch.arange(len(self._tokens) // self._sampling.count)
        return sentences.repeat_interleave(self._sampling.count).to(self._tokens.device)

    def previous_ids(self) -> Tensor:
        """Return the last piece of each row under way, [R]."""
        return self._tokens[self._live, self._position]

    def advance(self, logits: Tensor, weights: Tensor | None) -> Tensor | None:
        """Draw the next piece of every row from logits [R, V].

        Returns:
            Which of the rows go on; None: all.
        """
        logits = logits.to(self._wide)
        numbers = self._numbers[self._live, self._position]
        drawn = draw(logits, numbers, self._sampling.temperature, self._sampling.top_k)
        self._position += 1
        drawn = drawn.masked_fill(self._limits[self._live] <= self._position, EOS)
        log_probs = logits.log_softmax(dim=1).gather(1, drawn[:, None])[:, 0]
        self._tokens[self._live, self._position] = drawn
        self._log_probs[self._live] += log_probs
        if self._weights is not None and weights is not None:
            for row, step in zip(self._live.tolist(), weights, strict=True):
                self._weights[row].append(step)
        going_on = (drawn != EOS).nonzero()[:, 0]
        if len(going_on) == len(self._live):
            return None
        self._live = self._live[going_on]
        return going_on

    def results(self) -> list[list[Hypothesis]]:
        """Return the draws of each sentence."""
        found = [self._hypothesis(row) for row in range(len(self._tokens))]
        count = self._sampling.count
        return [found[start : start + count] for start in range(0, len(found), count)]

    def _hypothesis(self, row: int) -> Hypothesis:
        ids = self._tokens[row, 1:].tolist()
        ids = ids[: ids.index(EOS)]
        log_prob = float(self._log_probs[row])
        penalty = length_penalty(len(ids) + 1, self._options.length_penalty)
        weights = None
        if self._weights is not None and self._weights[row]:
            length = int(self._source_lengths[row])
            weights = torch.stack(self._weights[row], dim=2)[..., :length]
        return Hypothesis(ids, log_prob, log_prob / penalty, weights)


def draw(logits: Tensor, numbers: Tensor, temperature: float, top_k: int | None) -> Tensor:
    """Return the pieces [R] whose shares of softmax(logits / temperature) the numbers fall into.

    PAD and BOS are never drawn; with ``top_k`` nothing is but so many likeliest pieces.

    Args:
        logits: [R, V], in float64 where there is one, so that the batch hardly moves the edges.
        numbers: [R], uniform in [0, 1).
        temperature: Above 0.
        top_k: At least 1; None: all.
    """
    logits = logits / temperature
    logits[:, [PAD, BOS]] = float("-inf")
    if top_k is not None and top_k < logits.size(1):
        least = logits.topk(top_k, dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < least, float("-inf"))
    edges = logits.softmax(dim=1).cumsum(dim=1)
    drawn = torch.searchsorted(edges, numbers[:, None] * edges[:, -1:], right=True)
    return drawn[:, 0].clamp_max(logits.size(1) - 1)
