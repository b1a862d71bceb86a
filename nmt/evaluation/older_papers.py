"""BLEU of tokenized, lower-cased text, as older papers report it."""

import importlib.util
from collections.abc import Callable, Sequence

from nmt.errors import UserError
from nmt.evaluation.metrics import Score, score_of_tokens

NAME = "tokenized lower-cased BLEU"


def tokenized_lowercase_bleu(
    translations: Sequence[str], references: Sequence[Sequence[str]], language: str
) -> Score:
    """Return BLEU of text tokenized by the Moses rules, as ``multi-bleu.perl -lc`` computes it.

    sacremoses normalizes and tokenizes translations and references; then they are lower-cased. The
    score depends on that tokenizer. It cannot be compared with BLEU of detokenized text (Post 2018,
    section 3).

    Args:
        translations: Detokenized, one per sentence.
        references: One list per translator, each with one reference per sentence.
        language: Code of the target language, for the tokenizer's rules.

    Raises:
        UserError: sacremoses is not installed.
    """
    words = _moses_words(language)
    score = score_of_tokens(
        [words(text) for text in translations],
        [[words(text) for text in reference] for reference in references],
    )
    signature = score.signature.replace("case:mixed", "case:lc")
    return Score(score.value, f"{signature.replace('tok:none', f'tok:moses-{language}')}")


def _moses_words(language: str) -> Callable[[str], str]:
    if importlib.util.find_spec("sacremoses") is None:
        raise UserError(
            f'the {NAME} of older papers needs the Moses tokenizer: pip install "nmt[sacremoses]"'
        )
    from sacremoses import MosesPunctNormalizer, MosesTokenizer

    normalizer, tokenizer = MosesPunctNormalizer(lang=language), MosesTokenizer(lang=language)

    def words(text: str) -> str:
        tokens = tokenizer.tokenize(normalizer.normalize(text), escape=False, return_str=True)
        return str(tokens).lower()

    return words
