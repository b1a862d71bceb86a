"""Beam search over the decoder protocol; it never asks which model it drives.

Legend: B sentences, N beams, V vocabulary, L layers with attention, H heads, T target, S source.
Rows of the decoder are B · N, a sentence's beams side by side.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.config.schema import DecodingConfig
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import BOS, EOS, PAD


@dataclass(frozen=True)
class Hypothesis:
    """One finished translation.

    Attributes:
        ids: Target pieces, without BOS and EOS.
        log_prob: Natural log of its probability, EOS included.
        score: ``log_prob`` over the length penalty; hypotheses are ranked by it.
        weights: [L, H, T, S] attention where asked for; T counts EOS, S the source's EOS.
    """

    ids: list[int]
    log_prob: float
    score: float
    weights: Tensor | None


def length_penalty(length: int, alpha: float) -> float:
    """Return ((5 + length) / 6) ^ alpha, EOS counted in length (Wu et al. 2016, eq. 14)."""
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
    """Translate a batch of sources [B, S]; one beam is greedy search.

    A sentence is done when as many hypotheses as there are beams have ended, each while among the
    best N continuations; or at its greatest length, where EOS is forced.

    Returns:
        The finished hypotheses of each sentence, best score first, at most N.
    """
    lengths = source_mask.sum(1)
    limits = (lengths * options.max_length_ratio).long() + options.max_length_extra
    state = model.start(model.encode(source_ids, source_mask))
    beams = _Beams(lengths, limits, options, source_ids.device)
    state = state.select(beams.first_rows())
    while beams.alive:
        logits, weights, state = model.step(beams.previous_ids(), state, need_weights=need_weights)
        state = state.select(beams.advance(logits, weights))
    return beams.results()


class _Beams:
    """The live hypotheses of all unfinished sentences, and the finished ones of all."""

    def __init__(
        self, lengths: Tensor, limits: Tensor, options: DecodingConfig, device: torch.device
    ) -> None:
        self._options = options
        self._size = options.beam_size
        self._source_lengths = lengths.tolist()
        self._limits = limits  # [A], of the live sentences
        self._sentences = list(range(len(lengths)))  # A numbers
        self._tokens = torch.full((len(lengths), self._size, 1), BOS, device=device)  # [A, N, t]
        self._weights: Tensor | None = None  # [A, N, L, H, t, S]
        self._log_probs = torch.full((len(lengths), self._size), float("-inf"), device=device)
        self._log_probs[:, 0] = 0.0  # the beams of a sentence begin alike; one may speak
        self._finished: list[list[Hypothesis]] = [[] for _ in self._sentences]

    @property
    def alive(self) -> bool:
        """Whether any sentence is unfinished."""
        return bool(self._sentences)

    def first_rows(self) -> Tensor:
        """Return the rows that expand a batch of sentences to their beams, [A · N]."""
        sentences = torch.arange(len(self._sentences), device=self._tokens.device)
        return sentences.repeat_interleave(self._size)

    def previous_ids(self) -> Tensor:
        """Return each row's last piece, [A · N]."""
        return self._tokens[:, :, -1].flatten()

    def advance(self, logits: Tensor, weights: Tensor | None) -> Tensor:
        """Extend every hypothesis by the logits [A · N, V] of its next piece.

        Returns:
            The rows that live on, in their new order.
        """
        vocab_size = logits.size(1)
        total = self._log_probs[:, :, None] + self._constrained(logits)
        wanted = min(2 * self._size, self._size * vocab_size)
        best, places = total.flatten(1).topk(wanted)  # [A, 2N]: N may end and N still go on
        parents, tokens = places // vocab_size, places % vocab_size
        if weights is not None:
            self._grow_weights(weights)
        ended = (tokens == EOS) & best.isfinite()
        self._finish(ended[:, : self._size], best, parents)
        chosen = ended.int().argsort(dim=1, stable=True)[:, : self._size]
        return self._continue(best, parents, tokens, chosen)

    def results(self) -> list[list[Hypothesis]]:
        """Return the finished hypotheses of each sentence, best first."""
        size = self._size
        ranked = (sorted(found, key=lambda h: h.score, reverse=True) for found in self._finished)
        return [hypotheses[:size] for hypotheses in ranked]

    def _constrained(self, logits: Tensor) -> Tensor:
        """Log-probabilities [A, N, V] that forbid PAD and BOS, and force EOS at the limit."""
        log_probs = logits.float().log_softmax(dim=1)
        log_probs[:, [PAD, BOS]] = float("-inf")
        log_probs = log_probs.unflatten(0, (-1, self._size))
        at_limit = self._limits <= self._tokens.size(2)
        if bool(at_limit.any()):
            end = log_probs[at_limit][:, :, EOS].clone()
            log_probs[at_limit] = float("-inf")
            log_probs[at_limit, :, EOS] = end
        return log_probs

    def _grow_weights(self, weights: Tensor) -> None:
        step = weights.unflatten(0, (-1, self._size)).unsqueeze(4)  # [A, N, L, H, 1, S]
        self._weights = step if self._weights is None else torch.cat([self._weights, step], dim=4)

    def _finish(self, ended: Tensor, log_probs: Tensor, parents: Tensor) -> None:
        for live, rank in ended.nonzero().tolist():
            sentence, beam = self._sentences[live], int(parents[live, rank])
            ids = self._tokens[live, beam, 1:].tolist()
            log_prob = float(log_probs[live, rank])
            weights = None
            if self._weights is not None:
                weights = self._weights[live, beam, ..., : self._source_lengths[sentence]].clone()
            penalty = length_penalty(len(ids) + 1, self._options.length_penalty)
            hypothesis = Hypothesis(ids, log_prob, log_prob / penalty, weights)
            self._finished[sentence].append(hypothesis)

    def _continue(self, best: Tensor, parents: Tensor, tokens: Tensor, chosen: Tensor) -> Tensor:
        device = best.device
        at_limit = (self._limits <= self._tokens.size(2)).tolist()
        live = [
            index
            for index, sentence in enumerate(self._sentences)
            if len(self._finished[sentence]) < self._size and not at_limit[index]
        ]
        keep = torch.tensor(live, dtype=torch.long, device=device)
        chosen = chosen[keep]
        parents = parents[keep].gather(1, chosen)
        last = tokens[keep].gather(1, chosen)
        index = keep[:, None]
        self._tokens = torch.cat([self._tokens[index, parents], last[:, :, None]], dim=2)
        if self._weights is not None:
            self._weights = self._weights[index, parents]
        self._log_probs = best[keep].gather(1, chosen)
        self._limits = self._limits[keep]
        self._sentences = [self._sentences[i] for i in live]
        return (index * self._size + parents).flatten()
