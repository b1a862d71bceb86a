"""Ancestral sampling: translations drawn from the model, for back-translation and inspection.

Legend: B sentences, R rows in the search, V vocabulary, T greatest target length. Each sample is
one row with one hypothesis. The samples of a sentence are adjacent rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nmt.config.schema import DecodingConfig
from nmt.data.batches.regions import Regions
from nmt.decoding.constrained.allowed_pieces import AllowedPieces
from nmt.decoding.constrained.constraints import BatchConstraints
from nmt.decoding.history import Choices, History, WeightsHistory
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.repeated_step import Graphs
from nmt.decoding.score_adjusters import NEVER, Adjusters, adjusted, adjusters_of
from nmt.decoding.search_loop import Live, Loop, Source
from nmt.errors import UserError
from nmt.model.interfaces import DecoderState
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import BOS, EOS, PAD


@dataclass(frozen=True)
class Sampling:
    """Settings of sampling (Edunov et al. 2018, section 3).

    Attributes:
        temperature: Divisor of the logits; 1 does not change the distribution.
        top_k: Sample each piece from the K most probable pieces (Fan et al. 2018, section 5.2);
            None: from all pieces.
        top_p: Sample each piece from the nucleus, the smallest set of the most probable pieces
            whose probabilities add up to at least P (Holtzman et al. 2020, section 3.1); 1: from
            all pieces.
        seed: Random seed. A sample depends on the seed and on the position of the sentence in the
            text, but not on the batch.
        count: Samples per sentence.
        first: Position in the text of the first given sentence, from 0.
        first_sample: Number of the first sample of each sentence, from 0. Other numbers give other
            samples.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int = 1
    count: int = 1
    first: int = 0
    first_sample: int = 0

    def checked(self) -> "Sampling":
        """Check the values, and return the object.

        Raises:
            UserError: A value is out of range.
        """
        if not 0 < self.temperature < float("inf"):
            raise UserError(f"the temperature is {self.temperature}; it must be a number above 0")
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"top-k is {self.top_k}; it must be at least 1")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top-p is {self.top_p}; it must be above 0 and at most 1")
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
    constraints: BatchConstraints | None = None,
    allowed: AllowedPieces | None = None,
    need_weights: bool = False,
    graphs: Graphs | None = None,
    regions: Regions | None = None,
) -> list[list[Hypothesis]]:
    """Sample translations of a batch of sentences. EOS is forced at the maximum length.

    Args:
        model: A model in evaluation mode, on the device of the ids.
        source_ids: [B, S] piece ids, EOS included.
        source_mask: [B, S] bool, True for real pieces.
        positions: The position of each sentence, from 0, to which `Sampling.first` is added.
        options: Limits of the length, repetitions, and penalties of the scores.
        sampling: Temperature, top-k, top-p, seed and number of samples.
        constraints: Constraints, without required phrases; None: no constraints.
        allowed: The pieces that each translation may contain, with those of its constraints; None:
            all. Log-probabilities are normalized over these pieces.
        need_weights: Whether to return attention weights.
        graphs: Captures the steps on a GPU; None: no capture.
        regions: Features of the sentences, for a model that reads them.

    Returns:
        The samples of each sentence in the order of the draws. Their ``log_prob`` is that of the
        model, without temperature, top-k, top-p and adjusters.
    """
    weighed = need_weights or options.coverage_penalty > 0
    source = Source.of(model, source_ids, source_mask, options, regions, plain=weighed)
    if constraints is not None:
        source = constraints.given_to(source)
    loop = Loop(model, source, WeightsHistory() if weighed else None, graphs, allowed)
    live = _first(loop, positions, sampling, options, constraints)
    samples = loop.hypotheses(loop.run(live), options, sampling.count)
    if not need_weights:
        samples = [
            [replace(one, weights=None, region_weights=None) for one in of_row]
            for of_row in samples
        ]
    return [
        [hypothesis for (hypothesis,) in samples[start : start + sampling.count]]
        for start in range(0, len(samples), sampling.count)
    ]


def draw(
    logits: Tensor, numbers: Tensor, temperature: float, top_k: int | None, top_p: float = 1.0
) -> Tensor:
    """Draw a piece per row by inverting the cumulative distribution of the logits.

    PAD and BOS are never drawn. The temperature is applied first, then top-k, then top-p. Top-p
    uses the probabilities that are normalized over the K pieces. A piece that is as probable as the
    last kept piece is kept, too.

    Args:
        logits: [R, V], in float64 if the device has it. Rounding depends on the batch, but in
            float64 it almost never changes a draw.
        numbers: [R], uniform in [0, 1).
        temperature: Divisor of the logits, above 0.
        top_k: Draw from the K most probable pieces, K at least 1; None: from all pieces.
        top_p: Draw from the smallest set of the most probable pieces with at least this probability
            in total; 1: from all pieces.

    Returns:
        Piece ids [R].
    """
    logits = logits / temperature
    for excluded in (PAD, BOS):
        logits[:, excluded] = float("-inf")
    if top_k is not None and top_k < logits.size(1):
        smallest = logits.topk(top_k, dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < smallest, float("-inf"))
    shares = logits.softmax(dim=1)
    if top_p < 1:
        shares = shares.masked_fill(shares < _smallest_in_nucleus(shares, top_p), 0)
    cumulative = shares.cumsum(dim=1)
    drawn = torch.searchsorted(cumulative, numbers[:, None] * cumulative[:, -1:], right=True)
    return drawn[:, 0].clamp_max(logits.size(1) - 1)


