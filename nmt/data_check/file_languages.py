"""Finds the languages of a corpus in the names of its files."""

import re
from collections.abc import Sequence
from pathlib import Path

from nmt.errors import UserError
from nmt.file_names import without_compression

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_FORMATS = ("txt", "tsv", "csv", "jsonl", "json", "parquet", "tmx", "xlf", "po", "raw", "tok")


def languages_of_files(
    files: Sequence[str], given: tuple[str | None, str | None]
) -> tuple[str, str]:
    """Return the codes of the source and the target language.

    Args:
        files: A source and a target file, e.g. ``train.en.gz`` and ``train.de.gz``, or one file
            with both sides, e.g. ``train.en-de.tsv``.
        given: Codes that take precedence over the names; None: the name has the code.

    Raises:
        UserError: A language is neither given nor part of a file's name.
    """
    guessed = _guess_pair(files[0]) if len(files) == 1 else tuple(map(_guess, files))
    source, target = (one or other for one, other in zip(given, guessed, strict=True))
    if source is not None and target is not None:
        return source, target
    if len(files) == 1 and _guess(files[0]):
        raise UserError(
            f"{files[0]} is one side of a corpus, by its name; give both files, SOURCE TARGET, or "
            "one file with both sides, e.g. train.tsv"
        )
    sides = (("source", source, files[0], "de"), ("target", target, files[-1], "en"))
    unknown = [side for side in sides if side[1] is None]
    example = "train.de-en.tsv" if len(files) == 1 else f"train.{unknown[0][3]}"
    raise UserError(
        f"the name {unknown[0][2]} does not include the language of the "
        f"{' and the '.join(side[0] for side in unknown)} side, as {example} does; "
        f"give it, e.g. {' '.join(f'--{side[0]}-language {side[3]}' for side in unknown)}"
    )


def _guess(file: str) -> str | None:
    """Return the language at the end of a file's name: en for train.en.gz."""
    last = _stem(file).rpartition(".")[2]
    return last if _LANGUAGE.fullmatch(last) and last.lower() not in _FORMATS else None


def _guess_pair(file: str) -> tuple[str | None, str | None]:
    """Return the two languages in the name of a file with both sides: train.en-de.tsv."""
    words = _stem(file).split(".")
    if words[-1].lower() not in ("zip", "tmx"):  # in OPUS, these have only languages as names
        words = words[1:]
    parts = [word.split("-") for word in words]
    pairs = [part for part in parts if len(part) == 2 and all(map(_LANGUAGE.fullmatch, part))]
    return (pairs[-1][0], pairs[-1][1]) if pairs else (None, None)


def _stem(file: str) -> str:
    return without_compression(Path(file)).name
