"""One byte per text that its translation probably shares: final punctuation and digits."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SIGNATURES = 128
"""Number of different signatures; each is smaller than this."""

_ENDINGS = {
    character: number
    for number, characters in enumerate(("", ".。।", "?？؟", "!！", ",;:،，；：", "\"'”“»«’)]）」"))
    for character in characters
}
_OTHER = 6  # the text ends in a letter or a digit
_EMPTY = 7
_DIGITS = re.compile("[0-9]")
_DIGIT_CLASSES = 16  # no digits, or the sum of the digits modulo 15


def text_signatures(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return the signature of each text: the class of its last character and its digit sum."""
    ending = _ENDINGS.get
    signatures = [ending(text[-1:], _OTHER) if text else _EMPTY for text in texts]
    if _DIGITS.search("\n".join(texts)):
        for index, text in enumerate(texts):
            if found := _DIGITS.findall(text):
                signatures[index] += 8 * (1 + sum(map(int, found)) % (_DIGIT_CLASSES - 1))
    return np.asarray(signatures, dtype=np.uint8)
