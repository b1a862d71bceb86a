"""Which spans were quiet, and that waiting ends."""

import time

import pytest

from nmt.bench.clock import QUIET, Instant, Span, quiet, wait_for_quiet


def spans(seconds: float, *others: float | None) -> list[Span]:
    """Successive spans in which we took a core, and others as many as told."""
    made, wall, busy = [], 0.0, 0.0
    for taken in others:
        start = Instant(wall, wall, None if taken is None else busy)
        wall, busy = wall + seconds, busy + seconds * (1 + (taken or 0.0))
        made.append(Span(start, Instant(wall, wall, None if taken is None else busy)))
    return made


def test_a_span_is_quiet_if_others_took_little() -> None:
    assert quiet(spans(2.0, 0.0, QUIET - 0.01, QUIET + 0.01, 1.5)) == [True, True, False, False]


def test_our_own_work_is_not_that_of_others() -> None:
    (span,) = spans(2.0, 0.25)
    assert span.others == pytest.approx(0.25)


def test_a_short_span_is_judged_with_its_neighbours() -> None:
    lull = spans(0.1, 1.0, 1.0, 0.0, 1.0, 1.0)
    burst = spans(0.1, 0.0, 0.0, 0.5, 0.0, 0.0)
    assert not any(quiet(lull))
    assert quiet(burst)[2]  # over half a second it is little


def test_where_the_system_does_not_tell_all_is_quiet() -> None:
    assert quiet(spans(1.0, None, None)) == [True, True]


def test_time_passes_and_the_clock_sees_our_own_work() -> None:
    before = Instant.now()
    while time.process_time() < before.own + 0.02:
        pass
    after = Instant.now()
    assert after.wall > before.wall
    assert after.own >= before.own + 0.02


def test_waiting_has_an_end_however_busy_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.bench.clock.QUIET", -1000.0)  # nothing is that quiet
    assert wait_for_quiet(0.05) >= 0.05
