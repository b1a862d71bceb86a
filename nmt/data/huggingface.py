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
    for split in splits:
        try:
            rows = _load(path, subset, split=split)
        except UserError as error:
            raise UserError(
                f"cannot load the dataset {path}, split {split!r}: {error}; check the name and "
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
    for split in splits:
        names = {split} | ({"val", "valid", "validation"} if split.startswith("val") else set())
        found = [file for name in sorted(names) if (file := root / f"{name}.jsonl").exists()]
        if not found:
            raise UserError(f"{root} holds no {split}.jsonl")
        try:
            rows = _load("json", data_files=str(found[0]), split="train")
        except UserError as error:
            raise UserError(f"{found[0]} cannot be read as JSON lines: {error}") from error
        yield _sides(rows, languages, str(found[0]))


def _load(*what: Any, **options: Any) -> Any:
    """Load one split; every failure of the library becomes a `UserError` with its reason."""
    import datasets
    from datasets.exceptions import DatasetsError

    verbosity = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # we tell what is wrong ourselves
    try:
        return datasets.load_dataset(*what, **options)
    except (OSError, ValueError, DatasetsError) as error:
        raise UserError(str(error.__cause__ or error).strip().split("\n")[0]) from error
    finally:
        datasets.logging.set_verbosity(verbosity)


def _sides(rows: Any, languages: tuple[str, str], where: str) -> Sides:
    columns = rows.column_names
    if "translation" in columns:
        pairs = list(rows["translation"])
        if not pairs or not set(languages) <= set(pairs[0]):
            raise UserError(f"{where} has no pairs of {' and '.join(languages)}")
        source, target = ([pair[language] for pair in pairs] for language in languages)
    else:
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
    for language, side in zip(languages, (source, target), strict=True):
        if not any(sentence.strip() for sentence in side):
            raise UserError(f"{where} holds no text in {language!r}")
    return source, target
