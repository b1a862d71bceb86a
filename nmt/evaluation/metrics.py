"""Corpus scores by sacreBLEU, each with the signature that documents its settings."""

from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from nmt.errors import UserError


@dataclass(frozen=True)
class Score:
    """A score in percent and its sacreBLEU signature. Only TER can exceed 100."""

    value: float
    signature: str


def bleu(translations: Sequence[str], references: Sequence[str]) -> Score:
    """Return BLEU (Papineni et al. 2002) of detokenized, cased text, with tokenizer 13a."""
    return _score(BLEU(), translations, references)


def chrf(translations: Sequence[str], references: Sequence[str]) -> Score:
    """Return chrF2 (Popović 2015), the F-score of character n-grams of up to 6 characters."""
    return _score(CHRF(), translations, references)


def ter(translations: Sequence[str], references: Sequence[str]) -> Score:
    """Return TER (Snover et al. 2006): edits per 100 reference words. Lower is better."""
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
