"""The loop of `nmt translate`: lines in, answers out, one for each line, in order."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from nmt.cli.answer_output import AnswerOutput
from nmt.cli.answer_writing import AnswerWriting
from nmt.cli.input_lines import RawLine
from nmt.cli.line_faults import LineFaultError, LineFaults
from nmt.decoding.answers import Answer, Answerer
from nmt.decoding.line_lengths import LongLines
from nmt.decoding.long_lines import MOST_PIECES, source_lengths, split_line

Advance = Callable[[Sequence[RawLine], float], None]


@dataclass(frozen=True)
class LineTranslation:
    """Translates lines and writes their answers.

    Attributes:
        answerer: Translates.
        output: Receives the answers.
        faults: Decodes lines, and treats faulty ones.
        writing: How an answer is written.
        long_lines: What happens to lines with more than ``max_length`` pieces.
        max_length: The longest line, in pieces, that is translated as it is.
    """

    answerer: Answerer
    output: AnswerOutput
    faults: LineFaults
    writing: AnswerWriting
    long_lines: LongLines
    max_length: int

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
        self.faults.warnings.close()

    def translate(
        self,
        lines: Sequence[RawLine],
        *,
        need_weights: bool = False,
        advance: Callable[[float], None] = lambda share: None,
    ) -> list[Answer]:
        """Translate some lines together and write their answers; see `run`."""
        parts, texts, fault = self._prepare(lines)
        numbers = [line.number - 1 for line in lines[: len(parts)]]
        answers = self.answerer.answer(
            parts,
            numbers,
            need_weights=need_weights or self.writing.needs_weights,
            advance=lambda share: advance(0.99 * share),
        )
        self.output.write(
            [
                self.writing.lines(number, text, answer)
                for number, text, answer in zip(numbers, texts, answers, strict=False)
            ]
        )
        if fault is None:
            return answers
        raise LineFaultError(f"{fault}; lines translated before it: {self.output.answers:,}")

    def _prepare(
        self, lines: Sequence[RawLine]
    ) -> tuple[list[list[str]], list[str], LineFaultError | None]:
        """Return the parts and the text of each line up to a fault, and the fault."""
        texts: list[str] = []
        fault: LineFaultError | None = None
        for line in lines:
            try:
                texts.append(self.faults.decoded(line))
            except LineFaultError as error:
                fault = error
                break
        parts: list[list[str]] = []
        lengths = source_lengths(self.answerer.translator.tokenizers.source, texts)
        for line, text, length in zip(lines, texts, lengths, strict=False):
            try:
                parts.append(self._parts(line.number, text, length))
            except LineFaultError as error:
                return parts, texts, error
        return parts, texts, fault

    def _parts(self, number: int, text: str, length: int) -> list[str]:
        """Return the parts of a line that has ``length`` pieces."""
        whole = self.long_lines == LongLines.WHOLE
        limit = MOST_PIECES if whole else self.max_length
        if length <= limit:
            return [text]
        bound = "" if whole else "--max-length "
        problem = f"has {length:,} pieces, more than {bound}{limit:,}"
        if self.long_lines != LongLines.SPLIT:
            return [self.faults.skipped(number, problem, "cut it, or add --long-lines split, or")]
        parts = split_line(self.answerer.translator.tokenizers.source, text, limit)
        self.faults.warnings.add(
            "lines translated in parts",
            f"{self.faults.place(number)} {problem}; it is translated in {len(parts):,} parts",
        )
        return parts
