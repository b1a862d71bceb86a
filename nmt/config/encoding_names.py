"""Checks the names of text encodings."""

import codecs
import zlib

_NO_FILES = ("idna", "punycode", "raw_unicode_escape", "unicode_escape", "utf-7")


def is_encoding(name: str) -> bool:
    """Return whether Python can decode files of text in this encoding block by block."""
    try:
        codec = codecs.lookup(name)
        decoded = codecs.getincrementaldecoder(name)(errors="replace").decode(b"a" * 8)
    except (LookupError, ValueError, TypeError, OSError, zlib.error):
        return False
    return codec.name not in _NO_FILES and isinstance(decoded, str)
