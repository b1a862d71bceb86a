"""Measures on sentences whether an export computes the same log-probabilities as its model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nmt.decoding.scoring import score_translations
from nmt.decoding.translator import Translator

Ids = list[list[int]]
Scorer = Callable[[Ids, Ids], list[list[float]]]
"""A function from source and target piece ids of sentences, without EOS, to log-probabilities.

It returns one log-probability per target piece, EOS last.
"""

BOUND = 1e-3
"""Greatest difference in nats that rounding in float32 can cause; kernels sum in other orders."""


@dataclass(frozen=True)
class Parity:
    """The difference between the log-probabilities of a model and of its export.

    Attributes:
        sentences: Number of compared sentences.
        pieces: Number of their target pieces, EOS included.
        difference: Greatest absolute difference over the pieces, in nats.
    """

    sentences: int
    pieces: int
    difference: float

    def line(self) -> str:
        """Return one line of text."""
        return (
            f"parity: the log-probabilities of {self.pieces:,} pieces in {self.sentences:,} "
            f"translations differ by at most {self.difference:.1e}"
        )


def measure_parity(translator: Translator, sentences: Sequence[str], scorer: Scorer) -> Parity:
    """Compare an export with the model on the model's own translations.

    Args:
        translator: The model, in float32.
        sentences: Source sentences; blank sentences are left out.
        scorer: The scorer of the export.
    """
    given = [sentence for sentence in sentences if sentence.strip()]
    translated = translator.with_beam(1).translate(given)
    pairs = [(one.source, one.text) for one in translated if one.text.strip()]
    mine = list(score_translations(translator, pairs))
    sources = translator.tokenizers.source.encode_all([source for source, _ in pairs])
    targets = translator.tokenizers.target.encode_all([target for _, target in pairs])
    theirs = scorer(sources, targets)
    differences = [
        abs(here - there)
        for one, other in zip(mine, theirs, strict=True)
        for here, there in zip(one.log_probs, other, strict=True)
    ]
    return Parity(len(pairs), len(differences), max(differences, default=0.0))
