"""The loop of `nmt translate`: lines in, answers out, one for each line, in order."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from nmt.cli.answer_output import AnswerOutput
from nmt.cli.constraint_options import LineConstraints
from nmt.cli.input_lines import RawLine
from nmt.cli.line_faults import LineFaultError, LineFaults
from nmt.decoding.answers import Answer, Answerer
from nmt.decoding.constraints import Constraints
from nmt.decoding.line_lengths import LongLines
from nmt.decoding.long_lines import MOST_PIECES, source_lengths, split_line
from nmt.errors import UserError

Advance = Callable[[Sequence[RawLine], float], None]

NO_SCORE = "-inf"
"""Printed in place of a score, with an empty text, where there are fewer than N different texts."""


@dataclass(frozen=True)
class LineTranslation:
    """Translates lines and writes their answers.

    Attributes:
        answerer: Translates.
        output: Receives the answers.
        faults: Decodes lines, and treats faulty ones.
        n_best: Texts to write for each line; above 1 with scores.
        long_lines: What happens to lines with more than ``max_length`` pieces.
        max_length: The longest line, in pieces, that is translated as it is.
        constraints: What the translation of each line must have; None: nothing.
    """

    answerer: Answerer
    output: AnswerOutput
    faults: LineFaults
    n_best: int
    long_lines: LongLines
    max_length: int
    constraints: LineConstraints | None = None

    def run(
        self, chunks: Iterable[list[RawLine]], advance: Advance = lambda lines, share: None
    ) -> None:
        """Translate lists of lines, each of which shares batches.

        Args:
            chunks: The lines.
            advance: Called with each list and the share of it that is done.

        Raises:
            UserError: A line is faulty and `LineErrors.STRICT` was chosen: all lines before it are
                translated. Or the output cannot be written.
        """
        for chunk in chunks:
            self.translate(chunk, advance=partial(advance, chunk))
            advance(chunk, 1.0)
        if self.constraints is not None:
            self.constraints.finish()
        self.faults.warnings.close()

    def translate(
        self,
        lines: Sequence[RawLine],
        *,
        need_weights: bool = False,
        advance: Callable[[float], None] = lambda share: None,
    ) -> list[Answer]:
        """Translate some lines together and write their answers; see `run`."""
        prepared, fault = self._prepare(lines)
        numbers = [line.number - 1 for line in lines[: len(prepared)]]
        asked = [constraints for _, constraints in prepared]
        answers = self.answerer.answer(
            [parts for parts, _ in prepared],
            numbers,
            constraints=None if self.constraints is None else asked,
            need_weights=need_weights,
            advance=lambda share: advance(0.99 * share),
        )
        for line, constraints, answer in zip(lines, asked, answers, strict=False):
            self._warn_of_missing(line.number, constraints, answer)
        self.output.write([self._output_lines(answer) for answer in answers])
        if fault is None:
            return answers
        raise LineFaultError(f"{fault}; lines translated before it: {self.output.answers:,}")

    def _prepare(
        self, lines: Sequence[RawLine]
    ) -> tuple[list[tuple[list[str], Constraints]], LineFaultError | None]:
        """Return the parts of each line up to a fault with their constraints, and the fault."""
        texts: list[str] = []
        asked: list[Constraints] = []
        fault: LineFaultError | None = None
        for line in lines:
            try:
                text = self.faults.decoded(line)
                text, constraints = self._constrained(line.number, text)
            except LineFaultError as error:
                fault = error
                break
            texts.append(text)
            asked.append(constraints)
        prepared: list[tuple[list[str], Constraints]] = []
        lengths = source_lengths(self.answerer.translator.tokenizers.source, texts)
        for line, text, length, wanted in zip(lines, texts, lengths, asked, strict=False):
            try:
                parts = self._parts(line.number, text, length, whole=bool(wanted.required))
            except LineFaultError as error:
                return prepared, error
            prepared.append((parts, wanted))
        return prepared, fault

    def _constrained(self, number: int, text: str) -> tuple[str, Constraints]:
        """Return a line with its constraints; without its text if they cannot be kept."""
        if self.constraints is None:
            return text, Constraints()
        wanted = self.constraints.next()
        try:
            self.answerer.translator.constraints.encode(wanted)
        except UserError as error:
            return self.faults.skipped(
                number, f"has a faulty constraint: {error}", "correct it, or"
            ), Constraints()
        return text, wanted

    def _warn_of_missing(self, number: int, constraints: Constraints, answer: Answer) -> None:
        """Warn where the search found no translation with all required phrases."""
        if not constraints.required or not answer.translation.hypotheses:
            return
        best = answer.texts[0].text
        for phrase in self.answerer.translator.constraints.missing(constraints, best):
            self.faults.warnings.add(
                "required phrases that a translation does not have",
                f"{self.faults.place(number)}: no translation with {phrase!r} was found",
            )

    def _parts(self, number: int, text: str, length: int, *, whole: bool) -> list[str]:
        """Return the parts of a line that has ``length`` pieces.

        Required phrases may belong to any part, so that a line with them stays ``whole``.
        """
        whole = whole or self.long_lines == LongLines.WHOLE
        limit = MOST_PIECES if whole else self.max_length
        if length <= limit:
            return [text]
        bound = "" if whole else "--max-length "
        problem = f"has {length:,} pieces, more than {bound}{limit:,}"
        if whole or self.long_lines != LongLines.SPLIT:
            return [self.faults.skipped(number, problem, "cut it, or add --long-lines split, or")]
        parts = split_line(self.answerer.translator.tokenizers.source, text, limit)
        self.faults.warnings.add(
            "lines translated in parts",
            f"{self.faults.place(number)} {problem}; it is translated in {len(parts):,} parts",
        )
        return parts

    def _output_lines(self, answer: Answer) -> list[str]:
        """Return one line of text, or for N-best always N lines ``score<TAB>text``."""
        if self.n_best == 1:
            return [answer.texts[0].text]
        lines = [f"{found.score:.4f}\t{found.text}" for found in answer.texts]
        return lines + [f"{NO_SCORE}\t"] * (self.n_best - len(lines))
