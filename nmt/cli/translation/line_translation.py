"""The loop of `nmt translate`: it writes one answer for each line, in order."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from nmt.cli.options.constraint_options import LineConstraints
from nmt.cli.translation.answer_output import AnswerOutput
from nmt.cli.translation.answer_writing import AnswerWriting
from nmt.cli.translation.input_lines import RawLine
from nmt.cli.translation.line_faults import LineFaultError, LineFaults
from nmt.data.features import Features
from nmt.decoding.answers import Answer
from nmt.decoding.constrained.constraints import Constraints
from nmt.decoding.document_answers import DocumentAnswerer
from nmt.decoding.line_lengths import LongLines
from nmt.decoding.long_lines import MOST_PIECES, source_lengths, split_line
from nmt.errors import UserError

Advance = Callable[[Sequence[RawLine], float], None]


@dataclass(frozen=True)
class _Line:
    """A line that is translated: its text, its parts, and the constraints on its translation."""

    text: str
    parts: list[str]
    constraints: Constraints


@dataclass(frozen=True)
class LineTranslation:
    """Translates lines and writes their answers.

    Attributes:
        answerer: Translates.
        output: Receives the answers.
        faults: Decodes lines, and treats faulty ones.
        writing: How an answer is written.
        long_lines: What happens to lines with more than ``max_length`` pieces.
        max_length: The greatest number of pieces of a line that is not cut.
        constraints: The constraints on the translation of each line; None: there are none.
        features: The features of the lines; None: there are none.
    """

    answerer: DocumentAnswerer
    output: AnswerOutput
    faults: LineFaults
    writing: AnswerWriting
    long_lines: LongLines
    max_length: int
    constraints: LineConstraints | None = None
    features: Features | None = None

    def run(
        self, chunks: Iterable[list[RawLine]], advance: Advance = lambda lines, share: None
    ) -> None:
        """Translate lists of lines; the lines of a list share batches.

        Args:
            chunks: The lines.
            advance: Called with a list and the share of the list that is done.

        Raises:
            UserError: A line is faulty and `LineErrors.STRICT` was chosen: all lines before it are
                translated. Or the output cannot be written, or a line has no features, or features
                have no line.
        """
        read = 0
        for chunk in chunks:
            self.translate(chunk, advance=partial(advance, chunk))
            advance(chunk, 1.0)
            read += len(chunk)
        if self.features is not None:
            self.features.check_count(read, "the input")
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
        asked = [line.constraints for line in prepared]
        answers = self.answerer.answer(
            [line.parts for line in prepared],
            numbers,
            constraints=None if self.constraints is None else asked,
            need_weights=need_weights or self.writing.needs_weights,
            advance=lambda share: advance(0.99 * share),
        )
        for number, line, answer in zip(numbers, prepared, answers, strict=True):
            self._warn_of_missing(number + 1, line.constraints, answer)
        self.output.write(
            [
                self.writing.lines(number, line.text, answer)
                for number, line, answer in zip(numbers, prepared, answers, strict=True)
            ]
        )
        if fault is None:
            return answers
        raise LineFaultError(f"{fault}; lines translated before it: {self.output.answers:,}")

    def _prepare(self, lines: Sequence[RawLine]) -> tuple[list["_Line"], LineFaultError | None]:
        """Return the lines up to a fault, and the fault."""
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
        prepared: list[_Line] = []
        lengths = source_lengths(self.answerer.translator.tokenizers.source, texts)
        for line, text, length, wanted in zip(lines, texts, lengths, asked, strict=False):
            try:
                parts = self._parts(line.number, text, length, whole=bool(wanted.required))
            except LineFaultError as error:
                return prepared, error
            prepared.append(_Line(text, parts, wanted))
        return prepared, fault

    def _constrained(self, number: int, text: str) -> tuple[str, Constraints]:
        """Return the text of a line and its constraints; no text if a constraint is faulty."""
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
        """Warn if the search found no translation with all required phrases."""
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

        Required phrases may belong to any part, so a line with required phrases stays ``whole``.
        """
        whole = whole or self.long_lines == LongLines.WHOLE
        limit = MOST_PIECES if whole else self.max_length
        if length <= limit:
            return [text]
        bound = "" if whole else "--max-length "
        problem = f"has {length:,} pieces, more than {bound}{limit:,}"
        cuts = self.answerer.cuts_lines
        if not cuts and not whole:
            problem += ", and cannot be cut, because the model reads its own translations"
        if whole or not cuts or self.long_lines != LongLines.SPLIT:
            other = "split" if cuts else "whole"
            more = "" if whole and not cuts else f" add --long-lines {other}, or"
            return [self.faults.skipped(number, problem, f"cut it, or{more}")]
        parts = split_line(self.answerer.translator.tokenizers.source, text, limit)
        self.faults.warnings.add(
            "lines translated in parts",
            f"{self.faults.place(number)} {problem}; it is translated in {len(parts):,} parts",
        )
        return parts
