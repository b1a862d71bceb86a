"""Which texts are in another language than they should be: an extra, ``nmt[language]``.

The identifier is py3langid, a naive Bayes classifier of byte n-grams (Lui and Baldwin 2012): 5 MB
for 140 languages, no network, and probabilities that stay low where a text is too short to tell.
"""

import functools
from collections.abc import Sequence
from typing import Any

from nmt.errors import UserError

# Codes that are used for one another, or for languages that single sentences do not tell apart.
_ALIKE = (
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
_NO_LANGUAGE = "zxx"  # numbers, code, names: in any language


def surely_other(texts: Sequence[str], language: str, probability: float) -> list[bool]:
    """Return which texts are in another language with at least this probability.

    Args:
        texts: One sentence each.
        language: The code of the language they should be in; a region does not matter.
        probability: Near 1, fewer are found, and fewer wrongly.

    Raises:
        UserError: The identifier is not installed, or does not know the language.
    """
    identifier = _identifier()
    code = language.lower().replace("_", "-").split("-")[0]
    accepted = next((set(alike) for alike in _ALIKE if code in alike), {code})
    if not accepted & set(identifier.labels):
        raise UserError(
            f"data.filters.language: the identifier does not know the language {language!r}; "
            "give its two-letter code, or set data.filters.language=null"
        )
    accepted.add(_NO_LANGUAGE)
    guesses = map(identifier.classify, texts)
    return [guess not in accepted and certain >= probability for guess, certain in guesses]


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
