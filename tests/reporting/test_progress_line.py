"""The progress line: its width, its update rate, and its output on terminals and in pipes."""

import io
import math
import os
from dataclasses import replace

import pytest

from nmt.reporting.progress_line import (
    LINE_WIDTH,
    ProgressLine,
    StageStatus,
    TrainingStatus,
    format_duration,
    format_stage,
    format_status,
)
from tests.fixtures.terminal import FakeClock, FakeTerminal

STATUS = TrainingStatus(
    update=1250,
    max_updates=5000,
    epoch=3,
    loss=2.3141,
    learning_rate=7.1e-4,
    gradient_norm=0.83,
    tokens_per_second=6210.4,
    seconds_left=760,
)
HUGE = TrainingStatus(
    update=123_456_789,
    max_updates=999_999_999,
    epoch=12_345,
    loss=1.5e30,
    learning_rate=1e-300,
    gradient_norm=1e200,
    tokens_per_second=9.9e20,
    seconds_left=9e9,
)


@pytest.fixture(autouse=True)
def _terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")


def test_a_typical_status_fits_completely():
    assert format_status(STATUS) == (
        "  1,250/5,000  ep 3  loss 2.314  lr 7.1e-04  grad 0.83  6,210 tok/s  ETA 12:40"
    )


def test_unknown_totals_and_times_are_omitted():
    line = format_status(replace(STATUS, max_updates=None, seconds_left=None))
    assert "/5,000" not in line
    assert "ETA" not in line


def test_columns_keep_their_position_as_numbers_grow():
    starts = {
        format_status(replace(STATUS, update=update)).index("ep") for update in (1, 99, 999, 5000)
    }
    assert len(starts) == 1


@pytest.mark.parametrize("width", [0, 1, 10, 20, 40, 60, 79, LINE_WIDTH, 200])
@pytest.mark.parametrize("bad", [0.0, -1e9, math.nan, math.inf, 999.9996, 99_999.7, 1e12])
def test_no_status_is_wider_than_the_line(width, bad):
    statuses = [STATUS, HUGE, replace(HUGE, max_updates=None)]
    statuses += [
        replace(STATUS, loss=bad, gradient_norm=bad, tokens_per_second=bad, seconds_left=bad),
        replace(HUGE, loss=bad, gradient_norm=bad, tokens_per_second=bad, seconds_left=bad),
    ]
    for status in statuses:
        assert len(format_status(status, width)) <= width


def test_the_most_important_parts_are_kept_for_huge_numbers():
    line = format_status(HUGE)
    assert "123,456,789/999,999,999" in line
    assert "loss" in line
    assert "ETA" in line


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (7.4, "0:07"),
        (59.7, "1:00"),
        (760, "12:40"),
        (3599.5, "1:00:00"),
        (11_100, "3:05:00"),
        (86_399, "23:59:59"),
        (86_400, "1d 0h"),
        (2 * 86_400 + 3 * 3600 + 5, "2d 3h"),
        (1e12, ">999d"),
        (-5, "0:00"),
        (math.nan, "?"),
        (math.inf, "?"),
    ],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


def test_a_pipe_gets_plain_lines_at_intervals():
    stream, clock = io.StringIO(), FakeClock()
    with ProgressLine(stream, every_seconds=10, clock=clock) as progress:
        for update in range(1, 36):  # one update per second, at 0 s, 1 s, ... 34 s
            progress.update(replace(STATUS, update=update))
            clock.now += 1
    written = stream.getvalue()
    assert "\r" not in written
    assert "\x1b" not in written
    shown = [int(line.split("/")[0]) for line in written.splitlines()]
    assert shown == [1, 11, 21, 31, 35], "the first, one every ten seconds, and the last"


def test_a_second_close_writes_nothing():
    stream = io.StringIO()
    progress = ProgressLine(stream, clock=FakeClock())
    progress.update(STATUS)
    progress.close()
    progress.close()
    assert stream.getvalue() == format_status(STATUS) + "\n"


def test_messages_in_a_pipe_are_lines():
    stream = io.StringIO()
    with ProgressLine(stream, clock=FakeClock()) as progress:
        progress.message("saved")
        progress.update(STATUS)
        progress.message("saved again")
    assert stream.getvalue() == f"saved\n{format_status(STATUS)}\nsaved again\n"


