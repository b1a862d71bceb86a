"""The number of rows that passes cover at a time, so that results fit in a cache or in memory.

Legend: R rows, V vocabulary.
"""

from functools import cache

import torch
from torch import Tensor

from nmt.kernels.dispatch import on_cpu

LOGITS_PER_CHUNK = {"cpu": 4_000_000}
"""Logits in memory at a time on a CPU, so that a chunk fits into the cache."""

BYTES_IN_CACHE = 1_000_000
"""Bytes that stay in the cache of a CPU core from one pass to the next."""

BYTES_PER_CHUNK = 2_000_000_000
"""Bytes of a chunk of logits and of the results computed from it, on other devices, but at most a
sixteenth of the device's memory: each chunk is a dozen launches, so one chunk is best."""


def logits_rows(
    vocab_size: int, rows: Tensor, *, multiple: int = 1, bytes_per_logit: int = 4
) -> int:
    """Return the number of rows per chunk of logits [rows, V], at least 1 and a multiple.

    Args:
        vocab_size: V.
        rows: What the logits are computed from; their device decides.
        multiple: The number of rows is a multiple of this one.
        bytes_per_logit: Memory that a chunk takes for each of its logits, intermediate results
            included.
    """
    if on_cpu(rows):
        elements = LOGITS_PER_CHUNK["cpu"]
    else:
        elements = _chunk_bytes(rows.device) // bytes_per_logit
    return max(1, elements // vocab_size // multiple) * multiple


def rows_in_cache(values: Tensor, copy_bytes: int = 0) -> int:
    """Return how many rows of values [R, V] several passes should cover at a time, at least 1.

    ``copy_bytes`` is the size of a number in a copy that also has to stay in the cache.
    """
    return max(1, BYTES_IN_CACHE // (values.size(1) * (values.element_size() + copy_bytes)))


def _chunk_bytes(device: torch.device) -> int:
    memory = _device_memory(device) if device.type == "cuda" else 16 * BYTES_PER_CHUNK
    return min(BYTES_PER_CHUNK, memory // 16)


@cache
def _device_memory(device: torch.device) -> int:
    return int(torch.cuda.get_device_properties(device).total_memory)
