"""Checks that values are texts without lone surrogates, which Python makes of wrong bytes."""

from collections.abc import Iterable, Mapping

from nmt.errors import UserError


def check_texts(texts: Iterable[str]) -> None:
    """Check that all values are texts, and can be encoded in UTF-8.

    Raises:
        UserError: A value is not a text, e.g. null in JSON, or has a lone surrogate.
    """
    for number, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            raise not_text(text, f"text {number:,} of the list")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"{text[:60]!r} is not valid text: its character {error.start + 1} is a byte that "
                "is not UTF-8, or half of a surrogate pair; remove it"
            ) from None


def check_several(value: object, what: str) -> None:
    """Check that a value can have several texts; ``what`` names it.

    Raises:
        UserError: It is None, bytes, a number or a mapping.
    """
    if not isinstance(value, Iterable) or isinstance(value, bytes | bytearray | Mapping):
        raise not_text(value, what)


def not_text(value: object, what: str) -> UserError:
    """Return the error about a value that is not a text; ``what`` names it."""
    remedy = "decode it first, e.g. with .decode()" if isinstance(value, bytes) else "give a str"
    return UserError(f"{what} is of type {type(value).__name__}, not text: {remedy}")
