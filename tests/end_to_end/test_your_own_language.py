"""Every command of docs/your-own-language.md runs as it stands, on a sheet with faults."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "tokenizer.vocab_size=300 training.max_updates=4 training.validate_every=2 model=transformer "
    "model.encoder.hidden_size=16 model.decoder.hidden_size=16 logging.samples=1"
)


def _sheet(rows: int) -> str:
    """A sheet with semicolons, quotes, an error of a formula and a row without translation."""
    draw = random.Random(1)
    lines = ["number;tzo;es"]
    for number in range(rows):
        words = [f"{draw.choice('ktpjv')}{draw.choice('aeiou')}{draw.choice('lnx')}"] * 2
        words += [f"{draw.choice('abcdefg')}{number}" for _ in range(draw.randrange(1, 6))]
        lines.append(f'{number};"{" ".join(words)}";{" ".join(words[::-1])} ¿'.rstrip())
    lines[5], lines[7] = "5;#REF!;hola", "7;kolaval;"
    return "\r\n".join(lines) + "\r\n"


@pytest.mark.slow
def test_the_page_leads_from_a_sheet_to_two_translators(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "your-own-language.md").read_text(encoding="utf-8")
    commands = re.findall(r"^ {4}(\S.*)$", page, re.MULTILINE)
    assert len(commands) == 13
    (tmp_path / "sheet.csv").write_text(_sheet(400), encoding="utf-8")
    (tmp_path / "more.csv").write_text("tzo;es\nkolaval;gracias\n", encoding="utf-8")
    cue = "1\n00:00:01,000 --> 00:00:02,000\nGracias.\n"
    (tmp_path / "film.srt").write_text(cue, encoding="utf-8")
    (tmp_path / "letter.txt").write_text("Gracias.\nHola.\n", encoding="utf-8")
    shim = tmp_path / "bin" / "nmt"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nmt "$@"\n')
    shim.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{shim.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "NMT_CACHE": str(tmp_path / "cache"),
    }
    printed = []
    for command in commands:
        small = f"{command} {SMALL}" if command.startswith("nmt train") else command
        done = subprocess.run(
            ["sh", "-c", small], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        is_check = command.startswith("nmt data check")
        assert done.returncode == (1 if is_check else 0), done.stderr
        printed.append(done.stdout + done.stderr)
    assert all("#REF!" in check for check in printed[:2])
    for training in printed[2:4]:
        assert "20 validation and 20 test pairs are held out" in training
        assert "no sentence of that text is in two parts" in training
    assert len((tmp_path / "translated.txt").read_text(encoding="utf-8").splitlines()) == 2
    assert "left out: 1 faulty row: 1 x spreadsheet error (sheet.csv, row 6)" in printed[2]
    assert "chrF" in printed[4]
    assert "00:00:01,000 --> " in (tmp_path / "film.tzo.srt").read_text(encoding="utf-8")
    first, second = (re.findall(r"([\d,]+) training pairs,", printed[at])[0] for at in (2, 8))
    assert int(second) == int(first) + 1
    assert printed[5] == printed[11]  # the file translates like the run
    assert printed[12].strip()
