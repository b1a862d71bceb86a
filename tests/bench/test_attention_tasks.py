"""scripts/attention_tasks: the rows have one answer, which stands where they claim, and no hint.

Legend: B rows, T positions.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

TASKS = ["copy", "reversal", "recall"]
SIZES = [(14, 4), (15, 1), (64, 8), (101, 30)]  # T and pairs


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], Any]) -> Iterator[Any]:
    """The script as a module."""
    path = list(sys.path)
    yield load_script("attention_tasks")
    sys.path[:] = path


def drawn(script: Any, task: str, length: int, pairs: int, rows: int = 40, seed: int = 1) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return script.TASKS[task].draw(rows, length, pairs, 2 * pairs, generator)


@pytest.mark.parametrize(("length", "pairs"), SIZES)
@pytest.mark.parametrize("task", TASKS)
def test_the_answers_follow_from_the_symbols(
    script: Any, task: str, length: int, pairs: int
) -> None:
    rows = drawn(script, task, length, pairs)
    assert rows.symbols.shape == rows.answers.shape == rows.places.shape == (40, length)
    assert (rows.symbols < script.num_symbols(pairs)).all()
    assert torch.equal(script.TASKS[task].solve(rows.symbols), rows.answers)


@pytest.mark.parametrize(("length", "pairs"), SIZES)
@pytest.mark.parametrize("task", TASKS)
def test_an_answer_stands_at_its_place_which_is_earlier(
    script: Any, task: str, length: int, pairs: int
) -> None:
    rows = drawn(script, task, length, pairs)
    asked = rows.answers != script.NO_ANSWER
    assert torch.equal(asked, rows.places != script.NO_ANSWER)
    numbers = torch.arange(length).expand_as(rows.places)
    assert (rows.places < numbers)[asked].all()
    symbols = rows.symbols.gather(1, rows.places.clamp_min(0))
    first_value = symbols[asked] - rows.answers[asked]
    assert (first_value == first_value[0]).all()
    count = pairs if task == "recall" else (length - 2) // 2
    assert (asked.sum(1) == count).all()
    for row, at in zip(rows.places, asked, strict=True):  # every place is asked for once
        assert len(row[at].unique()) == count


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_uniform_and_independent_of_each_other(script: Any, task: str) -> None:
    rows = drawn(script, task, 64, 8, rows=2000)
    answers = rows.answers[rows.answers != script.NO_ANSWER].view(2000, -1)
    shares = functional.one_hot(answers, script.VALUES).double().mean((0, 1))
    # 16,000 answers at least: the standard error of a share is 0.0019.
    assert (shares - script.CHANCE).abs().max() < 0.01
    same = (answers[:, 1:] == answers[:, :-1]).double().mean()
    assert abs(same.item() - script.CHANCE) < 0.01


def test_keys_and_rows_differ(script: Any) -> None:
    rows = drawn(script, "recall", 64, 8)
    keys = rows.symbols[:, 1:17:2]
    for row in keys:
        assert len(row.unique()) == 8
    assert len(keys.unique(dim=0)) > 1
    other = drawn(script, "recall", 64, 8, seed=2)
    assert not torch.equal(rows.symbols, other.symbols)
    assert torch.equal(rows.symbols, drawn(script, "recall", 64, 8).symbols)


@pytest.mark.parametrize("task", TASKS)
def test_the_loss_is_that_of_the_answers_alone(script: Any, task: str) -> None:
    rows = drawn(script, task, 20, 3, rows=4)
    scores = torch.randn(4, 20, script.VALUES, requires_grad=True)
    loss = script.answer_loss(scores, rows)
    (gradient,) = torch.autograd.grad(loss, scores)
    asked = rows.answers != script.NO_ANSWER
    assert torch.equal(gradient.abs().sum(-1) > 0, asked)
    probabilities = scores.log_softmax(-1)[asked]
    expected = -probabilities.gather(1, rows.answers[asked][:, None]).mean()
    torch.testing.assert_close(loss, expected)
    exact = functional.one_hot(rows.answers.clamp_min(0), script.VALUES).float()
    assert script.right_answers(exact, rows) == (int(asked.sum()), int(asked.sum()))


def stack(script: Any, kind: str, layers: int = 2, **settings: Any) -> Any:
    config = script.TransformerEncoderConfig(
        hidden_size=64,
        num_heads=4,
        feed_forward_size=64,
        num_layers=layers,
        dropout=0.0,
        self_attention=kind,
        **settings,
    )
    return script.Stack(config, script.num_symbols(4)).eval()


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("full", {}),
        ("local", dict(attention_window=3)),
        ("strided", dict(attention_stride=4)),
        ("fixed", dict(attention_stride=4)),
        ("random_global", dict(attention_block=2, attention_random_blocks=1)),
        ("low_rank", dict(attention_rank=4)),
    ],
)
def test_a_position_depends_on_what_it_can_reach_and_on_nothing_else(
    script: Any, kind: str, settings: dict[str, Any], layers: int
) -> None:
    model, length, changed = stack(script, kind, layers, **settings), 24, 5
    reachable = model.reachable(length)
    symbols = torch.randint(4, 20, (1, length))
    other = symbols.clone()
    other[0, changed] = (symbols[0, changed] - 3) % 16 + 4
    with torch.no_grad():
        moved = (model(symbols) != model(other))[0].any(-1)
    # The symbol is also an input of the next position.
    expected = reachable[:, changed] | reachable[:, changed + 1]
    assert torch.equal(moved, expected)


def test_what_cannot_be_measured_is_refused(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken, other = tmp_path / "broken.json", tmp_path / "other.json"
    broken.write_text("[{")
    other.write_text('[{"kind": "full"}]')
    for arguments, message in (
        (["--layers", "0"], "--layers: 0 is too small; the least is 1"),
        (["--tokens", "0"], "--tokens: 0 is too small; the least is 1"),
        (["--threads", "0"], "--threads: 0 is too small; the least is 1"),
        (["--sequences", "-1"], "--sequences: -1 is too small; the least is 0"),
        (["--updates", "-1"], "--updates: -1 is too small; the least is 0"),
        (["--rate", "nan"], "--rate: nan is not a number above 0"),
        (["--lengths", "14,x"], "--lengths: 'x' is not a whole number"),
        (["--kinds", "local:self_attention=3"], "'self_attention=3' is not an attention setting"),
        (["--kinds", "local:attention_window=²"], "'attention_window=²' is not a setting and"),
        (["--kinds", "local:attention_window=0"], "attention_window is 0; it must be from 1 to"),
        (["--kinds", "lsh:attention_buckets=3"], "attention_buckets=3 is odd"),
        (["--record", str(broken)], "broken.json is not a record: give another file"),
        (["--record", str(other)], "other.json is not a record: give another file"),
        (["--record", str(tmp_path / "no" / "a.json")], "there is no folder"),
        (["--record", str(tmp_path)], "Is a directory: give another file"),
        (["--kinds", "sparse"], "'sparse' is not a kind of self-attention: full, cosine"),
        (["--kinds", "local:attention_windw=3"], "'attention_windw=3' is not an attention setting"),
        (["--kinds", "local:attention_window=x"], "'attention_window=x' is not a setting and"),
        (["--lengths", "2"], "need 5 positions: 2"),
        (["--tasks", "sort"], "'sort' is not one of copy, reversal, recall"),
        (["--lengths", "64", "--pairs", "21"], "21 pairs need 65 positions: 64"),
        (["--curriculum", "32,64"], "--curriculum: 64 positions come before 64: give less"),
        (["--curriculum", "32,16"], "--curriculum: 32 positions come before 16: give less"),
        (["--curriculum", "4"], "--curriculum: 4 is too short; 1 pairs need 5"),
    ):
        monkeypatch.setattr(sys, "argv", ["attention_tasks", *arguments])
        with pytest.raises(SystemExit) as refused:
            script.main()
        assert refused.value.code == 2
        lines = capsys.readouterr().err.splitlines()
        assert message in lines[-1]


def test_a_curriculum_trains_on_each_of_its_lengths_and_on_the_keys_of_the_last(
    script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--kinds", "full", "--tasks", "recall", "--lengths", "96", "--tokens", "96"]
    arguments += ["--curriculum", "24,48", "--updates", "20"]
    monkeypatch.setattr(sys, "argv", ["attention_tasks", *arguments])
    options, [cell], _ = script.parsed()
    seen: list[torch.Tensor] = []

    class Recorded(script.Stack):  # type: ignore[misc, name-defined]
        def forward(self, symbols: torch.Tensor) -> torch.Tensor:
            seen.append(symbols)
            return torch.Tensor(super().forward(symbols))

    monkeypatch.setattr(script, "Stack", Recorded)
    found = script.measure(cell | {"updates_allowed": 20}, options)
    trained = seen[: found["updates"]]
    assert found["updates"] == 60
    assert [rows.shape for rows in trained[::20]] == [(4, 24), (2, 48), (1, 96)]
    for length, updates in zip(
        (24, 48, 96), (trained[:20], trained[20:40], trained[40:]), strict=True
    ):
        keys = torch.cat([rows.flatten() for rows in updates])
        keys = keys[keys >= 20].unique()
        assert 18 < len(keys) <= 24, "all lengths have the 24 keys of 12 pairs"
        breaks = (torch.cat(updates) == script_break(script)).nonzero()[:, 1]
        assert (breaks == length - length // 8 - 1).all(), "an eighth of the positions are queries"


def script_break(script: Any) -> int:
    """Return the symbol between the pairs and the queries."""
    return int(script.TASKS["recall"].draw.__globals__["BREAK"])


def test_a_setting_may_be_a_fraction(script: Any) -> None:
    found = list(script.kinds_of("adaptive_span:attention_span_loss=0.25,attention_span=8"))
    settings = {"attention_span_loss": 0.25, "attention_span": 8}
    assert found == [("adaptive_span", settings)]


def test_a_record_is_continued(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    record = tmp_path / "record.json"
    common = ["attention_tasks", "--lengths", "14", "--updates", "1", "--sequences", "2"]
    tables = []
    for kinds in ("full", "full;linear"):
        monkeypatch.setattr(
            sys, "argv", [*common, "--tasks", "copy", "--kinds", kinds, "--record", str(record)]
        )
        script.main()
        tables.append(capsys.readouterr())
    assert tables[0].err.count("\n") == tables[1].err.count("\n") == 1  # one measurement each
    assert tables[1].out.startswith(tables[0].out)
    assert tables[1].out.count("\n") == 4
