"""docs/settings.md and the declarations of the settings."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nmt.config.choices import CHOICES
from nmt.config.schema import Config, RunConfig
from nmt.config.setting import declared
from nmt.config.store import SECTIONS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def _fields() -> Iterator[tuple[str, "dataclasses.Field[Any]"]]:
    classes = [cls for names in CHOICES.values() for cls in names.values()]
    for cls in dict.fromkeys([*classes, *SECTIONS.values(), Config, RunConfig]):
        for field in dataclasses.fields(cls):
            if field.name != "name" or cls in SECTIONS.values():
                yield f"{cls.__name__}.{field.name}", field


FIELDS = dict(_fields())


def test_the_document_is_current(load_script: Callable[[str], Any]) -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == "\n".join(load_script("settings").pages()), (
        "run scripts/settings"
    )


@pytest.mark.parametrize("name", list(FIELDS))
def test_every_setting_is_declared_with_a_sentence(name: str) -> None:
    known = declared(FIELDS[name])
    assert known is not None
    assert known.sentence.endswith(".")


def test_the_document_has_a_row_for_a_setting_of_each_kind() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for row in (
        "| `training.patience` | integer or null, at least 1 | `null` | validations |",
        "| `model.decoder.attention.window` | global \\| local_m \\| local_p | `global` |",
        "| `optimizer.learning_rate` | number, above 0 | `1.0` |",
        "| `data.train.format` | lines \\| tsv \\| csv \\| jsonl",
        "`tokenizer=char`: `tokenizer.name=char`, `tokenizer.vocab_size=400`",
    ):
        assert row in text
