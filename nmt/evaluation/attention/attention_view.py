"""Views of attention: the map of one sentence pair, its text and its title."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nmt.decoding.batches import Advance
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.attention.aligner import Aligner
from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor
from nmt.evaluation.attention.attention_map import (
    AttentionMap,
    hypothesis_map,
    hypothesis_region_map,
)
from nmt.reporting.attention_record import AttentionRecord


@dataclass(frozen=True)
class AttentionView:
    """The attention of one sentence pair, ready to be shown.

    Attributes:
        attention: The attention of the pieces or words.
        source_text: The sentence.
        target_text: Its translation.
        title: How the translation was made, e.g. by search or by teacher forcing.
        heading: The title of pictures; None: it names the decoder layer.
    """

    attention: AttentionMap
    source_text: str
    target_text: str
    title: str
    heading: str | None = None

    def prepared(
        self, extractor: AlignmentExtractor, *, pieces: bool, eos: bool
    ) -> "AttentionView":
        """Return the view with its map shifted, merged and stripped of EOS as requested.

        Args:
            extractor: With its ``shift``, each target piece has the attention of the next step.
            pieces: Whether to show pieces; otherwise they are merged to words.
            eos: Whether to show EOS.

        Raises:
            UserError: No source or no target token is left.
        """
        attention, title = self.attention, self.title
        if extractor.shift:
            attention, title = attention.shifted(), f"{title}, read one step later"
        if not pieces:
            attention = attention.merged()
        if not eos:
            attention = attention.without_eos()
        if not attention.target or not attention.source:
            side = "source" if attention.target else "translation"
            raise UserError(
                f"the {side} of {self.source_text!r} has no token but EOS; leave out --no-eos and "
                "--shift"
            )
        return replace(self, attention=attention, title=title)

    def record(self) -> AttentionRecord:
        """Return the record from which pages, grids and JSON files are written."""
        shown = self.attention
        texts = self.title, self.source_text, self.target_text
        return AttentionRecord(shown.source, shown.target, shown.weights, *texts)


def hypothesis_views(
    translator: Translator,
    sources: Sequence[str],
    rank: int,
    advance: Advance = lambda done, share: None,
    *,
    of_regions: bool = False,
) -> list[AttentionView]:
    """Translate sentences and view the attention of one hypothesis of each.

    Args:
        translator: The model with its search settings.
        sources: The sentences.
        rank: Rank among the hypotheses whose texts differ; 0 is the best.
        advance: Called after each batch; see `Translator.translate`.
        of_regions: Whether to view the attention to regions, not to the text.

    Raises:
        UserError: The beam has too few different texts, or a sentence is empty after normalization.
    """
    beam_size = translator.decoding.beam_size
    if rank >= beam_size:
        raise UserError(f"--rank {rank + 1} exceeds the beam size: add --beam-size {rank + 1}")
    view = hypothesis_region_map if of_regions else hypothesis_map
    views = []
    for translation in translator.translate(sources, need_weights=True, advance=advance):
        if not translation.hypotheses:
            raise UserError(
                f"{translation.source!r} is empty after normalization, so there is no attention "
                "to show"
            )
        different = _first_occurrences(translation.texts)
        if rank >= len(different):
            raise UserError(
                f"the beam has {len(different)} different translations of {translation.source!r}, "
                f"so none has rank {rank + 1}: raise --beam-size"
            )
        index = different[rank]
        log_prob = translation.hypotheses[index].log_prob
        title = f"translation {rank + 1} of a beam of {beam_size}, log-probability {log_prob:.2f}"
        attention = view(translation, translator.tokenizers, index)
        views.append(AttentionView(attention, translation.source, translation.texts[index], title))
    return views


def _first_occurrences(texts: Sequence[str]) -> list[int]:
    """Return the index of each text's first occurrence, as N-best lists of `nmt translate` do."""
    return [index for index, text in enumerate(texts) if text not in texts[:index]]


def forced_views(
    aligner: Aligner,
    sources: Sequence[str],
    references: Sequence[str],
    advance: Callable[[int], None] = lambda done: None,
) -> list[AttentionView]:
    """Force the model to produce reference translations and view its attention.

    `advance` is called after each batch with the number of sentences so far.
    """
    pairs = list(zip(sources, references, strict=True))
    maps = aligner.attention_maps(pairs, advance)
    return [
        AttentionView(attention, source, target, "forced onto the reference")
        for attention, (source, target) in zip(maps, pairs, strict=True)
    ]
