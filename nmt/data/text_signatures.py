"""Signatures: one byte for the final punctuation and the digits of a text.

A text and its translation often have the same signature.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SIGNATURES = 128
"""Number of possible signatures, which are 0 to 127."""

_ENDINGS = {
    character: number
    for number, characters in enumerate(("", ".。।", "?？؟", "!！", ",;:،，；：", "\"'”“»«’)]）」"))
    for character in characters
}
_OTHER = 6  # any other last character
_EMPTY = 7  # a text without characters
_DIGITS = re.compile("[0-9]")
_DIGIT_CLASSES = 16  # no digits, or the sum of the digits modulo 15


def text_signatures(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return the signature of each text, [texts]: class of last character + 8 · class of digits."""
    ending = _ENDINGS.get
    signatures = [ending(text[-1:], _OTHER) if text else _EMPTY for text in texts]
    if _DIGITS.search("\n".join(texts)):
        for index, text in enumerate(texts):
            if found := _DIGITS.findall(text):
                signatures[index] += 8 * (1 + sum(map(int, found)) % (_DIGIT_CLASSES - 1))
    return np.asarray(signatures, dtype=np.uint8)