def _smallest_in_nucleus(shares: Tensor, top_p: float) -> Tensor:
    """Return the smallest probability [R, 1] in the nucleus of each row of ``shares`` [R, V].

    Holtzman et al. 2020, eq. 2: V^(p) is the smallest set with sum over V^(p) of P(x) >= p. A piece
    is in this set if the sum of the more probable pieces is less than p.
    """
    descending = shares.sort(dim=1, descending=True).values
    before = descending.cumsum(dim=1) - descending
    last = (before < top_p).sum(dim=1, keepdim=True) - 1
    return descending.gather(1, last)


def _first(
    loop: Loop,
    positions: Sequence[int],
    sampling: Sampling,
    options: DecodingConfig,
    constraints: BatchConstraints | None,
) -> "_Samples":
    """Return the rows before the first step, ``sampling.count`` for each sentence."""
    source = loop.source
    device = source.ids.device
    limits = source.padded_limits().repeat_interleave(sampling.count)
    positions = [sampling.first + position for position in positions] + [0] * source.padding
    dtype = torch.float32 if device.type == "mps" else torch.float64  # MPS has no float64
    numbers = _uniform_numbers(positions, source.steps, sampling).to(dtype).to(device)
    rows = torch.arange(len(limits), device=device)
    state = loop.start()
    if sampling.count > 1:
        state = state.select(rows // sampling.count)
    log_probs = numbers.new_zeros(len(limits), 1)
    lengths = source.padded_sizes().repeat_interleave(sampling.count)
    adjusters = adjusters_of(options, lengths, limits, source.steps)
    if constraints is not None:
        mine = constraints.padded(source.padding).adjusters
        adjusters += tuple(one.select(rows // sampling.count) for one in mine)
    return _Samples(
        decoder=state,
        pieces=torch.full((len(limits), 1), BOS, device=device),
        log_probs=log_probs,
        done=limits == 0,
        limits=limits,
        sentences=rows,
        step=torch.zeros(1, dtype=torch.long, device=device),
        history=History.empty(log_probs, source.steps, len(limits), 1),
        allowed=None if loop.allowed is None else loop.allowed.select(rows // sampling.count),
        numbers=numbers,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        adjusters=adjusters,
    )


def _uniform_numbers(positions: Sequence[int], steps: int, sampling: Sampling) -> Tensor:
    """Return random numbers in [0, 1), [B · count, T], in float64.

    Each row has a random generator. Its state depends only on the seed, the position of the
    sentence and the number of the sample. So a sample does not depend on the batch.
    """
    count = sampling.count
    numbers = np.zeros((len(positions) * count, steps))
    for row in range(len(numbers)):
        entropy = (sampling.seed, positions[row // count], sampling.first_sample + row % count)
        generator = np.random.default_rng(np.random.SeedSequence(entropy))
        numbers[row] = generator.random(steps)
    return torch.from_numpy(numbers)


@dataclass(frozen=True)
class _Samples(Live):
    """The samples that are not finished.

    Attributes:
        numbers: [B · count, T], uniform in [0, 1), for all rows of the batch.
        temperature, top_k, top_p: See `Sampling`.
        adjusters: They change the distribution before each draw.
    """

    numbers: Tensor
    temperature: float
    top_k: int | None
    top_p: float
    adjusters: Adjusters

    def choose(self, logits: Tensor) -> "_Samples":
        """Draw the next piece of every row; see `Live.choose`."""
        narrow = self.allowed is not None and not self.adjusters
        if self.allowed is not None:
            logits = self.allowed.narrow(logits) if narrow else self.allowed.widen(logits)
        logits = logits.to(self.numbers.dtype)
        numbers = self.numbers[self.sentences, self.step]
        of_model = logits.log_softmax(dim=1)
        if self.adjusters:
            allowed = of_model.clone()
            allowed[:, PAD] = allowed[:, BOS] = NEVER
            logits = adjusted(self.adjusters, allowed[:, None], self.step).squeeze(1)
        drawn = draw(logits, numbers, self.temperature, self.top_k, self.top_p)
        drawn = drawn.masked_fill(self.at_limit, EOS)[:, None]  # [R, 1]
        log_probs = self.log_probs + of_model.gather(1, drawn)
        ended = (drawn == EOS) & ~self.done[:, None]
        if narrow and self.allowed is not None:
            drawn = self.allowed.ids(drawn)
        no_beams = torch.zeros_like(drawn)
        ends = log_probs.masked_fill(~ended, float("-inf"))
        self.history.record(self.step, self.sentences, Choices(drawn, no_beams, ends, no_beams))
        return replace(
            self,
            pieces=drawn,
            log_probs=log_probs,
            done=self.done | ended[:, 0],
            step=self.step + 1,
            adjusters=tuple(one.extended(no_beams, drawn) for one in self.adjusters),
        )

    def select(self, kept: Tensor, decoder: DecoderState) -> "_Samples":
        """Return only the rows with these indices [R]; see `Live.select`."""
        adjusters = tuple(one.select(kept) for one in self.adjusters)
        return replace(super().select(kept, decoder), adjusters=adjusters)
