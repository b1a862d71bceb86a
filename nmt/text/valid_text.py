"""Texts that are not characters only, as Python has them from undecodable bytes."""

from collections.abc import Iterable

from nmt.errors import UserError


def check_texts(texts: Iterable[str]) -> None:
    """Refuse texts that cannot be encoded: with a lone surrogate, as an undecodable byte becomes.

    Raises:
        UserError: There is such a text.
    """
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"{text[:60]!r} is not valid text: its character {error.start + 1} is a byte that "
                "is not UTF-8, or half of a surrogate pair; remove it"
            ) from None
