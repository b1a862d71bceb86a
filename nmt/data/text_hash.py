"""Hashes that find equal texts, the same in every process and on every machine."""

import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt


def hash_texts(texts: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return a 64-bit hash of each text."""
    return _hashes(_bytes(text) for text in texts)


def hash_pairs(sources: Sequence[str], targets: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return a 64-bit hash of each pair; ("ab", "c") and ("a", "bc") have different ones."""
    encoded = zip(map(_bytes, sources), map(_bytes, targets), strict=True)
    return _hashes(b"%d:%b%b" % (len(source), source, target) for source, target in encoded)


def hash_normalized(texts: Iterable[str]) -> npt.NDArray[np.uint64]:
    """Return the hash of the `normalized` form of each text, as `hash_texts` computes it."""
    return _hashes(_normalized_bytes(text) for text in texts)


def normalized(text: str) -> str:
    """Return a text after NFKC and case folding, without punctuation and spaces.

    A text of only punctuation keeps it, so that "?" and "!" remain different.
    """
    return _normalized_bytes(text).decode("utf-8", "surrogatepass")


def _normalized_bytes(text: str) -> bytes:
    letters = text
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).casefold()
        # Case folding can undo the composition, so normalize again (Unicode caseless matching).
        letters = text = unicodedata.normalize("NFKC", text)
        beyond_ascii, dropped = _beyond_ascii()
        if beyond_ascii.search(text):
            letters = text.translate(dropped)
    # In UTF-8 each ASCII byte is a whole character, so single bytes can be removed.
    kept = _bytes(letters).lower().translate(None, _ASCII_DROPPED)
    return kept or _bytes("".join(text.split()))


def _hashes(contents: Iterable[bytes]) -> npt.NDArray[np.uint64]:
    digests = b"".join([blake2b(content, digest_size=8).digest() for content in contents])
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


# Punctuation, spaces, controls. $ + < = > ^ ` | ~ are symbols in Unicode and stay, like € and ×.
_DROPPED = {"Cc", "Cf", "Zl", "Zp", "Zs", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps"}
_ASCII_DROPPED = bytes(code for code in range(128) if unicodedata.category(chr(code)) in _DROPPED)


@functools.cache
def _beyond_ascii() -> tuple[re.Pattern[str], dict[int, None]]:
    """Return a pattern of dropped characters beyond ASCII, and a table that drops them.

    The pattern is a fast first check. It also matches all characters beyond U+FFFF.
    """
    codes = (
        *range(0x80, 0x20000),
        *range(0xE0000, 0xE0080),
    )  # no other code points are in these categories
    dropped = {code: None for code in codes if unicodedata.category(chr(code)) in _DROPPED}
    common = "".join(chr(code) for code in dropped if code <= 0xFFFF)
    return re.compile(f"[{common}\U00010000-\U0010ffff]"), dropped
