"""Passes that need as much memory as any pass of a run, for measurements."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from nmt.model.structured_dropout import LayerDrop
from nmt.training.span_bounds import longest_spans


@contextmanager
def largest_passes(model: nn.Module) -> Iterator[None]:
    """Give spans of attention their upper bound and skip no layer; restore both at the end.

    Otherwise a measurement would depend on the layers that LayerDrop happens to skip, and on the
    spans of a new model, which are 0.
    """
    drops = [one for one in model.modules() if isinstance(one, LayerDrop)]
    before = [drop.probability for drop in drops]
    with longest_spans(model):
        for drop in drops:
            drop.probability = 0.0
        try:
            yield
        finally:
            for drop, probability in zip(drops, before, strict=True):
                drop.probability = probability
