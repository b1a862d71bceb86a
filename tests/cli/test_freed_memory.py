"""Commands that search keep the memory which a step frees and the next one allocates again."""

from pathlib import Path

import pytest
from command_line import Call

from nmt import runtime


@pytest.mark.parametrize(
    "arguments",
    [
        ["translate", "--model", "RUN", "one two"],
        ["evaluate", "--model", "RUN", "--source", "SOURCE", "--reference", "TARGET"],
        ["score", "--model", "RUN", "--source", "SOURCE", "--target", "TARGET"],
        ["align", "--model", "RUN", "--source", "SOURCE", "--target", "TARGET"],
        ["bench", "decode", "--model", "RUN", "--source", "SOURCE", "--sentences", "2"],
    ],
    ids=lambda arguments: " ".join(arguments[: 1 + (arguments[0] == "bench")]),
)
def test_a_command_keeps_freed_memory(
    nmt: Call, run: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    calls = []
    monkeypatch.setattr(runtime, "keep_freed_memory", lambda: calls.append(1))
    paths = {"RUN": run, "SOURCE": corpus / "test.en", "TARGET": corpus / "test.de"}
    result = nmt(*(str(paths.get(one, one)) for one in arguments))
    assert result.status == 0, result.err
    assert calls
