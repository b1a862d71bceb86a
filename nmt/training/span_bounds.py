"""Keeps the learned spans of ``self_attention=adaptive_span`` within their bounds."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from nmt.model.self_attention.adaptive_span import AdaptiveSpan


@torch.no_grad()
def bound_spans(model: nn.Module) -> None:
    """Set each trained span outside its bounds to the nearest bound; call this after each update.

    The code of Sukhbaatar et al. 2019 does the same. Otherwise the penalty would move a span
    further below 0 in each update, and it could only grow again after as many other updates.
    """
    for shares in _shares(model):
        if shares.requires_grad:
            _own(shares).clamp_(0, 1)


@contextmanager
def longest_spans(model: nn.Module) -> Iterator[None]:
    """Give all spans their upper bound, and restore them at the end.

    The spans of a new model are 0. With longer spans, a pass needs more memory.
    """
    shares = [_own(share.detach()) for share in _shares(model)]
    before = [share.clone() for share in shares]
    for share in shares:
        share.fill_(1)
    try:
        yield
    finally:
        for share, value in zip(shares, before, strict=True):
            share.copy_(value)


def _shares(model: nn.Module) -> list[Tensor]:
    return [one.span_shares for one in model.modules() if isinstance(one, AdaptiveSpan)]


def _own(shares: Tensor) -> Tensor:
    """Return this process's shard of a sharded tensor, or the tensor itself."""
    return shares.to_local() if isinstance(shares, DTensor) else shares
