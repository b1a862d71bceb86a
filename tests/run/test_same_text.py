"""Changed training pairs are recognized by their number and lengths."""

from collections.abc import Callable
from typing import Any

from nmt.data.encoded import EncodedCorpus
from nmt.run.checkpoints.same_text import fingerprint


def test_different_pairs_are_recognized(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> None:
    texts = [
        corpus_of(make_pairs(*lengths))
        for lengths in (
            [(3, 5), (2, 4)],
            [(5, 3), (2, 4)],
            [(3, 5), (4, 2)],
            [(3, 5, 1), (2, 4, 1)],
            [(2, 4), (3, 5)],
        )
    ]
    assert len({fingerprint(text) for text in texts}) == len(texts)
    assert fingerprint(texts[0]) == fingerprint(corpus_of(make_pairs((3, 5), (2, 4), seed=2)))
    assert fingerprint(texts[3]).startswith("3 pairs, ")
