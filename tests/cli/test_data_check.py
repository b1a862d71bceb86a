"""`nmt data check` on the command line: exit status, stdout and stderr, no traceback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]

PHRASEBOOK = Path(__file__).resolve().parents[2] / "data" / "phrasebook"


def test_a_corpus_without_problems_is_clean(nmt: Call) -> None:
    settings = ["--data", "phrasebook", "data.train.path=x"]
    assert nmt("data", "check", *settings).status == 2  # phrasebook has no such setting
    files = [
        "data.source_language=de",
        "data.target_language=en",
        f"data.train.path={PHRASEBOOK}/valid.{{lang}}",
        f"data.valid.path={PHRASEBOOK}/test.{{lang}}",
        "data.test=null",
        "tokenizer.vocab_size=400",
    ]
    result = nmt("data", "check", "--data", "files", *files, "--json")
    report = json.loads(result.out)
    assert (result.status, result.err, report["status"]) == (0, "", "clean")
    assert report["tokens"]["source"]["vocabulary"] == 400
    assert [split["name"] for split in report["splits"]] == ["train", "valid"]


def test_problems_are_printed_on_stdout(nmt: Call, corpus: Path) -> None:
    target = corpus / "train.de"
    target.write_text(target.read_text("utf-8").replace("\n", "\r\n", 1), "utf-8", newline="")
    splits = ("train", "valid", "test")
    files = {split: [corpus / f"{split}.en", corpus / f"{split}.de"] for split in splits}
    arguments = ["data", "check", *files["train"]]
    result = nmt(*arguments, "--valid", *files["valid"], "--test", *files["test"])
    assert result.status == 1
    assert result.err == ""
    assert f"{target}, line 1" in " ".join(result.out.split())
    assert "-> " in result.out
    assert "Traceback" not in result.out


def test_training_that_would_be_refused_ends_in_status_2(nmt: Call, corpus: Path) -> None:
    target = corpus / "train.de"
    target.write_text("".join(target.read_text("utf-8").splitlines(keepends=True)[1:]), "utf-8")
    result = nmt("data", "check", corpus / "train.en", target)
    assert result.status == 2
    assert "ERROR" in result.out
    assert "has 100 lines" in " ".join(result.out.split())


def test_a_usage_error_is_one_line(refused: Callable[..., str]) -> None:
    assert "see nmt data check --help" in refused("data", "check")
    assert "--language" in refused("data", "check", "--language", "en")
    assert "data.sorce_language" in refused(
        "data", "check", "--data", "files", "data.sorce_language=x"
    )
