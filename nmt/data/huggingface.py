"""Parallel text through Hugging Face `datasets`: the hub by name, or a folder of JSON lines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmt.errors import UserError

Sides = tuple[list[str], list[str]]


def read_hub(
    path: str, subset: str | None, splits: tuple[str, str, str], languages: tuple[str, str]
) -> Iterator[Sides]:
    """Yield the two sides of each split of a dataset on the hub (or in the local cache of it).

    Raises:
        UserError: The dataset cannot be had, or lacks a split or a language.
    """
    from datasets import load_dataset

    for split in splits:
        try:
            rows = load_dataset(path, subset, split=split)
        except (OSError, ValueError) as error:
            reason = str(error).strip().split("\n")[0]
            raise UserError(
                f"cannot load the dataset {path}, split {split!r}: {reason}; check the name and "
                "the connection, or give a local copy with data.root=FOLDER"
            ) from error
        yield _sides(rows, languages, f"{path}, split {split!r}")


def read_json_folder(
    root: Path, splits: tuple[str, str, str], languages: tuple[str, str]
) -> Iterator[Sides]:
    """Yield both sides of the splits in ``train.jsonl``, ``validation.jsonl``, ``test.jsonl``.

    Raises:
        UserError: A file is missing, is not JSON lines, or lacks a language.
    """
    from datasets import load_dataset

    for split in splits:
        names = {split} | ({"val", "valid", "validation"} if split.startswith("val") else set())
        found = [file for name in sorted(names) if (file := root / f"{name}.jsonl").exists()]
        if not found:
            raise UserError(f"{root} holds no {split}.jsonl")
        try:
            rows = load_dataset("json", data_files=str(found[0]), split="train")
        except (OSError, ValueError) as error:
            raise UserError(f"{found[0]} is not JSON lines: {error}") from error
        yield _sides(rows, languages, str(found[0]))


def _sides(rows: Any, languages: tuple[str, str], where: str) -> Sides:
    columns = rows.column_names
    if "translation" in columns:
        pairs = rows["translation"]
        if not pairs or not set(languages) <= set(pairs[0]):
            raise UserError(f"{where} has no pairs of {' and '.join(languages)}")
        return [pair[languages[0]] for pair in pairs], [pair[languages[1]] for pair in pairs]
    missing = [language for language in languages if language not in columns]
    if missing:
        raise UserError(
            f"{where} has no column {missing[0]!r}; its columns are {', '.join(columns)}: "
            "set data.source_language and data.target_language to two of them"
        )
    source, target = (list(rows[language]) for language in languages)
    for line, pair in enumerate(zip(source, target, strict=True), start=1):
        if not all(isinstance(sentence, str) for sentence in pair):
            raise UserError(f"{where}: row {line} is not a pair of texts")
    return source, target