def test_in_a_pipe_a_message_follows_the_status_of_its_update():
    stream, clock = io.StringIO(), FakeClock()
    with ProgressLine(stream, every_seconds=10, clock=clock) as progress:
        for update in range(1, 5):
            progress.update(replace(STATUS, update=update))
            clock.now += 1
        progress.message("validated")
        progress.message("scores")
        for update in range(5, 18):
            progress.update(replace(STATUS, update=update))
            clock.now += 1
        progress.message("scores again")
    starts = [line.strip().split("/")[0] for line in stream.getvalue().splitlines()]
    # Ten seconds are counted from 4 s, when the line before "validated" was written.
    assert starts == ["1", "4", "validated", "scores", "15", "17", "scores again"]


def test_a_terminal_rewrites_one_line_below_the_messages():
    stream, clock = FakeTerminal(), FakeClock()
    progress = ProgressLine(stream, clock=clock)
    progress.message("start")
    progress.update(STATUS)
    assert stream.screen() == ["start", format_status(STATUS)]
    clock.now += 1
    shorter = replace(STATUS, seconds_left=None)
    progress.update(shorter)
    assert stream.screen() == ["start", format_status(shorter)], "the longer line should be gone"
    progress.message("new best")
    assert stream.screen() == ["start", "new best", format_status(shorter)]
    clock.now += 1
    progress.update(replace(STATUS, update=1251))
    progress.close()
    last = format_status(replace(STATUS, update=1251))
    assert stream.screen() == ["start", "new best", last, ""]


def test_a_terminal_is_redrawn_at_most_ten_times_per_second():
    stream, clock = FakeTerminal(), FakeClock()
    with ProgressLine(stream, clock=clock) as progress:
        for update in range(1000):  # in one second
            progress.update(replace(STATUS, update=update))
            clock.now += 0.001
    assert 5 <= stream.getvalue().count("\r") <= 11
    assert stream.screen()[-2].strip().startswith("999/"), "the last status should be shown"


@pytest.mark.parametrize("columns", [20, 40, 60, len(format_status(STATUS))])
def test_the_line_fits_a_narrow_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = FakeTerminal()
    with ProgressLine(stream, clock=FakeClock()) as progress:
        progress.update(STATUS)
    assert 0 < max(map(len, stream.screen())) < columns


def test_the_width_is_that_of_the_output_terminal():
    fcntl = pytest.importorskip("fcntl", reason="Windows has no pseudo-terminals")
    import struct
    import termios

    control, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 50, 0, 0))
    with open(terminal, "w") as stream:
        with ProgressLine(stream, clock=FakeClock()) as progress:
            progress.update(STATUS)
        written = os.read(control, 1000).decode()
    os.close(control)
    assert written.startswith("\r" + format_status(STATUS, 49) + "\x1b[K")


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = FakeTerminal()
    with ProgressLine(stream, clock=FakeClock()) as progress:
        progress.update(STATUS)
    assert stream.getvalue() == format_status(STATUS) + "\n"


def test_an_error_leaves_the_cursor_on_a_new_line():
    def fail_while_showing(progress: ProgressLine) -> None:
        with progress:
            progress.update(STATUS)
            raise RuntimeError

    stream = FakeTerminal()
    with pytest.raises(RuntimeError):
        fail_while_showing(ProgressLine(stream, clock=FakeClock()))
    assert stream.getvalue().endswith("\n")


@pytest.mark.parametrize("width", [20, 60, LINE_WIDTH])
@pytest.mark.parametrize("total", [None, 0, 10**12])
def test_a_stage_fits_its_line(width: int, total: int | None) -> None:
    for done in (0, 7, 10**12):
        assert len(format_stage(StageStatus("encoding", done, total, 1e-12), width)) <= width


def test_a_stage_shows_its_share_and_the_time_left() -> None:
    # 250 pairs in 5 s are 50 pairs per second; the other 750 take 15 s.
    line = format_stage(StageStatus("encoding", 250, 1000, 5.0))
    assert "[###         ]  25%  250/1,000  50 pairs/s  ETA 0:15" in line
    assert "250 pairs  50 pairs/s" in format_stage(StageStatus("reading", 250, None, 5.0))


def test_a_stage_and_training_share_the_line() -> None:
    terminal = FakeTerminal()
    with ProgressLine(terminal, clock=FakeClock()) as line:
        line.update(StageStatus("reading", 10, None, 1.0))
        line.message("read")
        line.update(STATUS)
    shown = terminal.screen()
    assert shown[0] == "read"
    assert shown[1] == format_status(STATUS)
