"""Matches the language tags of a file with the two sides, ignoring case.

Regions are compared only if several tags have the same language.
"""

from collections.abc import Iterable

Languages = tuple[str, str]


def best_match(language: str, tags: Iterable[str]) -> str | None:
    """Return the tag of a language: the same tag if it exists, else one of another region.

    >>> best_match("en", ["de-DE", "en-GB"])
    'en-GB'
    """
    same_language = [tag for tag in tags if _primary(tag) == _primary(language)]
    return next(
        (tag for tag in same_language if _normal(tag) == _normal(language)),
        next(iter(same_language), None),
    )


def is_swapped(declared: tuple[str | None, str | None], languages: Languages) -> bool | None:
    """Return whether a file translates from the target language to the source language.

    None: the file has other languages. A language that is not declared matches any language.
    """
    there, back = _exact_matches(declared, languages), _exact_matches(declared, languages[::-1])
    if there is None and back is None:
        return None
    return back is not None and (there is None or back > there)


def _exact_matches(declared: tuple[str | None, str | None], languages: Languages) -> int | None:
    """Return the number of tags that match with their regions; None: a language differs."""
    sides = [(tag, wanted) for tag, wanted in zip(declared, languages, strict=True) if tag]
    if any(_primary(tag) != _primary(wanted) for tag, wanted in sides):
        return None
    return sum(_normal(tag) == _normal(wanted) for tag, wanted in sides)


def _normal(tag: str) -> str:
    return tag.strip().replace("_", "-").casefold()


def _primary(tag: str) -> str:
    return _normal(tag).partition("-")[0]
