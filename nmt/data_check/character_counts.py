"""Counts the characters of texts."""

from collections.abc import Sequence

import numpy as np


def count_characters(texts: Sequence[str]) -> dict[str, int]:
    """Return the number of occurrences of each character beyond ASCII."""
    whole = "".join(texts)
    if whole.isascii():
        return {}
    codes = np.frombuffer(whole.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    counts = np.bincount(codes[codes > 127])
    return {chr(code): int(counts[code]) for code in np.flatnonzero(counts).tolist()}
