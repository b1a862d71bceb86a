"""The translations of lines: for each line, different texts, best first.

A line may have several parts, which are translated separately.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from nmt.decoding.constrained.constraints import Constraints
from nmt.decoding.engine import Engine
from nmt.decoding.minimum_risk import expected_chrf
from nmt.decoding.sampling import Sampling
from nmt.decoding.sentence_features import PART_STEP
from nmt.decoding.translator import Translation

Item = TypeVar("Item")

MORE_ROUNDS = 3
"""The greatest number of further searches or draws for a sentence with too few texts."""

_LARGEST_BEAM = 1000
_NOT_SPACED = ("zh", "yue", "ja")  # languages without a space between sentences


@dataclass(frozen=True)
class ScoredText:
    """A translation and its score.

    Attributes:
        score: Score of the hypothesis, or its expected chrF; the sum over the parts of a line.
        text: One line of text.
        parts: For each part of the line that is not blank, its translations, and the index of the
            translation in ``text``.
    """

    score: float
    text: str
    parts: tuple[tuple[Translation, int], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class Answer:
    """The answer to one line.

    Attributes:
        texts: The different translations, best first, or in the order of the draws. A blank line
            has one empty text with the score 0.
        translation: The translation of the first part.
    """

    texts: list[ScoredText]
    translation: Translation


def part_separator(target_language: str) -> str:
    """Return the separator between the translations of the parts of a line."""
    language = target_language.replace("_", "-").split("-")[0].lower()
    return "" if language in _NOT_SPACED else " "


def part_numbers(lines: Sequence[Sequence[str]], numbers: Sequence[int]) -> list[int]:
    """Return a number for each part of each line. The samples of a part depend on its number.

    Args:
        lines: The parts of each line.
        numbers: The number of each line, which is also the number of its first part.
    """
    return [
        number + index * PART_STEP
        for number, line in zip(numbers, lines, strict=True)
        for index in range(len(line))
    ]


def same_ranks(parts: Sequence[Sequence[Item]]) -> Iterator[list[Item]]:
    """Yield the first candidates of all parts, then the second; a short list repeats the last."""
    for rank in range(max(map(len, parts), default=0)):
        yield [part[min(rank, len(part) - 1)] for part in parts]


class Answerer:
    """Translates lines that may have several parts.

    Attributes:
        translator: Translates the parts.
    """

    def __init__(
        self,
        translator: Engine,
        n_best: int,
        sampling: Sampling | None,
        target_language: str,
        *,
        minimum_risk: bool = False,
    ) -> None:
        """Return at most ``n_best`` texts per line, from a search or from samples.

        Args:
            translator: Translates the parts.
            n_best: N.
            sampling: How to sample; None: search.
            target_language: Decides the separator of parts.
            minimum_risk: Whether to return the samples with the greatest expected chrF.
        """
        self.translator = translator
        self._n_best = n_best
        self._sampling = sampling
        self._minimum_risk = minimum_risk
        self._space = part_separator(target_language)

    def answer(
        self,
        lines: Sequence[Sequence[str]],
        numbers: Sequence[int],
        *,
        constraints: Sequence[Constraints] | None = None,
        need_weights: bool = False,
        advance: Callable[[float], None] = lambda share: None,
    ) -> list[Answer]:
        """Translate lines.

        Args:
            lines: The parts of each line, at least one.
            numbers: The number of each line in the input, from 0. Samples depend on it.
            constraints: The constraints of each line; None: no constraints. The prefix applies to
                the first part, and the required phrases apply to the last part. So a line with
                required phrases should have one part.
            need_weights: Whether the translations have attention weights.
            advance: Called after each batch with the finished share of the work.
        """
        parts = [part for line in lines for part in line]
        of_parts = part_numbers(lines, numbers)
        asked = part_constraints(lines, constraints)
        found = self.translator.translate(
            parts,
            constraints=asked,
            need_weights=need_weights,
            sampling=self._sampling,
            numbers=of_parts,
            wanted=1 if self._n_best == 1 else None,  # several may have the same text
            advance=lambda done, share: advance(share),
        )
        if self._minimum_risk:
            texts = [self._of_least_risk(translation) for translation in found]
        else:
            texts = self._different_texts(parts, of_parts, asked, found, need_weights=need_weights)
        answers = []
        start = 0
        for line in lines:
            mine = slice(start, start + len(line))
            answers.append(Answer(self._joined(texts[mine]), found[start]))
            start += len(line)
        return answers

    def _joined(self, parts: Sequence[Sequence[ScoredText]]) -> list[ScoredText]:
        """Join the first texts of all parts, then the second ones; see `same_ranks`."""
        if len(parts) == 1:
            return list(parts[0])
        joined = []
        for chosen in same_ranks(parts):
            text = self._space.join(one.text for one in chosen if one.text)
            found = tuple(part for one in chosen for part in one.parts)
            joined.append(ScoredText(sum(one.score for one in chosen), text, found))
        return _different(joined)

    def _of_least_risk(self, translation: Translation) -> list[ScoredText]:
        """Return the samples with the greatest expected chrF, best first."""
        if not translation.hypotheses:
            return [ScoredText(0.0, "")]
        ranked = [
            ScoredText(value, text, ((translation, translation.texts.index(text)),))
            for text, value in expected_chrf(translation.texts).items()
        ]
        return ranked[: self._n_best]

    def _different_texts(
        self,
        parts: Sequence[str],
        of_parts: Sequence[int],
        asked: Sequence[Constraints] | None,
        found: Sequence[Translation],
        *,
        need_weights: bool,
    ) -> list[list[ScoredText]]:
        """Return N different texts of each part, or fewer if `MORE_ROUNDS` attempts find fewer."""
        texts = [self._texts(translation) for translation in found]
        lacking = [i for i, t in enumerate(found) if t.hypotheses and len(texts[i]) < self._n_best]
        for attempt in range(1, MORE_ROUNDS + 1):
            if not lacking:
                break
            sentences, numbers = [parts[i] for i in lacking], [of_parts[i] for i in lacking]
            mine = None if asked is None else [asked[i] for i in lacking]
            more = self._attempt(attempt, sentences, numbers, mine, need_weights=need_weights)
            still_lacking = []
            for i, translation in zip(lacking, more, strict=True):
                before = len(texts[i])
                texts[i] = self._merged(texts[i], self._texts(translation))
                grew = len(texts[i]) > before
                if len(texts[i]) < self._n_best and (grew or self._sampling is None):
                    still_lacking.append(i)
            lacking = still_lacking
        return [some[: self._n_best] for some in texts]

    def _attempt(
        self,
        attempt: int,
        sentences: Sequence[str],
        numbers: Sequence[int],
        asked: Sequence[Constraints] | None,
        *,
        need_weights: bool,
    ) -> list[Translation]:
        """Draw further samples, or search with a wider beam."""
        if self._sampling is not None:
            further = replace(self._sampling, first_sample=attempt * self._sampling.count)
            return self.translator.translate(
                sentences,
                need_weights=need_weights,
                sampling=further,
                numbers=numbers,
                constraints=asked,
            )
        decoding = self.translator.decoding
        size = min(_LARGEST_BEAM, decoding.beam_size << attempt)
        size -= size % decoding.beam_groups
        wider = self.translator.with_beam(size)
        return wider.translate(sentences, need_weights=need_weights, constraints=asked)

    def _texts(self, translation: Translation) -> list[ScoredText]:
        """Return the different texts. An N-best list has no tabs, which separate its columns."""
        if not translation.hypotheses:
            return [ScoredText(0.0, "")]
        texts = translation.texts
        if self._n_best > 1:
            texts = [text.replace("\t", " ") for text in texts]
        pairs = zip(translation.hypotheses, texts, strict=True)
        return _different(
            [
                ScoredText(hypothesis.score, text, ((translation, rank),))
                for rank, (hypothesis, text) in enumerate(pairs)
            ]
        )

    def _merged(self, texts: list[ScoredText], more: Sequence[ScoredText]) -> list[ScoredText]:
        """Add other texts; from a search, only texts that are not better than the best text."""
        if self._sampling is not None:
            return _different([*texts, *more])
        others = [text for text in more if text.score <= texts[0].score]
        merged = sorted([*texts, *others], key=lambda text: text.score, reverse=True)
        return _different(merged)


def part_constraints(
    lines: Sequence[Sequence[str]], constraints: Sequence[Constraints] | None
) -> list[Constraints] | None:
    """Return the constraints of every part of every line."""
    if constraints is None:
        return None
    found = []
    for line, asked in zip(lines, constraints, strict=True):
        for index in range(len(line)):
            first, last = index == 0, index == len(line) - 1
            found.append(
                Constraints(
                    asked.prefix if first else "",
                    asked.required if last else (),
                    asked.forbidden,
                    asked.context,
                )
            )
    return found


def whole_lines(constraints: Sequence[Constraints] | None) -> set[int]:
    """Return the indices of lines with required phrases, which are not cut into parts."""
    return {index for index, one in enumerate(constraints or ()) if one.required}


def _different(texts: Sequence[ScoredText]) -> list[ScoredText]:
    """Return the first of all texts that are equal."""
    first: dict[str, ScoredText] = {}
    for text in texts:
        first.setdefault(text.text, text)
    return list(first.values())
