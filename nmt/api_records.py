"""The results of the Python interface: translations with scores and attention.

All names here are part of `nmt.api`.
"""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from nmt.data.word_links import Link
from nmt.decoding.minimum_risk import expected_chrf
from nmt.decoding.translator import Translation as SearchResult
from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor
from nmt.evaluation.attention.attention_map import AttentionMap, hypothesis_map
from nmt.text.tokenizer import TokenizerPair


@dataclass(frozen=True, eq=False)
class Attention:
    """The attention of one sentence pair, from word to word.

    A notebook shows it as a heatmap of one layer and head.

    Attributes:
        map: The weights [L, H, T, S] of T target and S source words, with the words as labels. The
            last column is EOS, and so is the last row, unless the extractor shifts.
        links: The word links that the weights give, as (source word, target word) from 0.
        extractor: The layer and head of the heatmap and the links, as indices of ``map.weights``.
    """

    map: AttentionMap
    links: frozenset[Link]
    extractor: AlignmentExtractor

    def save(self, path: str | PathLike[str]) -> None:
        """Draw the heatmap to a .png, .svg or .pdf file.

        Raises:
            ValueError: The suffix is none of these.
        """
        from nmt.evaluation.attention.attention_heatmap import map_heatmap
        from nmt.reporting.heatmaps.rendering import save_heatmap

        save_heatmap(map_heatmap(self.map, self.extractor.layer, self.extractor.head), Path(path))

    def _repr_html_(self) -> str:
        from nmt.evaluation.attention.attention_heatmap import map_heatmap
        from nmt.reporting.pages.heatmap_table import heatmap_table

        return heatmap_table(map_heatmap(self.map, self.extractor.layer, self.extractor.head))


@dataclass(frozen=True)
class Candidate:
    """One translation of a sentence.

    Attributes:
        text: The translation.
        log_prob: Natural logarithm of its probability, EOS included.
        score: The value by which the candidates are ranked. The search computes it from the
            log-probability and the penalties. With ``minimum_risk`` it is the expected chrF.
        attention: Its attention; None if it was not requested, or the model has none.
    """

    text: str
    log_prob: float
    score: float
    attention: Attention | None = None


@dataclass(frozen=True)
class Translation:
    """A sentence with its translations.

    Attributes:
        source: The sentence.
        candidates: The translations, best first; samples are in the order in which they were drawn.
            A blank sentence has none.
    """

    source: str
    candidates: list[Candidate]

    @property
    def text(self) -> str:
        """The best translation; empty for a blank sentence."""
        return self.candidates[0].text if self.candidates else ""


@dataclass(frozen=True)
class RecordForm:
    """How results of the search become records.

    Attributes:
        n_best: Candidates per sentence.
        tokenizers: The model's tokenizers.
        extractor: How attention is read; None: candidates have no attention.
        by_risk: Whether candidates are ranked by their expected chrF.
    """

    n_best: int
    tokenizers: TokenizerPair
    extractor: AlignmentExtractor | None
    by_risk: bool

    def record(self, result: SearchResult) -> Translation:
        """Return the record of a sentence."""
        values = [hypothesis.score for hypothesis in result.hypotheses]
        ranks = list(range(len(values)))
        if self.by_risk and result.texts:
            expected = expected_chrf(result.texts)
            ranks = [result.texts.index(text) for text in expected]
            values = [expected[text] for text in result.texts]
        candidates = []
        for rank in ranks[: self.n_best]:
            shown = None
            if self.extractor is not None:
                shown = attention_of(hypothesis_map(result, self.tokenizers, rank), self.extractor)
            log_prob = result.hypotheses[rank].log_prob
            candidates.append(Candidate(result.texts[rank], log_prob, values[rank], shown))
        return Translation(result.source, candidates)


def attention_of(pieces: AttentionMap, extractor: AlignmentExtractor) -> Attention:
    """Return attention by words, with its links."""
    shown = pieces.shifted() if extractor.shift else pieces
    return Attention(shown.merged(), extractor.links(pieces), extractor)
