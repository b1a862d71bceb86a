"""Every sentence is in one batch, and batches by pieces keep to their size."""

import numpy as np
import pytest

from nmt.config.schema import DecodingConfig
from nmt.decoding.batches import batch_tokens, search_batches


@pytest.mark.parametrize("tokens", [None, 1, 64, 1000, 5000])
def test_every_sentence_is_in_one_batch(tokens: int | None) -> None:
    lengths = np.random.default_rng(1).integers(1, 60, 300).tolist()
    batches = list(search_batches(lengths, 7, tokens))
    together = [index for batch in batches for index in batch]
    assert sorted(together) == [i for i, length in enumerate(lengths) if length > 1]
    assert [lengths[i] for i in together] == sorted((n for n in lengths if n > 1), reverse=True)
    for batch in batches[:-1]:
        longest = max(lengths[i] for i in batch)
        if tokens is None:
            assert len(batch) == 7
        elif len(batch) > 1:
            assert len(batch) * longest <= tokens, "a batch has too many pieces"
            assert len(batch) < 8 or len(batch) % 8 == 0, "too many shapes"


def test_a_chosen_batch_size_applies_on_a_gpu() -> None:
    assert batch_tokens(DecodingConfig(), 5, on_gpu=False) is None
    assert batch_tokens(DecodingConfig(batch_size=16), 5, on_gpu=True) is None
    assert batch_tokens(DecodingConfig(batch_size=16, batch_tokens=99), 5, on_gpu=True) == 99
    greedy, beams = (batch_tokens(DecodingConfig(), size, on_gpu=True) for size in (1, 5))
    assert greedy is not None
    assert beams == greedy // 5
