"""Control characters are shown as escapes; other text stays as it is."""

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.errors import UserError
from nmt.printable import printable, printable_json
from nmt.process_exit import print_error
from nmt.reporting.console import Console
from nmt.reporting.progress_line import ProgressLine
from nmt.reporting.run_log import open_run_log

CONTROLS = [*range(32), *range(127, 160), 0x2028, 0x2029, 0x202A, 0x202E, 0x2066, 0xD800, 0xDCFF]
EVIL = "a\x1b]0;title\x07b\x9b2Jc\u202ed\udcff"


@pytest.mark.parametrize("code", CONTROLS)
def test_control_characters_become_escapes(code: int) -> None:
    shown = printable(f"a{chr(code)}b")
    assert shown.isascii()
    assert shown.isprintable()
    assert shown.encode().decode("unicode_escape") == f"a{chr(code)}b"


@given(st.text())
def test_text_without_control_characters_stays(text: str) -> None:
    shown = printable(text)
    assert printable(shown) == shown
    assert [c for c in shown if ord(c) > 0x2FFF and not 0xD800 <= ord(c) < 0xE000] == [
        c for c in text if ord(c) > 0x2FFF and not 0xD800 <= ord(c) < 0xE000
    ]
    for kept in ("می‌خوانم", "👩‍👩‍👧", "क्‍ष", "a\u00a0b", "你好，世界！"):
        assert printable(kept) == kept


@given(st.text(st.characters()))
def test_json_is_safe_and_equal(text: str) -> None:
    shown = printable_json({"text": text, "evil": EVIL})
    assert printable(shown) == shown
    assert json.loads(shown) == {"text": text, "evil": EVIL}


def test_errors_and_messages_of_runs_are_escaped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_error(UserError(f"there is no file {EVIL}"))
    with open_run_log(tmp_path / "train.log") as log:
        with (tmp_path / "terminal").open("w") as stream:
            console = Console(ProgressLine(stream))
            console(f"reading {EVIL}")
            console.keep(log.logger)
        logging.getLogger("nmt.data").warning("odd name %s", EVIL)
    texts = [capsys.readouterr().err, *(p.read_text() for p in sorted(tmp_path.iterdir()))]
    assert len(texts) == 3
    for text in texts:
        assert r"a\x1b]0;title\x07b\x9b2Jc\u202ed\udcff" in text
        assert not set(EVIL.replace("a", "")) & set(text) - set("0;title2Jcbd]")
