"""Constraints on the translation of a sentence, as text and as pieces.

Legend: B sentences of a batch, U greatest number of pieces of a target context.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from nmt.data.batches.batch import pad
from nmt.decoding.constrained.forbidden_phrases import (
    ForbiddenPhrases,
    PhraseAutomaton,
    automaton_of,
)
from nmt.decoding.constrained.forced_prefix import ForcedPrefix
from nmt.decoding.constrained.phrase_matcher import PhraseMatcher, in_word
from nmt.decoding.constrained.required_phrases import RequiredPhrases
from nmt.decoding.constrained.target_pieces import TargetPieces
from nmt.decoding.score_adjusters import Adjusters, ExcludedPiece, ScoreAdjuster
from nmt.decoding.search_loop import Source
from nmt.errors import UserError
from nmt.text.special_tokens import PAD, SENTENCE_BREAK
from nmt.text.tokenizer import Tokenizer

_MOST_AUTOMATA = 1000  # greatest number of automata in the cache


@dataclass(frozen=True)
class Constraints:
    """Texts that the translation of a sentence must contain or must not contain.

    Attributes:
        prefix: The beginning of the translation. If it ends with a space, a new word follows.
            Otherwise, its last word may continue.
        required: Phrases that the translation contains as whole words, in any order.
        forbidden: Phrases that the translation does not contain as whole words. A phrase is also
            excluded if later pieces would continue its last word.
        context: The translations of the previous sentences, oldest first. The translation begins
            with them, unless the decoder attends to them; see `ConstraintEncoder`.
    """

    prefix: str = ""
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    context: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any constraint."""
        return bool(self.prefix or self.required or self.forbidden or self.context)

    def and_(self, other: "Constraints") -> "Constraints":
        """Join two constraints. A prefix or context of ``other`` replaces that of this object."""
        return Constraints(
            other.prefix or self.prefix,
            (*self.required, *other.required),
            (*self.forbidden, *other.forbidden),
            other.context or self.context,
        )

    @property
    def context_text(self) -> str:
        """The previous translations, each followed by the separator."""
        return "".join(f"{text} {SENTENCE_BREAK} " for text in self.context)


@dataclass(frozen=True)
class PieceConstraints:
    """The constraints of a sentence in pieces.

    Attributes:
        prefix: The first pieces of the translation.
        closed: Whether a word must end after the prefix.
        required: The pieces of each required phrase.
        closing: Whether a word must end after each required phrase.
        forbidden: The automaton of the forbidden phrases; None: no forbidden phrases.
        context: The previous translations that the decoder attends to, each followed by the
            separator.
    """

    prefix: tuple[int, ...]
    closed: bool
    required: tuple[tuple[int, ...], ...]
    closing: tuple[bool, ...]
    forbidden: PhraseAutomaton | None
    context: tuple[int, ...] = ()

    @property
    def pieces(self) -> list[int]:
        """The pieces of the prefix and of the required phrases."""
        return [*self.prefix, *(piece for phrase in self.required for piece in phrase)]

    @property
    def room(self) -> int:
        """The number of pieces that the constraints need."""
        return len(self.prefix) + sum(map(len, self.required))


@dataclass(frozen=True)
class BatchConstraints:
    """The constraints of a batch on the device of the search.

    Attributes:
        adjusters: Apply the prefixes and the forbidden phrases.
        required: Applies the required phrases; None: no sentence has one.
        room: [B], on the CPU: the pieces that are added to the greatest length of a translation.
        context: [B, U], the previous translations that the decoder attends to, each followed by the
            separator, then PAD; None: no such context.
    """

    adjusters: Adjusters
    required: RequiredPhrases | None
    room: Tensor
    context: Tensor | None = None

    def given_to(self, source: Source) -> Source:
        """Return the batch with the context, and with limits that include the constraints."""
        limits, context = source.limits + self.room, self.context
        if context is not None:
            context = functional.pad(context, (0, 0, 0, source.padding), value=PAD)
        return replace(source, limits=limits, steps=int(limits.max()), previous_targets=context)

    def padded(self, padding: int) -> "BatchConstraints":
        """Add ``padding`` sentences, which get the constraints of the first sentence."""
        if not padding:
            return self
        count = len(self.room)
        rows = torch.tensor([*range(count), *[0] * padding])
        return BatchConstraints(
            tuple(one.select(_beside(one, rows)) for one in self.adjusters),
            None if self.required is None else self.required.select(_beside(self.required, rows)),
            self.room[rows],
            self.context,
        )


def _beside(adjuster: ScoreAdjuster, rows: Tensor) -> Tensor:
    """Return ``rows`` on the device of an adjuster."""
    tensors = [part for part in vars(adjuster).values() if isinstance(part, Tensor)]
    return rows.to(tensors[0].device)


