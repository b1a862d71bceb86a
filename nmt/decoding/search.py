"""Beam search over the `Decoder` interface. It does not depend on the architecture of the model.

Each step extends each live hypothesis by every piece of the vocabulary. The N best unfinished
continuations of a sentence become its new beams. A continuation that ends with EOS is finished.
Greedy search is beam search with one beam. Score adjusters exclude next pieces or change their
scores. Diverse beam search divides the beams into groups that choose one after the other.

Legend: A sentences in the search, N beams, M beams before a step (1 before the first step, then N),
V vocabulary, G groups of K = N / G beams, C = 2 N or 2 K candidates per sentence or group. The
decoder has A · M rows: the beams of a sentence are adjacent.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nmt.config.schema import DecodingConfig
from nmt.data.batches.regions import Regions
from nmt.decoding.beam_candidates import joined, split
from nmt.decoding.constrained.allowed_pieces import AllowedPieces
from nmt.decoding.constrained.constraints import BatchConstraints
from nmt.decoding.constrained.required_phrases import RequiredPhrases
from nmt.decoding.early_stopping import BestFinished
from nmt.decoding.history import Choices, History, WeightsHistory
from nmt.decoding.hypothesis import Hypothesis, length_penalty
from nmt.decoding.repeated_step import Graphs
from nmt.decoding.score_adjusters import NEVER, Adjusters, ScoreAdjuster, adjusted, adjusters_of
from nmt.decoding.search_loop import Live, Loop, Source
from nmt.kernels.prediction.best_continuations import Candidates, best_continuations
from nmt.model.interfaces import DecoderState
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import BOS, EOS, PAD

__all__ = ["Hypothesis", "beam_search", "length_penalty"]


@torch.inference_mode()
def beam_search(
    model: TranslationModel,
    source_ids: Tensor,
    source_mask: Tensor,
    options: DecodingConfig,
    *,
    constraints: BatchConstraints | None = None,
    allowed: AllowedPieces | None = None,
    need_weights: bool = False,
    wanted: int | None = None,
    graphs: Graphs | None = None,
    regions: Regions | None = None,
) -> list[list[Hypothesis]]:
    """Translate a batch of sentences.

    A hypothesis finishes when its continuation with EOS is among the N best of a step. The search
    of a sentence ends as in `nmt.decoding.early_stopping`, and at the latest at the maximum length,
    where EOS is forced.

    Args:
        model: A model in evaluation mode, on the device of the ids.
        source_ids: [B, S] piece ids, EOS included.
        source_mask: [B, S] bool, True for real pieces.
        options: Beam size, penalties and lengths.
        constraints: Constraints on the translations; None: none. If no hypothesis can contain all
            required phrases, the sentence gets hypotheses without them.
        allowed: The pieces that each translation may contain, with those of its constraints; None:
            all. Log-probabilities are normalized over these pieces.
        need_weights: Whether to return attention weights.
        wanted: K of `nmt.decoding.early_stopping`; None: all N hypotheses are needed.
        graphs: Captures the steps on a GPU; None: no capture.
        regions: Features of the sentences, for a model that reads them.

    Returns:
        The finished hypotheses of each sentence, best score first, at most N, all different.
    """
    weighed = need_weights or options.coverage_penalty > 0
    source = Source.of(model, source_ids, source_mask, options, regions, plain=weighed)
    if constraints is not None:
        source = constraints.given_to(source)
    loop = Loop(model, source, WeightsHistory() if weighed else None, graphs, allowed)
    found = loop.hypotheses(loop.run(_first(loop, options, constraints, wanted)), options)
    ranked = (sorted(hypotheses, key=lambda h: h.score, reverse=True) for hypotheses in found)
    kept = [_different(hypotheses)[: options.beam_size] for hypotheses in ranked]
    if weighed and not need_weights:
        kept = [
            [replace(h, weights=None, region_weights=None) for h in hypotheses]
            for hypotheses in kept
        ]
    return kept


def _different(hypotheses: list[Hypothesis]) -> list[Hypothesis]:
    """Remove duplicates, which several groups of beams may produce."""
    return list({tuple(h.ids): h for h in reversed(hypotheses)}.values())[::-1]


def _first(
    loop: Loop,
    options: DecodingConfig,
    constraints: BatchConstraints | None,
    wanted: int | None,
) -> "_Beams":
    """Return the beams before the first step: one hypothesis per sentence, with BOS."""
    source = loop.source
    mine = None if constraints is None else constraints.padded(source.padding)
    limits = source.padded_limits()
    log_probs = torch.zeros(len(limits), 1, device=limits.device)
    penalized = options.repetition_penalty != 1
    return _Beams(
        decoder=loop.start(),
        pieces=torch.full((len(limits), 1), BOS, device=limits.device),
        log_probs=log_probs,
        done=limits == 0,
        limits=limits,
        sentences=torch.arange(len(limits), device=limits.device),
        step=torch.zeros(1, dtype=torch.long, device=limits.device),
        history=History.empty(
            log_probs, source.steps, len(limits), options.beam_size, penalties=penalized
        ),
        allowed=loop.allowed,
        found=limits.new_zeros(len(limits), options.beam_groups),
        ended_groups=torch.zeros(
            len(limits), options.beam_groups, dtype=torch.bool, device=limits.device
        ),
        size=options.beam_size,
        diversity=options.diversity_strength,
        preferences=adjusters_of(options, source.padded_sizes(), limits, source.steps),
        rules=() if mine is None else mine.adjusters,
        required=None if mine is None else mine.required,
        penalties=torch.zeros_like(log_probs) if penalized else None,
        best=_best_finished(source, limits, options, constraints, wanted),
    )


def _best_finished(
    source: Source,
    limits: Tensor,
    options: DecodingConfig,
    constraints: BatchConstraints | None,
    wanted: int | None,
) -> BestFinished | None:
    """Return the bounds of live hypotheses; None: the search ends with N finished hypotheses.

    The bounds hold only if scores depend only on log-probability and length. With constraints, no
    search ends early, because a hypothesis without a required phrase cannot end.
    """
    bounded = (
        options.beam_size > options.beam_groups  # one beam is greedy search
        and not options.coverage_penalty
        and options.repetition_penalty == 1
    )
    if not bounded:
        return None
    fewer = wanted if constraints is None else None
    return BestFinished.empty(limits, source.steps, options, fewer)


_Parts = tuple[Candidates, Candidates, Tensor]
"""Live beams, ended hypotheses and their number; see `nmt.decoding.beam_candidates.split`."""


@dataclass(frozen=True)
class _Beams(Live):
    """The beams of the sentences in the search.

    Attributes:
        found: [A, G], the number of finished hypotheses.
        ended_groups: [A, G] bool, the groups whose search has ended.
        size: N.
        diversity: Strength of the diversity among groups.
        preferences: Adjusters of the settings.
        rules: Adjusters of the constraints, which override the preferences.
        required: The required phrases; None: no required phrases.
        penalties: [A, N], scores minus log-probabilities; None: 0.
        best: The best finished hypotheses; None: live hypotheses have no bound.
    """

    found: Tensor
    ended_groups: Tensor
    size: int
    diversity: float
    preferences: Adjusters
    rules: Adjusters
    required: RequiredPhrases | None
    penalties: Tensor | None
    best: BestFinished | None

    def choose(self, logits: Tensor) -> "_Beams":
        """Make the N best unfinished candidates the new beams; see `Live.choose`."""
        if self._ranks_by_probability:
            return self._continued(*self._best(logits))
        if self.allowed is not None:
            logits = self.allowed.widen(logits)
        log_probs = self._log_probs(logits)
        scores = adjusted((*self.preferences, *self.rules), log_probs, self.step)
        live, ended, found = self._chosen(log_probs, scores, self.at_limit)
        if self.penalties is None:
            return self._continued(live, ended, found)
        of_live, penalties = self._separated(live, log_probs)
        of_ended, ended_penalties = self._separated(ended, log_probs)
        live, ended = replace(live, scores=of_live), replace(ended, scores=of_ended)
        return self._continued(live, ended, found, penalties, ended_penalties)

    def _continued(
        self,
        live: Candidates,
        ended: Candidates,
        found: Tensor,
        penalties: Tensor | None = None,
        ended_penalties: Tensor | None = None,
    ) -> "_Beams":
        """Record a step and return the new beams.

        Args:
            live: The N new beams; their scores are log-probabilities.
            ended: N entries for ended hypotheses; a score of -inf: none ended.
            found: [A, G], the number of ended hypotheses of each group.
            penalties: [A, N], scores minus log-probabilities of the new beams.
            ended_penalties: [A, N], scores minus log-probabilities of the ended hypotheses.
        """
        choices = Choices(live.pieces, live.beams, ended.scores, ended.beams, ended_penalties)
        self.history.record(self.step, self.sentences, choices)
        ended_groups = found >= self.size // found.size(1)
        best = None if self.best is None else self.best.with_ended(ended.scores, self.step)
        if best is not None:
            ended_groups = best.ends_search(live.scores, self.step, ended_groups)
        ends = ended_groups[:, 0] if found.size(1) == 1 else ended_groups.all(1)
        return replace(
            self,
            decoder=self.decoder if self.size == 1 else self.decoder.reorder(live.beams),
            pieces=live.pieces,
            log_probs=live.scores,
            penalties=penalties,
            **self._adjusters(lambda adjuster: adjuster.extended(live.beams, live.pieces)),
            done=self.done | ends | self.at_limit,
            found=found,
            ended_groups=ended_groups,
            best=best,
            step=self.step + 1,
        )

    @property
    def _ranks_by_probability(self) -> bool:
        """Whether only log-probabilities rank the candidates, in one group."""
        changed = (*self.preferences, *self.rules, self.required, self.penalties)
        return all(change is None for change in changed) and self.found.size(1) == 1

    def _best(self, logits: Tensor) -> _Parts:
        """Do what `_chosen` does, if only log-probabilities rank the candidates."""
        if self.allowed is not None:
            logits = self.allowed.narrow(logits)
        candidates = best_continuations(
            logits, self.log_probs, 2 * self.size, excluded=(PAD, BOS), only=(self.at_limit, EOS)
        )
        if self.allowed is not None:
            candidates = replace(candidates, pieces=self.allowed.ids(candidates.pieces))
        live, ended, number = split(candidates, self.size, ~self.done)
        return live, ended, self.found + number

    def select(self, kept: Tensor, decoder: DecoderState) -> "_Beams":
        """Return only the sentences with these indices [R]; see `Live.select`."""
        return replace(
            super().select(kept, decoder),
            found=self.found[kept],
            ended_groups=self.ended_groups[kept],
            penalties=None if self.penalties is None else self.penalties[kept],
            best=None if self.best is None else self.best.select(kept),
            **self._adjusters(lambda adjuster: adjuster.select(kept)),
        )

    def _adjusters(self, change: Callable[[ScoreAdjuster], ScoreAdjuster]) -> dict[str, Any]:
        """Apply a function to each adjuster, and return the changed fields."""
        return {
            "preferences": tuple(map(change, self.preferences)),
            "rules": tuple(map(change, self.rules)),
            "required": None if self.required is None else change(self.required),
        }

    def _log_probs(self, logits: Tensor) -> Tensor:
        """Return the log-probabilities [A, M, V] of logits [A · M, V]; -inf for PAD and BOS."""
        log_probs = logits.log_softmax(dim=1, dtype=torch.float32)
        for excluded in (PAD, BOS):
            log_probs[:, excluded] = NEVER
        return log_probs.view(*self.log_probs.shape, -1)

    def _chosen(
        self, log_probs: Tensor, scores: Tensor, at_limit: Tensor
    ) -> tuple[Candidates, Candidates, Tensor]:
        """Choose the candidates of each group, one group after the other.

        Each time that an earlier group chose a piece in this step, the rank score of the piece is
        lowered by the strength of the diversity (Vijayakumar et al. 2018, Hamming diversity). The
        scores of the hypotheses do not contain this penalty.

        Returns:
            The N live beams, N entries for ended hypotheses (-inf: none ended), and the number of
            ended hypotheses of each group, [A, G].
        """
        groups = self.found.size(1)
        if groups == 1:
            if self.required is None:
                candidates = self._candidates(
                    log_probs, scores, self._totals(), at_limit, self.size
                )
            else:
                candidates = self._allocated(self.required, log_probs, scores, at_limit)
            by_score = self.required is None
            live, ended, number = split(candidates, self.size, ~self.done, by_score=by_score)
            return live, ended, self.found + number
        size = self.size // groups
        first = scores.size(1) == 1  # all groups extend the only beam
        counts = scores.new_zeros(len(scores), scores.size(2))  # [A, V]
        parts: list[_Parts] = []
        for group in range(groups):
            begin = 0 if first else group * size
            mine = slice(begin, begin + (1 if first else size))
            of_group = log_probs[:, mine], scores[:, mine], self._totals()[:, mine]
            candidates = self._candidates(*of_group, at_limit, size, counts)
            candidates = replace(candidates, beams=candidates.beams + begin)
            active = ~(self.done | self.ended_groups[:, group])
            parts.append(split(candidates, size, active, by_score=False))
            chosen = candidates.scores[:, :size] > NEVER
            once = (chosen & active[:, None]).to(counts.dtype)
            counts = counts.scatter_add(1, candidates.pieces[:, :size], once)
        lives, ends, numbers = zip(*parts, strict=True)
        return joined(lives), joined(ends), self.found + torch.cat(numbers, dim=1)

    def _candidates(
        self,
        log_probs: Tensor,
        scores: Tensor,
        totals: Tensor,
        at_limit: Tensor,
        size: int,
        counts: Tensor | None = None,
    ) -> Candidates:
        """Return the 2 K best continuations of some beams.

        At the maximum length, only EOS is allowed.

        Args:
            log_probs: [A, M, V], of the model.
            scores: [A, M, V], after all adjusters.
            totals: [A, M], the scores of the beams before the step.
            at_limit: [A] bool.
            size: K.
            counts: [A, V], how often earlier groups chose each piece; None: one group.
        """
        ranks = scores if counts is None else scores - self.diversity * counts[:, None]
        # The best continuations of a sentence are among the best of each of its beams.
        best, pieces = ranks.topk(min(2 * size, ranks.size(2)), dim=2)  # [A, M, C]
        count = best.size(2)
        at_limit = at_limit[:, None, None]
        only_eos = functional.pad(log_probs[:, :, EOS, None], (0, count - 1), value=NEVER)
        ranks = torch.where(at_limit, only_eos, best) + totals[:, :, None]
        ranked, order = ranks.flatten(1).topk(min(2 * size, ranks[0].numel()))
        if counts is not None:  # the scores do not contain the diversity
            values = torch.where(at_limit, only_eos, scores.gather(2, pieces)) + totals[:, :, None]
            ranked = values.flatten(1).gather(1, order)
        pieces = pieces.masked_fill(at_limit, EOS).flatten(1)
        found = Candidates(ranked, order // count, pieces.gather(1, order))
        return found.padded(2 * size)

    def _allocated(
        self, required: RequiredPhrases, log_probs: Tensor, scores: Tensor, at_limit: Tensor
    ) -> Candidates:
        """Return the candidates in the order of `RequiredPhrases.candidates`."""
        firm = adjusted(self.rules, log_probs, self.step)
        scores, firm = (required.adjust(of, log_probs, self.step) for of in (scores, firm))
        return required.candidates(
            scores, firm, log_probs, self._totals(), at_limit, self.found[:, 0] == 0, self.size
        )

    def _totals(self) -> Tensor:
        """Return the scores of the hypotheses before the step, [A, M]."""
        return self.log_probs if self.penalties is None else self.log_probs + self.penalties

    def _separated(self, candidates: Candidates, log_probs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probabilities of candidates [A, C], and scores minus log-probabilities."""
        indices = candidates.beams * log_probs.size(2) + candidates.pieces
        of_pieces = log_probs.flatten(1).gather(1, indices)
        exists = candidates.scores > NEVER
        total = self.log_probs.gather(1, candidates.beams) + of_pieces
        total = total.masked_fill(~exists, NEVER)
        return total, (candidates.scores - total).masked_fill(~exists, 0.0)
