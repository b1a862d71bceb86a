"""The progress of commands: what a terminal shows, during the work and afterwards."""

import io

import pytest

from nmt.errors import UserError
from nmt.reporting import console as console_module
from nmt.reporting.command_progress import CommandProgress
from nmt.reporting.console import Console
from nmt.reporting.progress_line import (
    ProgressLine,
    StageStatus,
    TextStatus,
    format_stage,
    format_text,
)
from nmt.reporting.text_width import text_width
from tests.fixtures.terminal import FakeClock, FakeTerminal


@pytest.fixture(autouse=True)
def _terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")


def test_a_pipe_gets_nothing():
    stream = io.StringIO()
    with CommandProgress(stream, clock=FakeClock()) as progress:
        progress.show("loading", "runs/x")
        progress.stage("translating", 10)(5)
    assert stream.getvalue() == ""


def test_a_terminal_shows_what_is_loaded_and_then_how_far_the_command_is():
    terminal, clock = FakeTerminal(), FakeClock()
    with CommandProgress(terminal, clock=clock) as progress:
        progress.show("loading", "runs/x")
        assert terminal.screen() == ["loading runs/x ..."]
        advance = progress.stage("translating", 100)
        assert terminal.screen()[0].split() == ["translating", "[", "]", "0%", "0/100", "ETA", "?"]
        clock.now += 5
        advance(50)  # 10 per second, so that the other half takes another 5 s
        assert "50%  50/100  10 sentences/s  ETA 0:05" in terminal.screen()[0]
        clock.now += 5
        advance(60, share=0.8)  # the rest is cheaper: a fifth of the work, 2.5 s
        assert "80%  60/100  6 sentences/s  ETA 0:02" in terminal.screen()[0]
    assert terminal.screen() == [""], "only results should stay on a terminal"


def test_other_text_replaces_the_line_and_the_line_returns():
    terminal = FakeTerminal()
    with CommandProgress(terminal, clock=FakeClock()) as progress:
        advance = progress.stage("aligning", 2)
        progress.clear()
        terminal.write("0-0 1-1\n")
        advance(1)  # at once, although the clock stands still
        assert terminal.screen()[0] == "0-0 1-1"
        assert "1/2" in terminal.screen()[1]
    assert terminal.screen() == ["0-0 1-1", ""]


def test_ctrl_c_keeps_the_line_and_ends_it():
    terminal = FakeTerminal()

    def interrupt() -> None:
        with CommandProgress(terminal, clock=FakeClock()) as progress:
            progress.stage("translating", 100)(50)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert "50/100" in terminal.screen()[0]
    assert terminal.screen()[1:] == [""]


def test_an_error_erases_the_line():
    terminal = FakeTerminal()

    def fail() -> None:
        with CommandProgress(terminal, clock=FakeClock()) as progress:
            progress.show("loading", "runs/x")
            raise UserError("x")

    with pytest.raises(UserError):
        fail()
    assert terminal.screen() == [""]


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    terminal, clock = FakeTerminal(), FakeClock()
    with CommandProgress(terminal, clock=clock) as progress:
        progress.show("loading", "runs/x")
        advance = progress.stage("translating", 30)
        for done in range(1, 31):
            clock.now += 1
            advance(done)
    text = terminal.getvalue()
    assert "\r" not in text
    assert "\x1b" not in text
    assert text.startswith("loading runs/x ...\n")
    assert 3 <= text.count("translating") <= 5, "a line every ten seconds"


def test_only_the_first_process_shows_anything(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    terminal = FakeTerminal()
    with CommandProgress(terminal) as progress:
        progress.show("loading", "runs/x")
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("width", [0, 1, 3, 12, 20, 40, 79])
@pytest.mark.parametrize(
    "name", ["läufe/modell", "运行/模型" * 30, "एक/दो" * 20, "x" * 300, "🙂" * 50]
)
def test_no_line_is_wider_than_the_terminal(width, name):
    assert text_width(format_text(TextStatus("loading", name), width)) <= width
    for total in (None, 10**9):
        stage = StageStatus(name, 5 * 10**8, total, 7.0, "sentences")
        assert text_width(format_stage(stage, width)) <= width


def test_letters_of_chinese_and_japanese_take_two_columns_and_accents_none():
    assert text_width("模型") == 4
    assert text_width("モデル") == 6
    assert text_width("e\u0301") == 1
    assert text_width("runs/x") == 6


def test_a_long_path_keeps_its_end():
    line = format_text(TextStatus("loading", "/home/someone/" + "deep/" * 20 + "runs/mine"), 40)
    assert line.endswith("runs/mine ...")
    assert line.startswith("loading ...")


def test_a_narrow_terminal_keeps_the_share_and_the_time_left():
    line = format_stage(StageStatus("translating", 250, 1000, 5.0, "sentences"), 30)
    assert "25%" in line
    assert "ETA 0:15" in line


def test_a_run_names_what_it_loads_until_its_next_message():
    terminal = FakeTerminal()
    console = Console(ProgressLine(terminal, clock=FakeClock()))
    console.show("loading", "runs/old")
    assert terminal.screen() == ["loading runs/old ..."]
    console("starts from runs/old")
    assert terminal.screen() == ["starts from runs/old", ""]


def test_a_stage_that_counts_nothing_shows_its_name(monkeypatch):
    terminal, now = FakeTerminal(), [0.0]
    monkeypatch.setattr(console_module.time, "monotonic", lambda: now[0])
    console = Console(ProgressLine(terminal, clock=FakeClock()))
    console.progress("training the tokenizer", 0, None)
    assert terminal.screen() == [""]
    now[0] = 3.0
    console.progress("training the tokenizer", 0, None)
    assert terminal.screen() == ["training the tokenizer ..."]


def test_a_pipe_does_not_get_what_a_run_loads():
    stream = io.StringIO()
    Console(ProgressLine(stream, clock=FakeClock())).show("loading", "runs/old")
    assert stream.getvalue() == ""
