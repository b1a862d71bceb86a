"""Beam search over the decoder protocol. It does not depend on the model's architecture.

At every step each live hypothesis is extended by every piece of the vocabulary, and the N best
continuations of a sentence become its new beam. A continuation that ends with EOS is finished.
Greedy search is the case N = 1.

Legend: B sentences, A active (unfinished) sentences, N beams, V vocabulary, C candidates per
sentence, L layers with attention, H heads, T target length so far, S source length. The decoder's
rows are A · N: the beams of a sentence are adjacent.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.config.schema import DecodingConfig
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import BOS, EOS, PAD


@dataclass(frozen=True)
class Hypothesis:
    """A finished translation.

    Attributes:
        ids: Target piece ids, without BOS and EOS.
        log_prob: Natural logarithm of the translation's probability, EOS included.
        score: ``log_prob`` divided by the length penalty. Hypotheses are ranked by it.
        weights: [L, H, T, S] attention weights if they were requested. T counts EOS, and S counts
            the source's EOS.
    """

    ids: list[int]
    log_prob: float
    score: float
    weights: Tensor | None


@dataclass(frozen=True)
class _Candidates:
    """The C best continuations of each active sentence, best first, all tensors [A, C].

    Attributes:
        log_probs: Of the whole hypothesis, the new token included.
        beams: The beam (0 to N - 1) that each candidate extends.
        tokens: The piece that it appends.
        finished: Whether that piece is EOS.
    """

    log_probs: Tensor
    beams: Tensor
    tokens: Tensor
    finished: Tensor


def length_penalty(length: int, alpha: float) -> float:
    """Return ((5 + length) / 6) ^ alpha, the length penalty of GNMT (Wu et al. 2016, eq. 14).

    Args:
        length: Number of target pieces, EOS included.
        alpha: Strength. 0 is no penalty; larger values favor longer translations.
    """
    return float(((5 + length) / 6) ** alpha)


@torch.inference_mode()
def beam_search(
    model: TranslationModel,
    source_ids: Tensor,
    source_mask: Tensor,
    options: DecodingConfig,
    *,
    need_weights: bool = False,
) -> list[list[Hypothesis]]:
    """Translate a batch of sentences.

    A hypothesis finishes when its continuation with EOS is among the N best of that step. The
    search of a sentence ends when N hypotheses are finished, or at the maximum length, where EOS is
    forced.

    Args:
        model: A model in evaluation mode, on the device of the ids.
        source_ids: [B, S] piece ids, EOS included.
        source_mask: [B, S] bool, True at real pieces.
        options: Beam size, length penalty and maximum length.
        need_weights: Whether to return attention weights.

    Returns:
        The finished hypotheses of each sentence, best score first, at most N.
    """
    source_lengths = source_mask.sum(1)
    max_lengths = (source_lengths * options.max_length_ratio).long() + options.max_length_extra
    beam = _Beam(source_lengths, max_lengths, options)
    state = model.start(model.encode(source_ids, source_mask))
    state = state.select(beam.initial_rows())
    while beam.active:
        logits, weights, state = model.step(beam.last_tokens(), state, need_weights=need_weights)
        if weights is not None:
            beam.append_weights(weights)
        candidates = beam.expand(logits)
        beam.collect_finished(candidates)
        state = state.select(beam.prune(candidates))
    return beam.results()


class _Beam:
    """The live hypotheses of all active sentences and the finished ones of all sentences."""

    def __init__(
        self, source_lengths: Tensor, max_lengths: Tensor, options: DecodingConfig
    ) -> None:
        device = source_lengths.device
        batch_size, self._size = len(source_lengths), options.beam_size
        self._options = options
        # These two have an element for each of the B sentences of the batch.
        self._source_lengths = source_lengths.tolist()
        self._finished: list[list[Hypothesis]] = [[] for _ in range(batch_size)]
        # The others have one for each of the A active sentences.
        self._sentences = list(range(batch_size))  # index of each in the batch
        self._max_lengths = max_lengths  # [A]
        self._tokens = torch.full((batch_size, self._size, 1), BOS, device=device)  # [A, N, 1 + T]
        self._weights: Tensor | None = None  # [A, N, L, H, T, S]
        # All beams start identical; score only beam 0 at first, or top-k returns duplicates.
        self._log_probs = torch.full((batch_size, self._size), float("-inf"), device=device)
        self._log_probs[:, 0] = 0.0  # [A, N]

    @property
    def active(self) -> bool:
        """Whether any sentence is unfinished."""
        return bool(self._sentences)

    def initial_rows(self) -> Tensor:
        """Return row indices [A · N] that repeat the encoder's row of a sentence for each beam."""
        sentences = torch.arange(len(self._sentences), device=self._tokens.device)
        return sentences.repeat_interleave(self._size)

    def last_tokens(self) -> Tensor:
        """Return the last piece of each live hypothesis, [A · N]."""
        return self._tokens[:, :, -1].flatten()

    def append_weights(self, weights: Tensor) -> None:
        """Append a step's attention weights [A · N, L, H, S] to those of the hypotheses."""
        step = weights.unflatten(0, (-1, self._size)).unsqueeze(4)  # [A, N, L, H, 1, S]
        self._weights = step if self._weights is None else torch.cat([self._weights, step], dim=4)

    def expand(self, logits: Tensor) -> _Candidates:
        """Return the best continuations of every sentence by the logits [A · N, V] of this step."""
        vocab_size = logits.size(1)
        log_probs = self._log_probs[:, :, None] + self._next_log_probs(logits)  # [A, N, V]
        # Each beam has one continuation with EOS, so at least N of the best 2 N are unfinished.
        count = min(2 * self._size, self._size * vocab_size)
        best, indices = log_probs.flatten(1).topk(count)
        tokens = indices % vocab_size
        # A candidate of -inf is no translation: its beam is unused or its piece is excluded.
        finished = (tokens == EOS) & best.isfinite()
        return _Candidates(best, indices // vocab_size, tokens, finished)

    def collect_finished(self, candidates: _Candidates) -> None:
        """Store the hypotheses that end, if they are among a sentence's N best candidates."""
        for row, rank in candidates.finished[:, : self._size].nonzero().tolist():
            sentence, beam = self._sentences[row], int(candidates.beams[row, rank])
            ids = self._tokens[row, beam, 1:].tolist()
            log_prob = float(candidates.log_probs[row, rank])
            score = log_prob / length_penalty(len(ids) + 1, self._options.length_penalty)
            weights = None
            if self._weights is not None:
                source_length = self._source_lengths[sentence]
                weights = self._weights[row, beam, ..., :source_length].clone()
            self._finished[sentence].append(Hypothesis(ids, log_prob, score, weights))

    def prune(self, candidates: _Candidates) -> Tensor:
        """Make the N best unfinished candidates the new beam, and drop sentences that are done.

        Returns:
            The decoder rows of the new beam's parents, [A · N] with the new A.
        """
        unfinished = self._unfinished_sentences()
        kept = torch.tensor(unfinished, dtype=torch.long, device=self._tokens.device)  # new A
        # The sort is stable: it moves finished candidates to the end and keeps the ranking.
        order = candidates.finished.int().argsort(dim=1, stable=True)[:, : self._size][kept]
        beams = candidates.beams[kept].gather(1, order)  # [A, N]
        tokens = candidates.tokens[kept].gather(1, order)
        rows = kept[:, None]  # [new A, 1], broadcast against beams
        self._tokens = torch.cat([self._tokens[rows, beams], tokens[:, :, None]], dim=2)
        if self._weights is not None:
            self._weights = self._weights[rows, beams]
        self._log_probs = candidates.log_probs[kept].gather(1, order)
        self._max_lengths = self._max_lengths[kept]
        self._sentences = [self._sentences[i] for i in unfinished]
        return (rows * self._size + beams).flatten()

    def results(self) -> list[list[Hypothesis]]:
        """Return at most N finished hypotheses per sentence, best score first."""
        ranked = (sorted(found, key=lambda h: h.score, reverse=True) for found in self._finished)
        return [hypotheses[: self._size] for hypotheses in ranked]

    def _at_max_length(self) -> Tensor:
        """Return which active sentences write their last piece in this step, [A] bool."""
        return self._max_lengths <= self._tokens.size(2)

    def _next_log_probs(self, logits: Tensor) -> Tensor:
        """Return log-probabilities of the next piece, [A, N, V].

        PAD and BOS are excluded. At the maximum length only EOS is allowed.
        """
        log_probs = logits.float().log_softmax(dim=1)
        log_probs[:, [PAD, BOS]] = float("-inf")
        log_probs = log_probs.unflatten(0, (-1, self._size))
        last_step = self._at_max_length()
        if bool(last_step.any()):
            eos = log_probs[last_step][:, :, EOS].clone()
            log_probs[last_step] = float("-inf")
            log_probs[last_step, :, EOS] = eos
        return log_probs

    def _unfinished_sentences(self) -> list[int]:
        """Return the positions, among the active sentences, of those that continue."""
        last_step = self._at_max_length().tolist()
        return [
            position
            for position, sentence in enumerate(self._sentences)
            if len(self._finished[sentence]) < self._size and not last_step[position]
        ]
