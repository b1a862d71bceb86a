"""Views of hierarchical attention: from a sentence to the words of previous ones, and to these.

Legend: H heads, S pieces of a row with EOS, k previous sentences at most.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy.typing as npt
import torch

from nmt.data.batches.batch import collate
from nmt.decoding.document_search import ContextLines, translate_documents
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.attention.attention_map import EOS_WORD, AttentionMap
from nmt.evaluation.attention.attention_view import AttentionView
from nmt.model.documents.hierarchical_attention import ContextWeights
from nmt.model.documents.hierarchical_decoder import HierarchicalDecoder
from nmt.model.documents.hierarchical_encoder import HierarchicalEncoder
from nmt.model.documents.sentence_segments import Segments
from nmt.text.sentence_context import ContextSize, join_sentences, split_sentences
from nmt.text.special_tokens import EOS_SURFACE, SENTENCE_BREAK
from nmt.text.tokenizer import Tokenizer


def context_views(
    translator: Translator,
    size: ContextSize,
    sentences: Sequence[str],
    advance: Callable[[int], None] = lambda done: None,
) -> list[AttentionView]:
    """View both levels of attention of each sentence to the previous ones, in float32.

    Args:
        translator: Its encoder, its decoder or both read each previous sentence on its own. If the
            decoder does, the sentences are translated.
        size: How much of a document the model reads.
        sentences: In the order of their documents; a blank one ends a document.
        advance: Called after each sentence with the number of sentences so far.

    Returns:
        For each sentence with a context, a map of the words of each previous sentence, the oldest
        first, then one of the sentences. Rows are pieces of the sentence. Those of the encoder come
        before those of the decoder, which show translations.

    Raises:
        UserError: The model has no such attention, or no sentence has a context.
    """
    encoder, decoder = translator.model.encoder, translator.model.decoder
    of_source = isinstance(encoder, HierarchicalEncoder)
    of_target = isinstance(decoder, HierarchicalDecoder)
    if not of_source and not of_target:
        raise UserError(
            "--context shows the attention of model.encoder.context=hierarchical or "
            "model.decoder.context=hierarchical, neither of which this model has: leave it out"
        )
    rows = _rows(translator, size, sentences, translated=of_target)
    views: list[AttentionView] = []
    for number, (source, target) in enumerate(rows, start=1):
        if source.strip():
            views += _source_views(translator, source) if of_source else ()
            views += _target_views(translator, source, target) if of_target else ()
        advance(number)
    if not views:
        raise UserError(
            "no sentence has a previous one: give lines that follow each other by --source FILE, "
            "or put <brk> between two sentences"
        )
    return views


def _rows(
    translator: Translator, size: ContextSize, sentences: Sequence[str], *, translated: bool
) -> Iterator[tuple[str, str]]:
    """Yield each sentence after its context; and its translation, if asked for, likewise."""
    texts = [""] * len(sentences)
    if translated:
        texts = [found.text for found in translate_documents(translator, size, sentences)]
    lines = ContextLines(translator.tokenizers, size)
    for sentence, text in zip(sentences, texts, strict=True):
        source = lines.joined(sentence)
        yield source, join_sentences(lines.translations, text)
        lines.add(sentence, text)


def _source_views(translator: Translator, source: str) -> Iterator[AttentionView]:
    encoder = translator.model.encoder
    assert isinstance(encoder, HierarchicalEncoder)
    tokenizer = translator.tokenizers.source
    batch = collate([tokenizer.encode(source)], [[]]).to(translator.model.output.weight.device)
    with torch.inference_mode():
        segments = encoder.segments(batch.source_ids, batch.source_mask)
        found = encoder.context_weights(batch.source_ids, batch.source_mask)
    yield from _views(found, segments, tokenizer, source, ("sentence", "sentences", ""))


def _target_views(translator: Translator, source: str, target: str) -> Iterator[AttentionView]:
    model, tokenizers = translator.model, translator.tokenizers
    decoder = model.decoder
    assert isinstance(decoder, HierarchicalDecoder)
    ids = tokenizers.source.encode(source), tokenizers.target.encode(target)
    batch = collate([ids[0]], [ids[1]]).to(model.output.weight.device)
    with torch.inference_mode():
        encoded = model.encode(batch.source_ids, batch.source_mask)
        found, segments = decoder.context_weights(batch.target_input_ids, encoded)
    names = "translation", "translations", "the decoder's "
    yield from _views(found, segments, tokenizers.target, target, names)


def _views(
    found: ContextWeights,
    segments: Segments,
    tokenizer: Tokenizer,
    text: str,
    names: tuple[str, str, str],
) -> Iterator[AttentionView]:
    """Yield the maps of a row.

    Args:
        found: The weights of this one row.
        segments: Where its sentences are; a state of a decoder is named by the piece after it.
        tokenizer: That of the row.
        text: The row.
        names: What the titles call a sentence and sentences, and what they begin with.
    """
    one, several, whose = names
    of_words, of_sentences = (
        weights[0].float().cpu().numpy() for weights in (found.words, found.sentences)
    )
    ids, words = tokenizer.encode_words(text)
    pieces, numbers = [*tokenizer.pieces(ids), EOS_SURFACE], [*words, EOS_WORD]
    ages, sentences = segments.ages[0].tolist(), split_sentences(text)
    rows = [place for place, age in enumerate(ages) if age == 0]
    oldest = min(max(ages), len(of_words))

    def view(
        weights: npt.NDArray[Any], columns: list[str], words: list[int], read: str, title: str
    ) -> AttentionView:
        own = [pieces[row] for row in rows], [numbers[row] for row in rows]
        shown = AttentionMap(weights, columns, own[0], words, own[1])
        return AttentionView(shown, read, sentences[-1], title, heading=title)

    for age in range(oldest, 0, -1):
        places = [place for place, other in enumerate(ages) if other == age]
        yield view(
            of_words[None, age - 1][:, :, rows][..., places],
            [pieces[place] for place in places],
            [numbers[place] for place in places],
            sentences[-1 - age],
            f"{whose}attention to the words of {one} {age} before",
        )
    if oldest:
        yield view(
            of_sentences[None, :, rows, :oldest][..., ::-1],
            [f"{age} before" for age in range(oldest, 0, -1)],
            list(range(oldest)),
            f" {SENTENCE_BREAK} ".join(sentences[-1 - oldest : -1]),
            f"{whose}attention to the previous {several}",
        )
