"""Search in documents: the previous sentences are the context of each sentence.

The context of a source is part of the input, so all sentences may share batches. The context of a
target is the model's own translations. So search translates the first sentences of all documents
together, then the second ones, and so on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from nmt.config.document_context import DECODER_SETTING, is_hierarchical
from nmt.config.schema import Config
from nmt.decoding.batches import Advance
from nmt.decoding.constrained.constraints import Constraints
from nmt.decoding.engine import Engine
from nmt.decoding.translator import Translation
from nmt.errors import UserError
from nmt.text.sentence_context import (
    ContextSize,
    PreviousSentences,
    join_sentences,
    own_sentence,
    split_sentences,
)
from nmt.text.special_tokens import SENTENCE_BREAK, UNK
from nmt.text.tokenizer import TokenizerPair

Documents = Sequence[int] | None
"""The number of the document of each sentence; None: a blank sentence ends a document."""


def common_context(configs: Iterable[Config]) -> ContextSize:
    """Return the amount of context that the models of an ensemble read.

    Raises:
        UserError: The models read different amounts of context, or only some of them attend to
            previous targets.
    """
    known = list(configs)
    sizes = [ContextSize.of(config.data) for config in known]
    if len({is_hierarchical(config.model.decoder) for config in known}) > 1:
        raise UserError(
            f"{DECODER_SETTING} and another decoder read previous translations in two ways, so "
            "they cannot be an ensemble: name models that were trained alike"
        )
    if len({(size.sources, size.targets) for size in sizes}) > 1:
        raise UserError(
            "the models of an ensemble must read the same context, but their "
            f"data.context_sentences and data.context_targets are "
            f"{', '.join(f'{size.sources} and {size.targets}' for size in sizes)}: name models "
            "that were trained alike"
        )
    return min(sizes, key=lambda size: size.max_length)


class ContextLines:
    """Adds the context of previous sentences to the sentences of a document, in order.

    If a sentence contains the separator, the text before the separator is the context instead.
    """

    def __init__(
        self, tokenizers: TokenizerPair, size: ContextSize, *, blank_ends: bool = True
    ) -> None:
        """Begin a document; ``size`` is the amount of context that the models read."""
        self._tokenizers = tokenizers
        self._blank_ends = blank_ends
        self._previous: PreviousSentences[str] = PreviousSentences(size)
        self.translations: list[str] = []
        """The previous translations for the last joined sentence, oldest first."""

    def begin(self) -> None:
        """Begin a document."""
        self._previous.begin()

    def joined(self, sentence: str) -> str:
        """Return a sentence with its context before it."""
        tokenizer = self._tokenizers.source
        tags, text = tokenizer.split_tags(sentence)
        if not text.strip():
            if self._blank_ends:
                self.begin()
            self.translations = []
            return sentence
        if SENTENCE_BREAK in text:
            self.begin()
            for part in split_sentences(text)[:-1]:
                self._add(part, "")
            self.translations = []
            return sentence
        before, self.translations = self._previous.context(len(tokenizer.encode(sentence)))
        return tags + join_sentences(before, text)

    def add(self, sentence: str, translation: str = "") -> None:
        """Add a joined sentence, and its translation if given, to the context of the next one."""
        text = own_sentence(self._tokenizers.source.split_tags(sentence)[1])
        if text.strip():
            self._add(text, translation)

    def _add(self, text: str, translation: str) -> None:
        tokenizer = self._tokenizers.target
        ids = [piece for piece in tokenizer.encode(translation) if piece != UNK]
        if translation:  # the translation becomes a prefix, which must not contain UNK
            translation = tokenizer.decode(ids)
        pieces = len(self._tokenizers.source.encode(text))
        self._previous.add((text, pieces), (translation, len(ids)))


def with_context(
    tokenizers: TokenizerPair, size: ContextSize, sentences: Sequence[str], documents: Documents
) -> list[str]:
    """Return sentences with their contexts, joined as in training.

    Args:
        tokenizers: The tokenizers of the model.
        size: The amount of context that the model reads; if 0, the sentences do not change.
        sentences: In the order of their documents.
        documents: The document of each sentence.
    """
    if not size:
        return list(sentences)
    lines = ContextLines(tokenizers, size, blank_ends=documents is None)
    found = []
    for index, sentence in enumerate(sentences):
        if documents is not None and index and documents[index] != documents[index - 1]:
            lines.begin()
        found.append(lines.joined(sentence))
        lines.add(sentence)
    return found


def translate_documents(
    engine: Engine,
    size: ContextSize,
    sentences: Sequence[str],
    documents: Documents = None,
    *,
    advance: Advance = lambda done, share: None,
) -> list[Translation]:
    """Return the best translations of sentences, with the context that the model reads.

    Args:
        engine: Translates the sentences.
        size: The amount of context that the model reads.
        sentences: In the order of their documents.
        documents: The document of each sentence.
        advance: See `nmt.decoding.translator.Translator.translate`.

    Returns:
        One translation per sentence, without the context of the target.
    """
    if not size.targets:
        joined = with_context(engine.tokenizers, size, sentences, documents)
        return engine.translate(joined, wanted=1, advance=advance)
    found: dict[int, Translation] = {}
    waves = _Waves(engine.tokenizers, size, sentences, documents)
    for indices in waves:
        joined, prefixes = waves.joined(indices)
        results = engine.translate(
            joined,
            wanted=1,
            constraints=[target_context(before) for before in prefixes],
            advance=lambda done, share: advance(
                len(found) + done, (len(found) + done) / len(sentences)
            ),
        )
        for index, before, result in zip(indices, prefixes, results, strict=True):
            found[index] = without_context(result, len(before))
            waves.add(index, found[index].text)
    return [found[index] for index in range(len(sentences))]


def target_context(previous: Sequence[str]) -> Constraints:
    """Return constraints with these previous translations as context."""
    return Constraints(context=tuple(previous))


def without_context(translation: Translation, previous: int) -> Translation:
    """Remove the previous translations from the texts of a translation."""
    return replace(translation, texts=[own_translation(t, previous) for t in translation.texts])


def own_translation(text: str, previous: int) -> str:
    """Remove the translations of the previous sentences from a text."""
    if SENTENCE_BREAK not in text:
        return text
    return " ".join(part for part in split_sentences(text)[previous:] if part)


class _Waves:
    """The first sentences of all documents, then the second ones, and so on."""

    def __init__(
        self,
        tokenizers: TokenizerPair,
        size: ContextSize,
        sentences: Sequence[str],
        documents: Documents,
    ) -> None:
        self._sentences = sentences
        self._lines: dict[int, ContextLines] = {}
        self._waves: list[list[int]] = []
        blank_ends = documents is None
        lines, step = ContextLines(tokenizers, size, blank_ends=blank_ends), 0
        for index, sentence in enumerate(sentences):
            if self._begins(index, documents):
                lines, step = ContextLines(tokenizers, size, blank_ends=blank_ends), 0
            self._lines[index] = lines
            if step == len(self._waves):
                self._waves.append([])
            self._waves[step].append(index)
            step += bool(sentence.strip())

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._waves)

    def _begins(self, index: int, documents: Documents) -> bool:
        if index == 0:
            return True
        if documents is not None:
            return documents[index] != documents[index - 1]
        return not self._sentences[index - 1].strip()

    def joined(self, indices: Sequence[int]) -> tuple[list[str], list[list[str]]]:
        """Return the sentences with their contexts, and the previous translations of each."""
        joined, prefixes = [], []
        for index in indices:
            lines = self._lines[index]
            joined.append(lines.joined(self._sentences[index]))
            prefixes.append(list(lines.translations))
        return joined, prefixes

    def add(self, index: int, translation: str) -> None:
        """Add the translation of a sentence to its document."""
        self._lines[index].add(self._sentences[index], translation)
