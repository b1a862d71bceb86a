"""Checks that texts have no lone surrogates, which Python makes of undecodable bytes."""

from collections.abc import Iterable

from nmt.errors import UserError


def check_texts(texts: Iterable[str]) -> None:
    """Check that all texts can be encoded in UTF-8.

    Raises:
        UserError: A text has a lone surrogate.
    """
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"{text[:60]!r} is not valid text: its character {error.start + 1} is a byte that "
                "is not UTF-8, or half of a surrogate pair; remove it"
            ) from None
