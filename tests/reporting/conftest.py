"""Attention records with random weights, for tests of pages, files and grids."""

from collections.abc import Callable

import numpy as np
import pytest

from nmt.reporting.attention_record import AttentionRecord


@pytest.fixture
def make_record() -> Callable[..., AttentionRecord]:
    """Return a function that makes records whose rows sum to 1, with tokens s0.. and t0.. ."""

    def make(
        layers: int = 1,
        heads: int = 1,
        source: list[str] | int = 4,
        target: list[str] | int = 3,
        **texts: str,
    ) -> AttentionRecord:
        source = [f"s{n}" for n in range(source)] if isinstance(source, int) else source
        target = [f"t{n}" for n in range(target)] if isinstance(target, int) else target
        scores = np.random.default_rng(0).normal(size=(layers, heads, len(target), len(source)))
        weights = np.exp(4 * scores).astype(np.float32)
        weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-9)
        written = {"title": "cross-attention", "source_text": "", "target_text": ""} | texts
        return AttentionRecord(source, target, weights, **written)

    return make
