"""Hashes of the content and order of files, independent of their paths and names."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from nmt.data.sources.compression import READ_ERRORS, open_plain
from nmt.errors import UserError

DIGEST = 20  # bytes
BLOCK = 1 << 23


def fingerprint_files(reading: str, paths: Sequence[Path]) -> str:
    """Hash the bytes of files, compressed or not, and a description of how they are read.

    Raises:
        UserError: A file cannot be read.
    """
    return fingerprint_parts(reading.encode(), *map(_hash_file, paths))


def fingerprint_parts(*parts: bytes) -> str:
    """Hash a sequence of parts; the length of each part is hashed, too."""
    whole = hashlib.blake2b(digest_size=DIGEST)
    for part in parts:
        whole.update(len(part).to_bytes(8, "little"))
        whole.update(part)
    return whole.hexdigest()


def add_texts(texts: Iterable[str], so_far: "hashlib.blake2b") -> None:
    """Add texts and their lengths to a hash."""
    for text in texts:
        encoded = text.encode("utf-8", errors="surrogatepass")
        so_far.update(len(encoded).to_bytes(8, "little"))
        so_far.update(encoded)


def _hash_file(path: Path) -> bytes:
    content = hashlib.blake2b(digest_size=DIGEST)
    with open_plain(path) as file:
        try:
            while block := file.read(BLOCK):
                content.update(block)
        except READ_ERRORS as error:
            raise UserError(f"cannot read {path}: {error}") from error
    return content.digest()
