"""Quiet spans are recognized, and waiting ends."""

import time

import pytest

from nmt.bench.clock import QUIET, Instant, Span, quiet, wait_for_quiet


def spans(seconds: float, *others: float | None) -> list[Span]:
    """Successive spans in which this process used one core, and others used the given number."""
    made, wall, busy = [], 0.0, 0.0
    for taken in others:
        start = Instant(wall, wall, None if taken is None else busy)
        wall, busy = wall + seconds, busy + seconds * (1 + (taken or 0.0))
        made.append(Span(start, Instant(wall, wall, None if taken is None else busy)))
    return made


def test_a_span_is_quiet_if_others_took_little() -> None:
    assert quiet(spans(2.0, 0.0, QUIET - 0.01, QUIET + 0.01, 1.5)) == [True, True, False, False]


def test_own_work_does_not_count_as_other_processes() -> None:
    (span,) = spans(2.0, 0.25)
    assert span.others == pytest.approx(0.25)


def test_a_short_span_is_judged_with_its_neighbours() -> None:
    lull = spans(0.1, 1.0, 1.0, 0.0, 1.0, 1.0)
    burst = spans(0.1, 0.0, 0.0, 0.5, 0.0, 0.0)
    assert not any(quiet(lull))
    assert quiet(burst)[2]  # little over half a second


def test_every_span_is_quiet_if_the_system_reports_no_load() -> None:
    assert quiet(spans(1.0, None, None)) == [True, True]


def test_the_clock_measures_wall_time_and_own_processor_time() -> None:
    before = Instant.now()
    while time.process_time() < before.own + 0.02:
        pass
    after = Instant.now()
    assert after.wall > before.wall
    assert after.own >= before.own + 0.02


def test_waiting_ends_even_if_other_processes_stay_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.bench.clock.QUIET", -1000.0)  # no machine is that quiet
    assert wait_for_quiet(0.05) >= 0.05
