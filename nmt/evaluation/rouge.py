"""ROUGE of summaries by the package rouge-score, and the share of answers that are right."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from nmt.errors import UserError
from nmt.evaluation.metrics import check_counts

KINDS = ("rouge1", "rouge2", "rougeL")


@dataclass(frozen=True)
class Rouge:
    """The means over all texts of F1 scores, in percent (Lin 2004, sections 2 and 3).

    Attributes:
        values: ROUGE-1 and ROUGE-2, of words and of pairs of words, and ROUGE-L, of the longest
            common subsequence, by the package's names.
        signature: The package's version and settings.
    """

    values: dict[str, float]
    signature: str


def check_rouge() -> None:
    """Refuse ROUGE where the package is missing.

    Raises:
        UserError: rouge-score is not installed; the message names the extra.
    """
    try:
        found = importlib.util.find_spec("rouge_score")
    except ValueError:  # a module without a specification
        found = None
    if found is None:
        raise UserError("ROUGE needs the package rouge-score: pip install 'nmt[rouge]'")


def rouge(translations: Sequence[str], references: Sequence[Sequence[str]]) -> Rouge:
    """Return ROUGE-1, ROUGE-2 and ROUGE-L; of several references, the best one counts.

    The words of rouge-score are sequences of the letters a to z and digits, in lower case, without
    stemming. It finds no words in text of other scripts.

    Args:
        translations: One per text.
        references: One list per writer, each with one reference per text.

    Raises:
        UserError: The package is missing, the numbers of texts differ, or no reference has a word.
    """
    check_rouge()
    check_counts(translations, references)
    from rouge_score import rouge_scorer, tokenizers

    words = tokenizers.DefaultTokenizer(use_stemmer=False)
    if not any(words.tokenize(text) for reference in references for text in reference):
        raise UserError(
            "ROUGE counts words of the letters a to z and digits, and the references have none: "
            "score them without --rouge, e.g. by --metrics chrf"
        )
    scorer = rouge_scorer.RougeScorer(list(KINDS), tokenizer=words)
    sums = dict.fromkeys(KINDS, 0.0)
    for text, known in zip(translations, zip(*references, strict=True), strict=True):
        found = scorer.score_multi(known, text)
        for kind in KINDS:
            sums[kind] += found[kind].fmeasure
    values = {kind: 100 * total / len(translations) for kind, total in sums.items()}
    settings = f"nrefs:{len(references)}|case:lc|stem:no|average:mean"
    return Rouge(values, f"{settings}|package:rouge-score|version:{version('rouge-score')}")


def exact_match(translations: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Return the percentage of texts that equal a reference, white space around them aside."""
    check_counts(translations, references)
    rows = zip(translations, zip(*references, strict=True), strict=True)
    right = sum(text.strip() in {one.strip() for one in known} for text, known in rows)
    return 100 * right / len(translations)
