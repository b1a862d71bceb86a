"""The number of rows to compute at a time, so that results fit in a cache or in memory.

Legend: R rows, V vocabulary.
"""

from functools import cache

import torch
from torch import Tensor

from nmt.kernels.dispatch import on_cpu

LOGITS_PER_CHUNK = {"cpu": 4_000_000}
"""Logits in memory at a time on a CPU, so that a chunk fits in the shared cache."""

BYTES_IN_CACHE = 1_000_000
"""Bytes that stay in the cache of a CPU core from one pass to the next."""

BYTES_PER_CHUNK = 2_000_000_000
"""Bytes of a chunk of logits and its results on other devices, but at most a sixteenth of the
memory. Each chunk takes about a dozen launches, so few large chunks are fastest."""


def logits_rows(
    vocab_size: int, rows: Tensor, *, multiple: int = 1, bytes_per_logit: int = 4
) -> int:
    """Return the number of rows per chunk of logits [rows, V], at least ``multiple``.

    Args:
        vocab_size: V.
        rows: The hidden vectors. Their device determines the result.
        multiple: The result is a multiple of this number.
        bytes_per_logit: Memory per logit of a chunk, with intermediate results; not for a CPU.
    """
    if on_cpu(rows):
        elements = LOGITS_PER_CHUNK["cpu"]
    else:
        elements = _chunk_bytes(rows.device) // bytes_per_logit
    return max(1, elements // vocab_size // multiple) * multiple


def rows_in_cache(values: Tensor, copy_bytes: int = 0) -> int:
    """Return the number of rows of values [R, V] that fit in the cache of a core, at least 1.

    ``copy_bytes`` is the size of an element of a copy that must also fit.
    """
    return max(1, BYTES_IN_CACHE // (values.size(1) * (values.element_size() + copy_bytes)))


def _chunk_bytes(device: torch.device) -> int:
    memory = _device_memory(device) if device.type == "cuda" else 16 * BYTES_PER_CHUNK
    return min(BYTES_PER_CHUNK, memory // 16)


@cache
def _device_memory(device: torch.device) -> int:
    return int(torch.cuda.get_device_properties(device).total_memory)
