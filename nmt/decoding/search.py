"""Beam search over the decoder protocol. It does not depend on the model's architecture.

At every step each live hypothesis is extended by every piece of the vocabulary, and the N best
continuations of a sentence become its new beam. A continuation that ends with EOS is finished.
Greedy search is the case N = 1.

Legend: A sentences in the search, N beams, M beams before a step (1 before the first, then N),
V vocabulary, C candidates per sentence, 2 N. The decoder's rows are A · M: the beams of a sentence
are adjacent.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.config.schema import DecodingConfig, EarlyStopping
from nmt.decoding.early_stopping import BestFinished
from nmt.decoding.history import Choices, History, WeightsHistory
from nmt.decoding.hypothesis import Hypothesis, length_penalty
from nmt.decoding.repeated_step import Graphs
from nmt.decoding.search_loop import Live, Loop, Source
from nmt.kernels.best_continuations import Continuations, best_continuations
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
    need_weights: bool = False,
    wanted: int | None = None,
    graphs: Graphs | None = None,
) -> list[list[Hypothesis]]:
    """Translate a batch of sentences.

    A hypothesis finishes when its continuation with EOS is among the N best of that step. The
    search of a sentence ends when N hypotheses are finished, or at the maximum length, where EOS is
    forced. It ends earlier once the ``wanted`` best hypotheses are certain, or likely, as
    ``options.early_stopping`` says; see `nmt.decoding.early_stopping`.

    Args:
        model: A model in evaluation mode, on the device of the ids.
        source_ids: [B, S] piece ids, EOS included.
        source_mask: [B, S] bool, True at real pieces.
        options: Beam size, length penalty and maximum length.
        need_weights: Whether to return attention weights.
        wanted: The number of hypotheses that must be those of the whole search; None: all N.
        graphs: Captures the steps on a GPU; None: they are not captured.

    Returns:
        The finished hypotheses of each sentence, best score first, at most N.
    """
    source = Source.of(source_ids, source_mask, options, plain=need_weights)
    loop = Loop(model, source, WeightsHistory() if need_weights else None, graphs)
    found = loop.hypotheses(loop.run(_first(loop, options, wanted)), options.length_penalty)
    ranked = (sorted(hypotheses, key=lambda h: h.score, reverse=True) for hypotheses in found)
    return [hypotheses[: options.beam_size] for hypotheses in ranked]


def _first(loop: Loop, options: DecodingConfig, wanted: int | None) -> "_Beams":
    """Return the beams before the first step: one hypothesis per sentence, BOS."""
    source, model = loop.source, loop.model
    limits = source.padded_limits()
    log_probs = torch.zeros(len(limits), 1, device=limits.device)
    size, best = options.beam_size, None
    if wanted is not None and wanted < size and options.early_stopping != EarlyStopping.FULL:
        likely = options.early_stopping == EarlyStopping.LIKELY
        best = BestFinished.empty(
            limits, source.steps, options.length_penalty, wanted, likely=likely
        )
    return _Beams(
        decoder=model.start(source.encode(model)),
        pieces=torch.full((len(limits), 1), BOS, device=limits.device),
        log_probs=log_probs,
        done=limits == 0,
        limits=limits,
        sentences=torch.arange(len(limits), device=limits.device),
        step=torch.zeros(1, dtype=torch.long, device=limits.device),
        history=History.empty(log_probs, source.steps, len(limits), size),
        found=torch.zeros_like(limits),
        size=size,
        best=best,
    )


@dataclass(frozen=True)
class _Beams(Live):
    """The beams of the sentences in the search.

    Attributes:
        found: [A], the number of finished hypotheses.
        size: N.
        best: The best finished hypotheses, if the search may end when they are certain.
    """

    found: Tensor
    size: int
    best: BestFinished | None

    def choose(self, logits: Tensor) -> "_Beams":
        """Make the N best unfinished candidates the new beams; see `Live.choose`."""
        at_limit = self.at_limit
        candidates = self._candidates(logits, at_limit)
        # A candidate of -inf is no translation: its beam is unused or its piece is excluded.
        is_end = (candidates.pieces == EOS) & (candidates.log_probs > float("-inf"))
        ended = is_end[:, : self.size] & ~self.done[:, None]
        found = self.found + ended.sum(1)
        # At least N of the 2 N best are unfinished: each beam has one continuation with EOS.
        log_probs, order = candidates.log_probs.masked_fill(is_end, float("-inf")).topk(self.size)
        pieces, parents = (of.gather(1, order) for of in (candidates.pieces, candidates.beams))
        ends = torch.where(ended, candidates.log_probs[:, : self.size], float("-inf"))
        choices = Choices(pieces, parents, ends, candidates.beams[:, : self.size])
        self.history.record(self.step, self.sentences, choices)
        done = self.done | (found >= self.size) | at_limit
        best = None if self.best is None else self.best.with_ended(ends, self.step)
        if best is not None:
            done = done | best.are_best(log_probs, self.step)
        return replace(
            self,
            decoder=self.decoder if self.size == 1 else self.decoder.reorder(parents),
            pieces=pieces,
            log_probs=log_probs,
            done=done,
            found=found,
            best=best,
            step=self.step + 1,
        )

    def select(self, kept: Tensor) -> "_Beams":
        """Return only the sentences at these places [R]."""
        best = None if self.best is None else self.best.select(kept)
        return replace(super().select(kept), found=self.found[kept], best=best)

    def _candidates(self, logits: Tensor, at_limit: Tensor) -> Continuations:
        """Return the 2 N best continuations by the logits [A · M, V].

        PAD and BOS are excluded. At the maximum length only EOS is allowed.
        """
        return best_continuations(
            logits, self.log_probs, 2 * self.size, excluded=(PAD, BOS), only=(at_limit, EOS)
        )
