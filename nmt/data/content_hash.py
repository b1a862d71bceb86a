"""A hash of texts, for the names of runs, sweeps and prepared corpora."""

import hashlib
from collections.abc import Iterable


def content_hash(parts: Iterable[str]) -> str:
    """Return a 32-digit hash of a list of texts.

    Each text is prefixed by its length, so lists that only join to the same text differ.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
