"""Corpus scores by sacreBLEU, each with the signature that says how it was taken."""

from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from nmt.errors import UserError


@dataclass(frozen=True)
class Score:
    """A score, 0 to 100, and sacreBLEU's signature of it."""

    value: float
    signature: str


def bleu(translations: Sequence[str], references: Sequence[str]) -> Score:
    """BLEU (Papineni et al. 2002) on detokenised, cased text, 13a; higher is better."""
    return _score(BLEU(), translations, references)


def chrf(translations: Sequence[str], references: Sequence[str]) -> Score:
    """ChrF2 (Popović 2015): F-score of character 6-grams; higher is better."""
    return _score(CHRF(), translations, references)


def ter(translations: Sequence[str], references: Sequence[str]) -> Score:
    """Translation edit rate (Snover et al. 2006), edits per reference word; lower is better."""
    return _score(TER(), translations, references)


def _score(
    metric: BLEU | CHRF | TER, translations: Sequence[str], references: Sequence[str]
) -> Score:
    if len(translations) != len(references):
        raise UserError(
            f"there are {len(translations)} translations but {len(references)} references"
        )
    result = metric.corpus_score(list(translations), [list(references)])
    return Score(float(result.score), str(metric.get_signature()))
