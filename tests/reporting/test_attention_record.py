"""Records raise if their weights do not match their tokens."""

import re

import numpy as np
import pytest

from nmt.reporting.attention_record import AttentionRecord


@pytest.mark.parametrize(
    "shape", [(3, 2), (1, 3, 2), (1, 1, 2, 3), (0, 1, 3, 2), (1, 0, 3, 2), (1, 1, 1, 3, 2)]
)
def test_weights_that_do_not_match_the_tokens_raise(shape):
    with pytest.raises(ValueError, match=re.escape(str(shape)) + r".*layers, heads, 3, 2"):
        AttentionRecord(["a", "b"], ["x", "y", "z"], np.zeros(shape), "", "a b", "x y z")


def test_layers_and_heads_are_the_first_two_axes(make_record):
    record = make_record(layers=2, heads=5)
    assert (record.layers, record.heads) == (2, 5)
