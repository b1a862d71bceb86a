"""Translates the texts of documents with a model, and aligns them by its attention."""

from collections.abc import Sequence

import numpy as np

from nmt.config.schema import Config
from nmt.decoding.answers import part_separator
from nmt.decoding.engine import Engine
from nmt.decoding.long_lines import source_lengths, split_line, trained_pieces
from nmt.decoding.translator import Translation
from nmt.documents.protection import Span, placeholder_symbols
from nmt.documents.source_tag import sentence_tag
from nmt.documents.tag_placement import AlignedText, Link
from nmt.errors import UserError
from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor, default_extractor
from nmt.evaluation.attention.attention_map import Weights
from nmt.text.special_tokens import WORD_START

_TOGETHER = 16  # batches translated together, so that a batch has texts of similar length


class ModelTranslation:
    """A model as `nmt.documents.segment_translation.TextTranslator`.

    Attributes:
        together: Number of texts to translate together.
        symbols: Symbols of both vocabularies that replace protected parts.
        space: The separator of two sentences of the target language.
    """

    def __init__(
        self,
        translator: Engine,
        config: Config,
        max_length: int | None = None,
        source_tag: str | None = None,
    ) -> None:
        """Translate with a model.

        Args:
            translator: The model and its search.
            config: The settings of its run.
            max_length: Maximum pieces of a text; a longer one is cut. None: that of training.
            source_tag: The tag before each text; None: the only tag of the training sources.

        Raises:
            UserError: The tag is unknown, none is given though there are several, or the model
                reads previous sentences.
        """
        if config.data.context_sentences:
            raise UserError(
                "the model reads previous sentences (data.context_sentences="
                f"{config.data.context_sentences}), which only lines of text have: leave out "
                "--format, --protect and --source-tag, and give one sentence per line"
            )
        tokenizers = translator.tokenizers
        tag = sentence_tag(source_tag, config.data, tokenizers.source)
        self._tag = f"{tag} " if tag else ""
        self.together = _TOGETHER * translator.decoding.batch_size * translator.processes
        self.symbols: Sequence[str] = placeholder_symbols(
            tokenizers.source.symbols, tokenizers.target.symbols
        )
        self.space = part_separator(config.data.target_language)
        self._translator = translator
        self._config = config
        limit = max_length or trained_pieces(config)
        self._limit = max(1, limit - source_lengths(tokenizers.source, [tag])[0]) if tag else limit
        self._extractor: AlignmentExtractor | None = None

    def translate(self, texts: Sequence[str], *, aligned: bool) -> list[AlignedText]:
        """See `TextTranslator`; without attention, there are no links."""
        attends = aligned and self._translator.attends
        tagged = [self._tag + text for text in texts] if self._tag else texts
        found = self._translator.translate(tagged, need_weights=attends)
        return [AlignedText(one.text, self._links(one) if attends else None) for one in found]

    def split(self, text: str, by_sentences: bool) -> list[str]:
        """See `TextTranslator`."""
        tokenizer = self._translator.tokenizers.source
        if by_sentences or source_lengths(tokenizer, [text])[0] > self._limit:
            return split_line(tokenizer, text, self._limit)
        return [text]

    def _links(self, translation: Translation) -> list[Link] | None:
        """Link each piece of the translation to the piece that it attends to most."""
        if not translation.hypotheses:
            return None
        hypothesis = translation.hypotheses[0]
        if hypothesis.weights is None:
            return None
        weights = hypothesis.weights.float().cpu().numpy()
        layers, heads = weights.shape[:2]
        if self._extractor is None:
            self._extractor = default_extractor(self._config, layers).resolved(layers, heads)
        chosen = self._extractor
        tokenizers = self._translator.tokenizers
        source = piece_spans(tokenizers.source.pieces(translation.source_ids), translation.source)
        target = piece_spans(tokenizers.target.pieces(hypothesis.ids), translation.text)
        links = attention_links(weights, chosen, source, target)
        if not self._tag:
            return links
        shift = len(self._tag)
        return [((max(0, a - shift), b - shift), other) for (a, b), other in links if b > shift]


def attention_links(
    weights: Weights, rule: AlignmentExtractor, source: Sequence[Span], target: Sequence[Span]
) -> list[Link]:
    """Link each target piece to the source piece that it attends to most.

    Args:
        weights: [L, H, T, S] of L layers and H heads; T and S count EOS.
        rule: The layer, the head (None: their mean), and whether the row of a piece is that of the
            next step.
        source: The ranges of the S - 1 source pieces in the source text.
        target: The ranges of the T - 1 target pieces in the translation.

    Returns:
        The links. A piece that attends most to EOS has none.
    """
    layer = weights[rule.layer]
    rows = layer.mean(axis=0) if rule.head is None else layer[rule.head]
    rows = rows[1:] if rule.shift else rows[:-1]
    best = np.argmax(rows, axis=1).tolist()
    return [(source[s], t) for s, t in zip(best, target, strict=False) if s < len(source)]


def piece_spans(pieces: Sequence[str], text: str) -> list[Span]:
    """Return the range of each piece in its text.

    If the normalization changed the length of the text, the ranges are scaled to it.
    """
    lengths = [_length(piece) for piece in pieces]
    skipped = int(bool(pieces) and pieces[0].startswith(WORD_START) and not text.startswith(" "))
    ends = np.maximum(np.cumsum([0, *lengths]) - skipped, 0)
    if ends[-1] != len(text) and ends[-1]:
        ends = np.round(ends * (len(text) / ends[-1]))
    places = [int(end) for end in ends]
    return list(zip(places[:-1], places[1:], strict=True))


def _length(piece: str) -> int:
    """Return the number of characters of a piece; a byte counts if it begins a character."""
    if len(piece) == 6 and piece.startswith("<0x"):
        return int(not 0x80 <= int(piece[3:5], 16) < 0xC0)
    return len(piece)
