"""A line that cannot be decoded is left out; a genuine U+FFFD is text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.config.source_settings import SourceConfig
from nmt.data.sources.faulty_rows import WithoutFaultyRows
from nmt.data.sources.open_source import open_source


@pytest.mark.parametrize("form", ["lines", "tsv", "csv"])
def test_a_replacement_character_of_the_text_is_kept(
    form: str, tmp_path: Path, read: Callable[..., Any]
) -> None:
    rows = [(f"é {number}", f"ü {number}") for number in range(200)]
    rows[7], rows[9] = ("lost \ufffd here", "verloren"), ("bad", "schlecht BAD")
    if form == "lines":
        sides = ["\n".join(row[side] for row in rows) for side in (0, 1)]
        names = ["text.en", "text.de"]
        config = SourceConfig(source=str(tmp_path / names[0]), target=str(tmp_path / names[1]))
    else:
        mark = "\t" if form == "tsv" else ","
        sides = ["\n".join(mark.join(row) for row in [("en", "de"), *rows])]
        names = [f"text.{form}"]
        config = SourceConfig(path=str(tmp_path / names[0]))
    for name, text in zip(names, sides, strict=True):
        (tmp_path / name).write_bytes(text.encode().replace(b"BAD", b"\xe4"))
    reading = read(WithoutFaultyRows(open_source(config, ("en", "de"), "data.train"), 0.02))
    assert reading.pairs == [*rows[:9], *rows[10:]]
    assert [(fault.rule, fault.count) for fault in reading.faults] == [("not_utf8", 1)]
