"""Finds texts in another language than expected; needs the extra ``nmt[language]``.

The identifier is py3langid, a naive Bayes classifier on byte n-grams (Lui and Baldwin 2012): 5 MB
for 140 languages, without network access. For very short texts, its probabilities are low.
"""

import functools
from collections.abc import Sequence
from typing import Any

from nmt.errors import UserError

# Codes of the same language, or of languages that a single sentence cannot distinguish.
_EQUIVALENT = (
    ("no", "nb", "nn"),
    ("sr", "hr", "bs", "sh"),
    ("id", "ms"),
    ("zh", "cmn", "yue", "wuu"),
    ("ar", "ary", "arz"),
    ("uz", "uzs"),
    ("gn", "gug"),
    ("fa", "prs"),
    ("he", "iw"),
    ("tl", "fil"),
)
_NO_LANGUAGE = "zxx"  # numbers, code and names, which any language may contain


def surely_other(texts: Sequence[str], language: str, probability: float) -> list[bool]:
    """Return for each text whether it is in another language with at least this probability.

    Args:
        texts: Sentences.
        language: Code of the expected language; a region is ignored.
        probability: The threshold; a higher one finds fewer texts and makes fewer errors.

    Raises:
        UserError: The identifier is not installed, or does not support the language.
    """
    identifier = _identifier()
    code = language.lower().replace("_", "-").split("-")[0]
    accepted = next((set(codes) for codes in _EQUIVALENT if code in codes), {code})
    if not accepted & set(identifier.labels):
        raise UserError(
            f"data.filters.language: the identifier does not support the language {language!r}; "
            "give its two-letter code, or set data.filters.language=null"
        )
    accepted.add(_NO_LANGUAGE)
    guesses = map(identifier.classify, texts)
    return [guess not in accepted and certainty >= probability for guess, certainty in guesses]


@functools.cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ModuleNotFoundError as error:
        raise UserError(
            "data.filters.language needs a language identifier: "
            'pip install "nmt[language]", or set data.filters.language=null'
        ) from error
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
