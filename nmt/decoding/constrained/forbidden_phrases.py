"""Phrases that translations must not contain, with any segmentation into pieces.

A finite automaton reads the characters of the pieces. Its transitions are computed once for all
pieces of the vocabulary. From every state, most pieces lead to the same state. Only the other
pieces, the exceptions, are stored for each state.

Legend: A sentences in the search, N beams, M beams before a step, V vocabulary, R rows of
transitions, two for each set of phrases, S states of all automata, K exceptions of a state.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nmt.decoding.constrained.phrase_matcher import PhraseMatcher, State
from nmt.decoding.constrained.target_pieces import TargetPieces, Trie
from nmt.decoding.score_adjusters import NEVER, ScoreAdjuster

_INSIDE, _BETWEEN = 0, 1  # the states in which no phrase has begun: after a letter, or not
_BANNED = -1


@dataclass
class PhraseAutomaton:
    """The transitions of one set of phrases.

    Attributes:
        rows: For each of the two states in which no phrase has begun, the next state of each piece;
            -1 if the piece would complete a phrase.
        row_of: For each state, the index of its row.
        exceptions: For each state, the pieces whose next state differs from the row, with this next
            state.
    """

    rows: tuple[list[int], list[int]]
    row_of: list[int] = field(default_factory=list)
    exceptions: list[dict[int, int]] = field(default_factory=list)


def automaton_of(pieces: TargetPieces, phrases: Sequence[str]) -> PhraseAutomaton:
    """Compute the transitions of phrases that `TargetPieces.spelled` returned."""
    return _Builder(pieces, PhraseMatcher(phrases)).build()


class _Builder:
    def __init__(self, pieces: TargetPieces, matcher: PhraseMatcher) -> None:
        self._pieces, self._matcher = pieces, matcher
        self._states: list[State] = [(False, frozenset()), (True, frozenset())]
        self._numbers = {state: number for number, state in enumerate(self._states)}

    def build(self) -> PhraseAutomaton:
        rows = self._row(_INSIDE), self._row(_BETWEEN)
        found = PhraseAutomaton(rows)
        for state in self._states:  # the list grows
            base = _BETWEEN if state[0] else _INSIDE
            exceptions: dict[int, int] = {}
            if state[1]:
                self._walk(self._pieces.trie, state, self._states[base], exceptions)
            found.row_of.append(base)
            found.exceptions.append(exceptions)
        return found

    def _row(self, base: int) -> list[int]:
        """Return the next state of every piece from a state in which no phrase has begun."""
        row = [_INSIDE if inside else _BETWEEN for inside in self._pieces.ends_in_word]
        some: set[int] = set()
        for character, at_word in self._matcher.firsts():
            kinds = ["after space"] if at_word else ["anywhere"]
            for kind in [*kinds, "at start"]:
                some.update(self._pieces.places.get((character, kind), ()))
        for piece in some:
            row[piece] = self._after(self._states[base], self._pieces.surfaces[piece])
        return row

    def _after(self, state: State, text: str) -> int:
        for character in text:
            state, found = self._matcher.read(state, character)
            if found:
                return _BANNED
        return _BANNED if self._matcher.complete(state) else self._number(state)

    def _walk(self, trie: Trie, state: State, base: State, exceptions: dict[int, int]) -> None:
        """Add the pieces whose next state from ``state`` and from ``base`` differ."""
        for character, (following, ends) in trie.items():
            after, found = self._matcher.read(state, character)
            after_base, _ = self._matcher.read(base, character)
            if found:
                exceptions.update(dict.fromkeys(_all_pieces(following, ends), _BANNED))
            elif after != after_base:
                banned = self._matcher.complete(after)
                number = _BANNED if banned or not ends else self._number(after)
                exceptions.update(dict.fromkeys(ends, number))
                self._walk(following, after, after_base, exceptions)

    def _number(self, state: State) -> int:
        if state not in self._numbers:
            self._numbers[state] = len(self._states)
            self._states.append(state)
        return self._numbers[state]


def _all_pieces(trie: Trie, ends: Sequence[int]) -> list[int]:
    found = list(ends)
    for following, more in trie.values():
        found += _all_pieces(following, more)
    return found


@dataclass(frozen=True)
class ForbiddenPhrases(ScoreAdjuster):
    """Excludes the pieces that would complete a phrase.

    Attributes:
        rows: [R, V], the next state of each piece; -1: the piece is excluded.
        row_of: [S], the row of each state.
        exceptions: [S, K], pieces whose next state differs from the row; -1: no piece.
        following: [S, K], the next states of these pieces; -1: the piece is excluded.
        begin: [A, 1], the state of each sentence in which no phrase has begun.
        states: [A, M], the states of the hypotheses.
    """

    rows: Tensor
    row_of: Tensor
    exceptions: Tensor
    following: Tensor
    begin: Tensor
    states: Tensor

    @classmethod
    def of(cls, automata: Sequence[PhraseAutomaton], device: torch.device) -> "ForbiddenPhrases":
        """Begin with one hypothesis per sentence; ``automata`` has one automaton per sentence."""
        distinct = list({id(automaton): automaton for automaton in automata}.values())
        rows: list[Tensor] = []
        row_of: list[int] = []
        pieces: list[Tensor] = []
        following: list[Tensor] = []
        starts: dict[int, int] = {}
        for number, automaton in enumerate(distinct):
            first = starts[id(automaton)] = len(row_of)
            for row in automaton.rows:
                states = torch.tensor(row)
                rows.append(torch.where(states == _BANNED, _BANNED, states + first))
            row_of += [2 * number + base for base in automaton.row_of]
            for exceptions in automaton.exceptions:
                pieces.append(torch.tensor(list(exceptions), dtype=torch.long))
                states = torch.tensor(list(exceptions.values()), dtype=torch.long)
                following.append(torch.where(states == _BANNED, _BANNED, states + first))
        none = torch.full((1,), -1)  # at least one column
        tables = [
            pad_sequence([none, *of], batch_first=True, padding_value=-1)[1:]
            for of in (pieces, following)
        ]
        begin = torch.tensor([[starts[id(automaton)] + _BETWEEN] for automaton in automata])
        parts = torch.stack(rows), torch.tensor(row_of), *tables, begin, begin
        return cls(*(part.to(device) for part in parts))

    def adjust(self, scores: Tensor, log_probs: Tensor, step: Tensor) -> Tensor:
        """Exclude the pieces that would complete a phrase."""
        scores = scores.masked_fill(self.rows[self.row_of[self.states]] == _BANNED, NEVER)
        pieces = self.exceptions[self.states]  # [A, M, K]
        excluded = (pieces >= 0) & (self.following[self.states] == _BANNED)
        # Other columns exclude PAD, which search never allows.
        return scores.scatter(2, pieces.masked_fill(~excluded, 0), NEVER)

    def extended(self, parents: Tensor, pieces: Tensor) -> "ForbiddenPhrases":
        """Read the new pieces.

        A forced prefix may contain a phrase, because previous translations are not part of the
        sentence. Then the next phrase begins after it.
        """
        before = self.states.gather(1, parents)  # [A, N]
        after = self.rows[self.row_of[before], pieces]
        same = self.exceptions[before] == pieces[:, :, None]  # [A, N, K]
        elsewhere = self.following[before].masked_fill(~same, _BANNED).amax(2)
        after = torch.where(same.any(2), elsewhere, after)
        # An unused beam, too, may have read any piece.
        return replace(self, states=torch.where(after == _BANNED, self.begin, after))

    def select(self, sentences: Tensor) -> "ForbiddenPhrases":
        """Return only some sentences."""
        return replace(self, begin=self.begin[sentences], states=self.states[sentences])
