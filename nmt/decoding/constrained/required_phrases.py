"""Phrases that translations must contain: dynamic beam allocation (Post & Vilar 2018).

A finite automaton over pieces (Aho & Corasick 1975) finds the phrases, in any order and also if
they overlap. The bank of a hypothesis is its number of pieces of phrases. The beam is divided among
the banks: the best candidate of each bank comes first, then the second best of each, and so on (Hu
et al. 2019, section 3.2, vectorized). EOS is allowed only after all phrases are complete.

Legend: A sentences in the search, N beams, M beams before a step, V vocabulary, P phrases of a
sentence, S states of its automaton, W different pieces of its phrases, C candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from nmt.decoding.score_adjusters import NEVER, ScoreAdjuster
from nmt.kernels.prediction.best_continuations import Candidates
from nmt.text.special_tokens import EOS

Phrase = tuple[int, ...]


class _Automaton:
    """The automaton of the phrases of a sentence.

    Attributes:
        alphabet: The pieces of the phrases.
        following: For each state, the next state of each piece of the alphabet.
        progress: For each state and phrase, the number of first pieces of the phrase that were read
            last.
    """

    def __init__(self, phrases: Sequence[Phrase]) -> None:
        self.alphabet = sorted({piece for phrase in phrases for piece in phrase})
        prefixes: dict[Phrase, int] = {(): 0}
        for phrase in phrases:
            for length in range(1, len(phrase) + 1):
                prefixes.setdefault(phrase[:length], len(prefixes))
        self.following = [
            [_longest_suffix((*prefix, piece), prefixes) for piece in self.alphabet]
            for prefix in prefixes
        ]
        self.progress = [[_overlap(prefix, phrase) for phrase in phrases] for prefix in prefixes]


def _longest_suffix(pieces: Phrase, prefixes: dict[Phrase, int]) -> int:
    return next(prefixes[pieces[i:]] for i in range(len(pieces) + 1) if pieces[i:] in prefixes)


def _overlap(pieces: Phrase, phrase: Phrase) -> int:
    """Return the length of the longest prefix of a phrase that is a suffix of the pieces."""
    lengths = range(min(len(pieces), len(phrase)), 0, -1)
    return next((n for n in lengths if pieces[-n:] == phrase[:n]), 0)


@dataclass(frozen=True)
class RequiredPhrases(ScoreAdjuster):
    """The phrases of each sentence, and which of them the hypotheses contain.

    Attributes:
        alphabet: [A, W], padded with -1.
        following: [A, S, W + 1], the state after each piece of the alphabet, and after any other
            piece.
        progress: [A, S, P], see `_Automaton`.
        lengths: [A, P], the number of pieces of each phrase; 0: no phrase.
        closing: [A, P] bool, whether a word must end after the phrase.
        continues_word: [V] bool, whether a piece continues the previous word.
        states: [A, M], the states of the hypotheses.
        complete: [A, M, P] bool, whether a hypothesis contains a phrase.
        closed: [A, M] bool, whether a word must end now.
    """

    alphabet: Tensor
    following: Tensor
    progress: Tensor
    lengths: Tensor
    closing: Tensor
    continues_word: Tensor
    states: Tensor
    complete: Tensor
    closed: Tensor

    @classmethod
    def of(
        cls,
        phrases: Sequence[Sequence[Phrase]],
        closing: Sequence[Sequence[bool]],
        continues_word: Tensor,
        device: torch.device,
    ) -> "RequiredPhrases":
        """Begin with one hypothesis per sentence.

        Args:
            phrases: The different phrases of each sentence, in pieces.
            closing: Whether a word must end after each phrase.
            continues_word: [V] bool.
            device: The device of the search.
        """
        automata = [_Automaton(of_sentence) for of_sentence in phrases]
        states = max(len(automaton.following) for automaton in automata)
        size = max(1, *(len(automaton.alphabet) for automaton in automata))
        count = max(1, *map(len, phrases))
        shape = len(phrases), states
        alphabet = torch.full((len(phrases), size), -1)
        following = torch.zeros(*shape, size + 1, dtype=torch.long)
        progress = torch.zeros(*shape, count, dtype=torch.long)
        lengths = torch.zeros(len(phrases), count, dtype=torch.long)
        ends = torch.zeros(len(phrases), count, dtype=torch.bool)
        for row, automaton in enumerate(automata):
            if not phrases[row]:
                continue
            number, width, mine = (
                len(automaton.following),
                len(automaton.alphabet),
                len(phrases[row]),
            )
            alphabet[row, :width] = torch.tensor(automaton.alphabet)
            following[row, :number, :width] = torch.tensor(automaton.following)
            progress[row, :number, :mine] = torch.tensor(automaton.progress)
            lengths[row, :mine] = torch.tensor([len(phrase) for phrase in phrases[row]])
            ends[row, :mine] = torch.tensor(closing[row])
        tables = alphabet, following, progress, lengths, ends, continues_word
        begin = torch.zeros(len(phrases), 1, dtype=torch.long)
        state = begin, (lengths == 0)[:, None], begin.bool()
        return cls(*(part.to(device) for part in (*tables, *state)))

    def adjust(self, scores: Tensor, log_probs: Tensor, step: Tensor) -> Tensor:
        """Exclude EOS before all phrases are complete, and letters after a complete phrase."""
        scores = scores.masked_fill(self.closed[:, :, None] & self.continues_word, NEVER)
        scores[:, :, EOS] = scores[:, :, EOS].masked_fill(~self.complete.all(2), NEVER)
        return scores

    def extended(self, parents: Tensor, pieces: Tensor) -> "RequiredPhrases":
        """Read the new pieces."""
        same = self.alphabet[:, None] == pieces[:, :, None]  # [A, N, W]
        other = torch.ones_like(same[:, :, :1])
        symbols = torch.cat([same, other], dim=2).int().argmax(2)  # the first equal one
        before = self.states.gather(1, parents)
        rows = self.following.gather(1, _expanded(before, self.following.size(2)))
        states = rows.gather(2, symbols[:, :, None]).squeeze(2)
        complete = self.complete.gather(1, _expanded(parents, self.complete.size(2)))
        progress = self.progress.gather(1, _expanded(states, self.progress.size(2)))
        new = (progress == self.lengths[:, None]) & ~complete
        closed = (new & self.closing[:, None]).any(2)
        return replace(self, states=states, complete=complete | new, closed=closed)

    def select(self, sentences: Tensor) -> "RequiredPhrases":
        """Return only some sentences."""
        of_sentences = [name for name in vars(self) if name != "continues_word"]
        return replace(self, **{name: getattr(self, name)[sentences] for name in of_sentences})

    def candidates(
        self,
        scores: Tensor,
        firm: Tensor,
        log_probs: Tensor,
        totals: Tensor,
        end: Tensor,
        lenient: Tensor,
        size: int,
    ) -> Candidates:
        """Return the 2 N candidates of a step, in the order of the allocation.

        Args:
            scores: [A, M, V], after all adjusters.
            firm: [A, M, V], after the adjusters of constraints; the scores of pieces that continue
                a phrase.
            log_probs: [A, M, V], of the model.
            totals: [A, M], the scores of the hypotheses.
            end: [A] bool, whether the hypotheses must end.
            lenient: [A] bool, whether incomplete hypotheses may end if all are incomplete.
            size: N.
        """
        banks = self._banks_after()  # [A, M, W + 1]
        symbols = self.alphabet.clamp_min(0)[:, None].expand(-1, scores.size(1), -1)  # [A, M, W]
        advances = banks[:, :, :-1] > self._banks()[:, :, None]
        wanted = torch.where(advances, firm.gather(2, symbols), scores.gather(2, symbols))
        others = scores.scatter(2, symbols, NEVER)
        best, pieces = others.topk(min(2 * size, others.size(2)), dim=2)  # [A, M, C]
        best, wanted = best + totals[:, :, None], wanted + totals[:, :, None]
        stuck = torch.maximum(best.amax((1, 2)), wanted.amax((1, 2))) == NEVER
        end = (end | stuck)[:, None, None]
        only_ends = self._ends(log_probs, totals, lenient)
        only_ends = functional.pad(only_ends, (0, best.size(2) - 1), value=NEVER)
        best = torch.where(end, only_ends, best)
        pieces = pieces.masked_fill(end, EOS)
        wanted = wanted.masked_fill(end, NEVER)
        all_banks = torch.cat([banks[:, :, -1:].expand_as(pieces), banks[:, :, :-1]], dim=2)
        all_pieces = torch.cat([pieces, symbols], dim=2)
        beams = torch.arange(scores.size(1), device=scores.device)[:, None].expand_as(all_pieces[0])
        flat = torch.cat([best, wanted], dim=2).flatten(1)
        order = _allocation(flat, all_banks.flatten(1))[:, : 2 * size]
        beams = beams.flatten().expand_as(flat)
        parts = flat, beams, all_pieces.flatten(1)
        return Candidates(*(part.gather(1, order) for part in parts)).padded(2 * size)

    def _ends(self, log_probs: Tensor, totals: Tensor, lenient: Tensor) -> Tensor:
        """Return the scores [A, M, 1] of EOS."""
        complete = self.complete.all(2) & (totals > NEVER)
        allowed = complete | (lenient & ~complete.any(1))[:, None]
        return (log_probs[:, :, EOS] + totals).masked_fill(~allowed, NEVER)[:, :, None]

    def _banks(self) -> Tensor:
        """Return the banks of the hypotheses, [A, M]."""
        progress = self.progress.gather(1, _expanded(self.states, self.progress.size(2)))
        return _bank(self.complete, progress, self.lengths[:, None])

    def _banks_after(self) -> Tensor:
        """Return the banks [A, M, W + 1] after each piece of the alphabet and any other piece."""
        reached = self.following.gather(1, _expanded(self.states, self.following.size(2)))
        flat = reached.flatten(1)  # [A, M · (W + 1)]
        progress = self.progress.gather(1, _expanded(flat, self.progress.size(2)))
        progress = progress.unflatten(1, reached.shape[1:])  # [A, M, W + 1, P]
        lengths = self.lengths[:, None, None]
        complete = self.complete[:, :, None] | (progress == lengths)
        return _bank(complete, progress, lengths)


def _bank(complete: Tensor, progress: Tensor, lengths: Tensor) -> Tensor:
    """Return the number of pieces of complete phrases and of the longest begun phrase."""
    return (complete * lengths).sum(-1) + (progress * ~complete).amax(-1)


def _expanded(places: Tensor, size: int) -> Tensor:
    """Expand ``places`` [A, X] to indices [A, X, size] of a `gather` along axis 1."""
    return places[:, :, None].expand(-1, -1, size)


def _allocation(scores: Tensor, banks: Tensor) -> Tensor:
    """Return the order of candidates [A, C]: the best of each bank, then the second best of each.

    Among candidates of the same rank, the fuller bank comes first. Scores of -inf come last.
    """
    exists = scores > NEVER
    banks = torch.where(exists, banks, -1)
    by_score = scores.argsort(dim=1, descending=True, stable=True)
    in_bank = banks.gather(1, by_score).argsort(dim=1, descending=True, stable=True)
    order = by_score.gather(1, in_bank)
    sorted_banks = banks.gather(1, order)
    places = torch.arange(scores.size(1), device=scores.device).expand_as(banks)
    begins = torch.ones_like(exists)
    begins[:, 1:] = sorted_banks[:, 1:] != sorted_banks[:, :-1]
    ranks = places - torch.where(begins, places, 0).cummax(dim=1).values
    ranks = torch.where(sorted_banks < 0, scores.size(1), ranks)
    return order.gather(1, ranks.argsort(dim=1, stable=True))
