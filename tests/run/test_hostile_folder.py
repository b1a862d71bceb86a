"""Damaged and hostile files in a run folder: one line that names the file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.errors import UserError
from nmt.reporting.metric_log import JsonLinesLog, read_metrics
from nmt.run.folder import RunFolder

SCORES = {"loss": 1.0, "perplexity": 2.0, "bleu": 3.0, "chrf": 4.0}
SCORES |= {"signature": "a", "chrf_signature": "b"}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        " " * (1 << 24) + "{}",
        '{"valid": {"bleu": []}}',
        '{"seconds": 1}',
        json.dumps({"valid": SCORES, "test": {**SCORES, "chrf": "x"}}),
        json.dumps({"valid": SCORES, "test": None}),
    ],
    ids=["nested", "huge", "no number", "no scores", "a text", "no test"],
)
def test_a_damaged_summary_is_named(tmp_path: Path, content: str) -> None:
    folder = RunFolder(tmp_path)
    folder.summary.write_text(json.dumps({"valid": SCORES}))
    assert folder.read_summary() == {"valid": SCORES}
    folder.summary.write_text(content)
    with pytest.raises(UserError, match=r"summary\.json"):
        folder.read_summary()


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"step": 1, "x": ' + b"9" * (1 << 21) + b"}"])
def test_a_hostile_line_of_metrics_is_named(tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b'{"step": 1, "time": 1.0}\n' + line + b"\n")
    with pytest.raises(ValueError, match="line 2, is not a line of metrics"):
        read_metrics(file)
    with pytest.raises(ValueError, match="line 2, is not a line of metrics"):
        JsonLinesLog(file, 1)


@pytest.mark.parametrize("name", ["metrics.jsonl", "train.log", ".lock", "config.yaml"])
def test_a_folder_in_place_of_a_file_is_named(
    nmt: Callable[..., Any],
    tiny: Callable[[Path], list[str]],
    corpus: Path,
    run: Path,
    tmp_path: Path,
    name: str,
) -> None:
    folder = tmp_path / "run"
    (folder / name).mkdir(parents=True)
    shutil.copy(run / "config.json", folder)
    settings = json.loads((folder / "config.json").read_text())
    settings["run"]["dir"] = str(folder)
    texts = {split: settings["data"][split] for split in ("train", "valid", "test")}
    for split, text in texts.items():
        text["source"], text["target"] = (str(corpus / f"{split}.{code}") for code in ("en", "de"))
    (folder / "config.json").write_text(json.dumps(settings))
    result = nmt("train", *tiny(corpus), f"run.dir={folder}")
    assert result.status == 2, result.err
    assert "Traceback" not in result.err
    (line,) = (line for line in result.err.splitlines() if line.startswith("nmt: "))
    assert str(folder) in line
    assert "Is a directory" in line
