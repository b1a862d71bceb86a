"""Translations of lines that are the sentences of documents, in order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from nmt.decoding.answers import Answer, Answerer
from nmt.decoding.constrained.constraints import Constraints
from nmt.decoding.document_search import ContextLines, own_translation, target_context
from nmt.errors import UserError
from nmt.text.sentence_context import ContextSize


class DocumentAnswerer:
    """Adds previous lines as context to each line, as in training; a blank line ends a document.

    Attributes:
        translator: Translates the lines.
    """

    def __init__(self, answerer: Answerer, size: ContextSize) -> None:
        """Translate with this answerer; ``size`` is the amount of context that the model reads."""
        self.translator = answerer.translator
        self._answerer = answerer
        self._size = size
        self._lines = ContextLines(self.translator.tokenizers, size)

    @property
    def cuts_lines(self) -> bool:
        """Whether a long line may be cut: not if the model reads its own translations."""
        return not self._size.targets

    def answer(
        self,
        lines: Sequence[Sequence[str]],
        numbers: Sequence[int],
        *,
        constraints: Sequence[Constraints] | None = None,
        need_weights: bool = False,
        advance: Callable[[float], None] = lambda share: None,
    ) -> list[Answer]:
        """Translate the next lines; see `nmt.decoding.answers.Answerer.answer`.

        Raises:
            UserError: The model reads its own translations, and a line has several parts or
                required phrases.
        """
        if not self._size.targets:
            joined = [self._joined(parts) for parts in lines] if self._size else lines
            return self._answerer.answer(
                joined,
                numbers,
                constraints=constraints,
                need_weights=need_weights,
                advance=advance,
            )
        self._check(lines, constraints)
        sentences = [parts[0] for parts in lines]
        asked = constraints or [Constraints()] * len(lines)
        found: dict[int, Answer] = {}
        for wave in self._waves(sentences):
            joined = [[context.joined(sentences[index])] for index, context in wave]
            before = [list(context.translations) for _, context in wave]
            answers = self._answerer.answer(
                joined,
                [numbers[index] for index, _ in wave],
                constraints=[
                    replace(asked[index], context=target_context(texts).context)
                    for (index, _), texts in zip(wave, before, strict=True)
                ],
                need_weights=need_weights,
            )
            for (index, context), texts, answer in zip(wave, before, answers, strict=True):
                found[index] = _own(answer, len(texts))
                context.add(sentences[index], found[index].texts[0].text)
            advance(len(found) / len(lines))
        return [found[index] for index in range(len(lines))]

    def _joined(self, parts: Sequence[str]) -> list[str]:
        joined = []
        for part in parts:
            joined.append(self._lines.joined(part))
            self._lines.add(part)
        return joined

    def _check(
        self, lines: Sequence[Sequence[str]], constraints: Sequence[Constraints] | None
    ) -> None:
        reason = f"the model reads its own translations (data.context_targets={self._size.targets})"
        if any(len(parts) > 1 for parts in lines):
            raise UserError(
                f"{reason}, so a long line cannot be cut: write one sentence per line, or add "
                "--long-lines whole"
            )
        if any(one.required for one in constraints or ()):
            raise UserError(f"{reason}, so a translation cannot have required phrases")

    def _waves(self, sentences: Sequence[str]) -> Iterator[list[tuple[int, ContextLines]]]:
        """Yield the first sentences of all documents, then the second ones, and so on.

        The next call may continue the last document.
        """
        waves: list[list[tuple[int, ContextLines]]] = []
        step = 0
        for index, sentence in enumerate(sentences):
            if step == len(waves):
                waves.append([])
            waves[step].append((index, self._lines))
            step += 1
            if not sentence.strip():
                self._lines = ContextLines(self.translator.tokenizers, self._size)
                step = 0
        yield from waves


def _own(answer: Answer, previous: int) -> Answer:
    """Remove the previous translations from the texts of an answer."""
    texts = [replace(one, text=own_translation(one.text, previous)) for one in answer.texts]
    return replace(answer, texts=texts)
