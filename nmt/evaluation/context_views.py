"""Views of hierarchical attention: to the words of each previous sentence, and to the sentences.

Legend: H heads, S pieces of the whole source with EOS, k previous sentences at most.
"""

from collections.abc import Callable, Iterator, Sequence

import torch

from nmt.data.batch import collate
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.attention_map import EOS_WORD, AttentionMap
from nmt.evaluation.attention_view import AttentionView
from nmt.model.hierarchical_encoder import HierarchicalEncoder
from nmt.text.sentence_context import split_sentences
from nmt.text.special_tokens import EOS_SURFACE, SENTENCE_BREAK


def context_views(
    translator: Translator,
    sources: Sequence[str],
    advance: Callable[[int], None] = lambda done: None,
) -> list[AttentionView]:
    """View both levels of attention of each sentence to the previous ones, in float32.

    Args:
        translator: Its model has a `HierarchicalEncoder`.
        sources: Sentences after their contexts; see `nmt.text.sentence_context.join_sentences`.
        advance: Called after each sentence with the number of sentences so far.

    Returns:
        For each sentence with a context: a map over the words of each previous sentence, the oldest
        first, then a map over these sentences. Rows are pieces of the current sentence.

    Raises:
        UserError: The model has no such attention, or no sentence has a context.
    """
    encoder = translator.model.encoder
    if not isinstance(encoder, HierarchicalEncoder):
        raise UserError(
            "--context shows the attention of model.encoder.context=hierarchical, which this model "
            "does not have: leave it out"
        )
    views: list[AttentionView] = []
    for number, source in enumerate(sources, start=1):
        views += _views(translator, encoder, source)
        advance(number)
    if not views:
        raise UserError(
            "no sentence has a previous one: give lines that follow each other by --source FILE, "
            "or put <brk> between two sentences"
        )
    return views


def _views(
    translator: Translator, encoder: HierarchicalEncoder, source: str
) -> Iterator[AttentionView]:
    tokenizer = translator.tokenizers.source
    ids, words = tokenizer.encode_words(source)
    batch = collate([ids], [[]]).to(translator.model.output.weight.device)
    with torch.inference_mode():
        segments = encoder.segments(batch.source_ids, batch.source_mask)
        found = encoder.context_weights(batch.source_ids, batch.source_mask)
    of_words, of_sentences = (  # [k, H, S, S], [H, S, k]
        weights[0].float().cpu().numpy() for weights in (found.words, found.sentences)
    )
    ages = segments.ages[0].tolist()
    rows = [place for place, age in enumerate(ages) if age == 0]
    pieces, numbers = [*tokenizer.pieces(ids), EOS_SURFACE], [*words, EOS_WORD]
    target, target_words = [pieces[row] for row in rows], [numbers[row] for row in rows]
    sentences = split_sentences(source)
    oldest = min(max(ages), len(of_words))
    for age in range(oldest, 0, -1):
        columns = [place for place, other in enumerate(ages) if other == age]
        shown = AttentionMap(
            of_words[None, age - 1][:, :, rows][..., columns],
            [pieces[column] for column in columns],
            target,
            [numbers[column] for column in columns],
            target_words,
        )
        title = f"attention to the words of sentence {age} before"
        yield AttentionView(shown, sentences[-1 - age], sentences[-1], title, heading=title)
    if oldest:
        shown = AttentionMap(
            of_sentences[None, :, rows, :oldest][..., ::-1],
            [f"{age} before" for age in range(oldest, 0, -1)],
            target,
            list(range(oldest)),
            target_words,
        )
        title = "attention to the previous sentences"
        text = f" {SENTENCE_BREAK} ".join(sentences[-1 - oldest : -1])
        yield AttentionView(shown, text, sentences[-1], title, heading=title)
