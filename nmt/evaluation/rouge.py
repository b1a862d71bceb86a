"""ROUGE of summaries by the package rouge-score, and exact match of answers."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from nmt.errors import UserError
from nmt.evaluation.metrics import check_counts

KINDS = ("rouge1", "rouge2", "rougeL")


@dataclass(frozen=True)
class Rouge:
    """Mean F1 scores over all texts, in percent (Lin 2004, sections 2 and 3).

    Attributes:
        values: ROUGE-1 (words), ROUGE-2 (bigrams) and ROUGE-L (longest common subsequence), by the
            package's names ``rouge1``, ``rouge2`` and ``rougeL``.
        signature: The package's version and settings.
    """

    values: dict[str, float]
    signature: str


def check_rouge() -> None:
    """Check that the package is installed.

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
    """Return ROUGE-1, ROUGE-2 and ROUGE-L; each text gets the best score over its references.

    A word of rouge-score is a sequence of letters a to z and digits of the lower-cased text,
    without stemming. Text of other scripts has no such words.

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
    """Return the percentage of texts that equal a reference, except for white space around them."""
    check_counts(translations, references)
    rows = zip(translations, zip(*references, strict=True), strict=True)
    right = sum(text.strip() in {one.strip() for one in known} for text, known in rows)
    return 100 * right / len(translations)
