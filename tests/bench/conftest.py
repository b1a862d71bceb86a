from collections.abc import Callable

import pytest
import torch
from command_line import corpus, nmt, refused, run, tiny

from nmt.bench.clock import Instant, Span
from nmt.bench.counts import Counts
from nmt.bench.measured_run import PHASES, Step

__all__ = ["corpus", "nmt", "refused", "run", "tiny"]  # fixtures

MakeStep = Callable[..., Step]


@pytest.fixture
def step() -> MakeStep:
    """A factory of updates with a number of target pieces and a load by other processes."""

    def make(tokens: int, seconds: float = 1.0, others: float | None = 0.0) -> Step:
        busy = None if others is None else 0.0
        after = None if others is None else seconds * (1 + others)  # one core is our own
        span = Span(Instant(0.0, 0.0, busy), Instant(seconds, seconds, after))
        counts = Counts.of_lengths(torch.tensor([3]), torch.tensor([tokens]))
        return Step(span, counts, dict.fromkeys(PHASES, seconds / len(PHASES)))

    return make
