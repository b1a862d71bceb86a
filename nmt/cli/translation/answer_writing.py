"""How `nmt translate` writes the answer to a line: text, a table, JSON, or the format of Moses."""

import json
from typing import TYPE_CHECKING, Any

from nmt.cli.options.document_flags import DocumentFlags, OutputFormat
from nmt.config.schema import Config
from nmt.decoding.answers import Answer, ScoredText
from nmt.decoding.engine import Engine
from nmt.text.sentence_context import own_sentence

if TYPE_CHECKING:
    from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor
    from nmt.evaluation.attention.attention_map import AttentionMap

NO_SCORE = "-inf"
"""Printed instead of a score, with an empty text, if there are fewer than N different texts."""

_DIGITS = 6  # decimals of scores in JSON
_WEIGHT_DIGITS = 4  # decimals of attention weights in JSON


class AnswerWriting:
    """Writes answers in one of the formats of ``--output-format``.

    Attributes:
        needs_weights: Whether the format contains results of the attention.
    """

    def __init__(
        self, flags: DocumentFlags, n_best: int, translator: Engine, config: Config
    ) -> None:
        """Write ``n_best`` texts of each answer of a model."""
        self._format = flags.output_format
        self._with_attention = flags.with_attention
        self._n_best = n_best
        self._translator = translator
        self._config = config
        self._extractor: AlignmentExtractor | None = None
        self.needs_weights = self._format == OutputFormat.JSON and translator.attends

    def lines(self, number: int, source: str, answer: Answer) -> list[str]:
        """Return the lines of an answer.

        Args:
            number: The number of the line, from 0.
            source: The line.
            answer: Its translations.
        """
        match self._format:
            case OutputFormat.JSON:
                return [json.dumps(self._record(number, source, answer), ensure_ascii=False)]
            case OutputFormat.MOSES:
                return [_moses(number, found) for found in answer.texts]
            case OutputFormat.TSV:
                before = f"{_cell(source)}\t"
                texts = [f"{before}{line}" for line in self._texts(answer)]
                return texts
        return self._texts(answer)

    def _texts(self, answer: Answer) -> list[str]:
        """Return one line of text, or for N-best always N lines ``score<TAB>text``."""
        if self._n_best == 1:
            text = answer.texts[0].text
            return [_cell(text) if self._format == OutputFormat.TSV else text]
        lines = [f"{found.score:.4f}\t{found.text}" for found in answer.texts]
        return lines + [f"{NO_SCORE}\t"] * (self._n_best - len(lines))

    def _record(self, number: int, source: str, answer: Answer) -> dict[str, Any]:
        best = self._details(answer.texts[0])
        record = {"line": number + 1, "source": source, **best}
        if self._n_best > 1:
            record["n_best"] = [self._details(found) for found in answer.texts]
        return record

    def _details(self, found: ScoredText) -> dict[str, Any]:
        """Return the JSON fields of one text; words are numbered from 0 in the whole line."""
        target = self._translator.tokenizers.target
        hypotheses = [translation.hypotheses[rank] for translation, rank in found.parts]
        details: dict[str, Any] = {
            "translation": found.text,
            "score": round(found.score, _DIGITS),
            "log_prob": round(sum((one.log_prob for one in hypotheses), 0.0), _DIGITS),
            "pieces": [piece for one in hypotheses for piece in target.pieces(one.ids)],
        }
        if not self.needs_weights:
            return details
        from nmt.evaluation.attention.attention_map import hypothesis_map

        maps = [
            hypothesis_map(translation, self._translator.tokenizers, rank)
            for translation, rank in found.parts
        ]
        if all(one.of_text for one in hypotheses):  # regions have no words
            details["alignment"] = self._alignment(found, maps)
        if self._with_attention:
            details["attention"] = [self._weights(one) for one in maps]
        return details

    def _alignment(self, found: ScoredText, maps: "list[AttentionMap]") -> str:
        from nmt.data.word_links import format_links

        links: set[tuple[int, int]] = set()
        before = [0, 0]  # words of earlier parts
        for (translation, rank), one in zip(found.parts, maps, strict=True):
            texts = translation.source, translation.texts[rank]
            shifts = [before[i] - _context_words(text) for i, text in enumerate(texts)]
            mine = ((s + shifts[0], t + shifts[1]) for s, t in self._rule(one).links(one))
            links |= {(s, t) for s, t in mine if s >= before[0] and t >= before[1]}
            before = [shift + len(t.split()) for shift, t in zip(shifts, texts, strict=True)]
        return format_links(links)

    def _weights(self, one: "AttentionMap") -> dict[str, Any]:
        """Return the weights of the layer and head from which the alignment is read."""
        rule = self._rule(one)
        weights = one.layer_head(rule.layer, rule.head)
        rows = [[round(float(weight), _WEIGHT_DIGITS) for weight in row] for row in weights]
        return {"source": one.source, "target": one.target, "weights": rows}

    def _rule(self, one: "AttentionMap") -> "AlignmentExtractor":
        from nmt.evaluation.attention.alignment_extractor import default_extractor

        if self._extractor is None:
            layers, heads = one.weights.shape[:2]
            self._extractor = default_extractor(self._config, layers).resolved(layers, heads)
        return self._extractor


def _context_words(text: str) -> int:
    """Return the number of words before the sentence itself, separators included."""
    return len(text.split()) - len(own_sentence(text).split())


def _cell(text: str) -> str:
    return text.replace("\t", " ")


def _moses(number: int, found: ScoredText) -> str:
    """Return a line of an n-best list of Moses; ``|`` replaces ``|||`` inside the text."""
    log_prob = sum(
        (translation.hypotheses[rank].log_prob for translation, rank in found.parts), 0.0
    )
    text = found.text.replace("|||", "|")
    return f"{number} ||| {text} ||| logprob= {log_prob:.4f} ||| {found.score:.4f}"
