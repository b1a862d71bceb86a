"""Which of a file's languages is which side: case never counts, a region only where it decides."""

from collections.abc import Iterable

Languages = tuple[str, str]


def best_match(language: str, tags: Iterable[str]) -> str | None:
    """Return the tag that means a language: the same if there is one, else one of another region.

    >>> best_match("en", ["de-DE", "en-GB"])
    'en-GB'
    """
    alike = [tag for tag in tags if _primary(tag) == _primary(language)]
    return next(
        (tag for tag in alike if _normal(tag) == _normal(language)), next(iter(alike), None)
    )


def is_swapped(declared: tuple[str | None, str | None], languages: Languages) -> bool | None:
    """Return whether a file runs from the target language to the source language, or None.

    None means that it is between other languages. A language that is not declared fits any.
    """
    there, back = _fit(declared, languages), _fit(declared, languages[::-1])
    if there is None and back is None:
        return None
    return back is not None and (there is None or back > there)


def _fit(declared: tuple[str | None, str | None], languages: Languages) -> int | None:
    """Return how many of the tags are exactly those wanted; None where they do not fit at all."""
    sides = [(tag, wanted) for tag, wanted in zip(declared, languages, strict=True) if tag]
    if any(_primary(tag) != _primary(wanted) for tag, wanted in sides):
        return None
    return sum(_normal(tag) == _normal(wanted) for tag, wanted in sides)


def _normal(tag: str) -> str:
    return tag.strip().replace("_", "-").casefold()


def _primary(tag: str) -> str:
    return _normal(tag).partition("-")[0]
