"""A hypothesis attends to the keys and values of its own pieces, however its beams were reordered.

Legend: A sentences, N beams, G heads, K head size.
"""

import pytest
import torch
from torch import Tensor

from nmt.kernels.attention.scaled_dot_product import naive_attention
from nmt.model.attention.memory import AttentionMemory
from nmt.model.self_attention.target_memory import FIRST_SLOTS, GrowingMemory, TargetMemory

A, G, K = 3, 2, 4


def empty() -> GrowingMemory:
    source = AttentionMemory(torch.zeros(A, G, 5, K), torch.zeros(A, G, 5, K), None)
    return GrowingMemory.of([source], torch.zeros(1, dtype=torch.long))


def step(memory: TargetMemory, new: Tensor) -> tuple[TargetMemory, AttentionMemory]:
    """Append keys and values ``new`` [A, G, N, K]."""
    memory = memory.open()
    seen = memory.write(0, AttentionMemory(new, -new, None))
    return memory.close(), seen


@pytest.mark.parametrize("room", [None, 2 * FIRST_SLOTS])
@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("drop", ["select", "keep"])
def test_each_hypothesis_attends_to_its_own_path(beams: int, room: int | None, drop: str) -> None:
    memory: TargetMemory = empty()
    paths = torch.zeros(A, G, 1, 0, K)  # the keys of each hypothesis, moved at every step
    sentences = torch.arange(A)
    for number in range(FIRST_SLOTS + 4):  # the buffer grows
        new = torch.randn(len(sentences), G, paths.size(2), K)
        memory, seen = step(memory, new)
        paths = torch.cat([paths, new[:, :, :, None]], dim=3)
        query = torch.randn_like(new)
        found = naive_attention(query, seen.keys, seen.values, seen.mask)
        flat = paths.transpose(1, 2).flatten(0, 1)  # [A · N, G, steps, K]
        rows = query.transpose(1, 2).flatten(0, 1)[:, :, None]
        expected = naive_attention(rows, flat, -flat, None)
        torch.testing.assert_close(found.flatten(0, 1), expected[:, 0])
        parents = torch.randint(paths.size(2), (len(sentences), beams))
        memory = memory.reorder(parents)
        paths = torch.stack([of[:, row] for of, row in zip(paths, parents, strict=True)])
        if number == 0 and room is not None:
            memory = memory.reserve(room)
        if number == 6:
            kept = torch.tensor([0, 2])
            memory = getattr(memory, drop)(kept)
            paths, sentences = paths[kept], sentences[kept]
    assert memory.position.item() == FIRST_SLOTS + 4


def test_a_memory_continued_twice_keeps_both() -> None:
    memory, _ = step(empty(), torch.randn(A, G, 1, K))
    one, seen = step(memory, torch.ones(A, G, 1, K))
    before = seen.keys.clone()
    _, other = step(memory, torch.zeros(A, G, 1, K))
    assert torch.equal(seen.keys, before)
    assert not torch.equal(other.keys, before)
    _, continued = step(one, torch.ones(A, G, 1, K))
    assert torch.equal(continued.keys[:, :, :2], before)


def test_keeping_some_sentences_changes_no_memory_that_was_continued() -> None:
    memory, _ = step(empty(), torch.randn(A, G, 1, K))
    continued, seen = step(memory, torch.randn(A, G, 1, K))
    before = seen.keys.clone()
    kept = memory.keep(torch.tensor([2]))
    _, again = step(continued, torch.randn(A, G, 1, K))
    assert torch.equal(again.keys[:, :, :2], before)
    _, other = step(kept, torch.randn(1, G, 1, K))
    assert torch.equal(other.keys[:, :, :1], before[2:, :, :1])


def test_no_step_moves_what_was_written() -> None:
    memory: TargetMemory = empty().reserve(8)
    for _ in range(8):
        memory, seen = step(memory, torch.randn(A, G, 1, K))
        memory = memory.reorder(torch.zeros(A, 1, dtype=torch.long))
    assert seen.keys.data_ptr() == memory.buffers[0].data_ptr()
