"""Finds formula errors that a spreadsheet program exports instead of a text."""

import re

# In English and in translations (#BEZUG!, #¡REF!, #NOM?), by LibreOffice (Err:502), and the marks
# of a number that does not fit into its column.
_ERROR = re.compile(
    r"\s*(?:#[¡¿]?[A-ZÀ-Þ][A-ZÀ-Þ/0-9_]*[!?]|#(?:N/A|N/D|NV|N/V|DIV/0!|GETTING_DATA)|Err:[0-9]{3}"
    r"|#{4,})\s*"
)


def may_have_errors(texts: str) -> bool:
    """Return whether joined texts may contain a formula error."""
    return "#" in texts or "Err:" in texts


def is_spreadsheet_error(text: str) -> bool:
    """Return whether a text is only a formula error.

    >>> is_spreadsheet_error("#REF!"), is_spreadsheet_error("#REF! is an error")
    (True, False)
    """
    return _ERROR.fullmatch(text) is not None
