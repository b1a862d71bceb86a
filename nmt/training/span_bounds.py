"""Keeps the learned spans of ``self_attention=adaptive_span`` within their bounds."""

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from nmt.model.self_attention.adaptive_span import AdaptiveSpan


@torch.no_grad()
def bound_spans(model: nn.Module) -> None:
    """Set each trained span outside its bounds to the nearest bound; call this after each update.

    The code of Sukhbaatar et al. 2019 does the same. Otherwise the penalty would move a span
    further below 0 in each update, and it could only grow again after as many other updates.
    """
    for module in model.modules():
        if isinstance(module, AdaptiveSpan) and module.span_shares.requires_grad:
            shares = module.span_shares
            (shares.to_local() if isinstance(shares, DTensor) else shares).clamp_(0, 1)