class ConstraintEncoder:
    """Encodes constraints as pieces of a vocabulary.

    If the decoder attends to previous translations, they are an input of the decoder. The model was
    not trained to write the separator, so the separator is excluded. For other decoders, the
    previous translations become a prefix.
    """

    def __init__(self, tokenizer: Tokenizer, *, attends: bool = False) -> None:
        """Use the target tokenizer; ``attends``: the decoder attends to previous translations."""
        self._tokenizer = tokenizer
        self._attends = attends
        self._pieces: TargetPieces | None = None
        self._automata: dict[tuple[str, ...], PhraseAutomaton] = {}

    @property
    def pieces(self) -> TargetPieces:
        """The vocabulary as text, computed when first used."""
        if self._pieces is None:
            self._pieces = TargetPieces(self._tokenizer)
        return self._pieces

    def encode(self, constraints: Constraints) -> PieceConstraints:
        """Return the constraints of a sentence in pieces.

        Raises:
            UserError: A text is blank, contains a character that the vocabulary lacks, or
                contradicts another text.
        """
        forbidden = self._forbidden(constraints)  # does not apply to previous translations
        context: list[int] = []
        if constraints.context:
            if self._attends:
                context = self.pieces.ids(constraints.context_text)
            else:
                prefix_text = constraints.context_text + constraints.prefix
                constraints = replace(constraints, prefix=prefix_text, context=())
        prefix: list[int] = []
        if constraints.prefix:
            prefix = self.pieces.ids(constraints.prefix)
        required: dict[tuple[int, ...], bool] = {}
        for phrase in constraints.required:
            ids = self.pieces.phrase_ids(phrase)
            last = next(text for i in reversed(ids) if (text := self.pieces.surfaces[i]))
            required[tuple(ids)] = in_word(last[-1])
        return PieceConstraints(
            tuple(prefix),
            constraints.prefix != constraints.prefix.rstrip(),
            tuple(required),
            tuple(required.values()),
            forbidden,
            tuple(context),
        )

    def batch(
        self, constraints: Sequence[PieceConstraints], device: torch.device
    ) -> BatchConstraints | None:
        """Return the constraints of a batch; None: no constraints."""
        adjusters: list[ScoreAdjuster] = []
        if any(one.forbidden for one in constraints):
            none = self._automaton(())
            automata = [one.forbidden or none for one in constraints]
            adjusters.append(ForbiddenPhrases.of(automata, device))
        if any(one.prefix for one in constraints):
            prefixes, closed = [one.prefix for one in constraints], [c.closed for c in constraints]
            continues = self.pieces.continues_word
            adjusters.append(ForcedPrefix.of(prefixes, closed, continues, device))
        context = None
        if any(one.context for one in constraints):
            context = pad([one.context for one in constraints]).to(device)
            has_context = torch.tensor([bool(one.context) for one in constraints], device=device)
            separator = torch.tensor([self._tokenizer.symbols[SENTENCE_BREAK]], device=device)
            adjusters.append(ExcludedPiece(has_context, separator))
        required = None
        if any(one.required for one in constraints):
            phrases, closing = (
                [one.required for one in constraints],
                [c.closing for c in constraints],
            )
            required = RequiredPhrases.of(phrases, closing, self.pieces.continues_word, device)
        if not adjusters and required is None:
            return None
        room = torch.tensor([one.room for one in constraints])
        return BatchConstraints(tuple(adjusters), required, room, context)

    def missing(self, constraints: Constraints, text: str) -> list[str]:
        """Return the required phrases that a translation does not contain."""
        spelled = self.pieces.spelled(text)
        return [
            phrase
            for phrase in constraints.required
            if not PhraseMatcher([self.pieces.spelled(phrase)]).found_in(spelled)
        ]

    def _forbidden(self, constraints: Constraints) -> PhraseAutomaton | None:
        spelled = []
        for phrase in constraints.forbidden:
            if not phrase.strip():
                raise UserError(f"{phrase!r} is blank: a forbidden phrase needs a character")
            text = self.pieces.spelled(phrase)
            for wanted in (constraints.prefix, *constraints.required):
                if text and wanted and PhraseMatcher([text]).found_in(self.pieces.spelled(wanted)):
                    raise UserError(f"{wanted!r} is required, but has the forbidden {phrase!r}")
            if text:  # else it contains a character that no translation can contain
                spelled.append(text)
        return self._automaton(tuple(sorted(set(spelled)))) if spelled else None

    def _automaton(self, phrases: tuple[str, ...]) -> PhraseAutomaton:
        if phrases not in self._automata:
            if len(self._automata) >= _MOST_AUTOMATA:
                self._automata.clear()
            self._automata[phrases] = automaton_of(self.pieces, phrases)
        return self._automata[phrases]
