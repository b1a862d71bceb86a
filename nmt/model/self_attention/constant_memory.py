"""Memories of earlier target pieces whose size does not grow with the number of pieces.

Each step of search uses one. `WindowMemory` has the keys and values of the last pieces. `SumMemory`
has sums over all pieces, the state of a recurrent network (Katharopoulos et al. 2020, section 3.4).

Legend: A sentences, N beams of each, P slots, W >= N places of a slot, one per beam, G heads of
keys and values, F features of a key, K head size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from nmt.kernels.precision import at_least_float32
from nmt.model.attention.memory import AttentionMemory
from nmt.model.beams import parent_rows
from nmt.model.self_attention.target_memory import (
    FIRST_SLOTS,
    Buffers,
    TargetMemory,
    copied,
    own_places,
    reordered,
)


@dataclass(frozen=True)
class WindowMemory(TargetMemory):
    """Keys and values of the last pieces; a new piece replaces the oldest one if P = ``limit``.

    P is smaller while there are few pieces.

    Attributes:
        seen: [A, N, P, W], the additive mask: 0 for the past of a beam, else -inf.
        limit: The greatest P.
        end: An exclusive bound of the positions of all pieces so far.
        reserved: Whether `end` also bounds all future steps, and steps may write into the buffers.
    """

    seen: Tensor
    limit: int
    end: int
    reserved: bool

    @classmethod
    def of(cls, source: Sequence[AttentionMemory], position: Tensor, limit: int) -> "WindowMemory":
        """Return an empty memory for the last ``limit`` pieces; see `GrowingMemory.of`."""
        like = source[0].keys
        batch, heads, _, size = like.shape
        steps = min(limit, FIRST_SLOTS)
        buffers = tuple(
            like.new_zeros(batch, heads, steps, 1, size) for _ in range(2 * len(source))
        )
        seen = like.new_full((batch, 1, steps, 1), float("-inf"))
        positions = position.new_zeros(steps)
        return cls(buffers, own_places(like, 1, 1), positions, position, seen, limit, 0, False)

    @property
    def slots(self) -> int:
        """An exclusive bound of the positions. It may exceed P, because slots are reused."""
        return self.end

    @property
    def key_positions(self) -> Tensor:
        """The positions of all places, [P · W]; undefined for places that are not written."""
        return self.positions

    def open(self) -> "WindowMemory":
        """Return the memory with a slot for the next piece: a new slot, or the oldest one."""
        steps = self.seen.size(2)
        if not self.reserved and self.end == steps < self.limit:  # no slot is free
            return self._with_steps(min(2 * steps, self.limit)).open()
        batch, beams, _, width = self.seen.shape
        slot = self.position % steps
        own = self.own[None, :, None].expand(batch, beams, 1, width)
        positions = self.positions.view(steps, width)
        positions = positions.index_copy(0, slot, self.position[:, None].expand(1, width)).flatten()
        opened = replace(self, seen=self.seen.index_copy(2, slot, own), positions=positions)
        if self.reserved:
            return opened
        return replace(opened, buffers=tuple(map(torch.clone, self.buffers)), end=self.end + 1)

    def write(self, layer: int, memory: AttentionMemory) -> AttentionMemory:
        """Write keys and values into the slot of the new piece; see `TargetMemory.write`."""
        slot = self.position % self.seen.size(2)
        keys, values = self.buffers[2 * layer :][:2]
        keys.index_copy_(2, slot, _wide(memory.keys, keys))
        values.index_copy_(2, slot, _wide(memory.values, values))
        return AttentionMemory(
            keys.flatten(2, 3), values.flatten(2, 3), self.seen.flatten(2)[:, None]
        )

    def select(self, sentences: Tensor) -> "WindowMemory":
        """Return the memory of the sentences [R]."""
        buffers = tuple(buffer.index_select(0, sentences) for buffer in self.buffers)
        return replace(self, buffers=buffers, seen=self.seen.index_select(0, sentences))

    def reorder(self, parents: Tensor) -> "WindowMemory":
        """Return the memory of the beams ``parents`` [A, N]; more beams need wider slots."""
        beams, width = parents.size(1), self.own.size(1)
        if beams == width == 1:
            return self
        memory = self if beams <= width else self._with_width(beams)
        width = max(beams, width)
        own = own_places(self.own, beams, width)
        return replace(memory, seen=reordered(memory.seen, parents), own=own)

    def reserve(self, steps: int) -> "WindowMemory":
        """Return a memory for ``steps`` target pieces, in new buffers."""
        end = max(steps, self.end)
        memory = self._with_steps(max(self.seen.size(2), min(end, self.limit)))
        return replace(memory, end=end, reserved=True)

    def _with_steps(self, steps: int) -> "WindowMemory":
        """Return the memory with P = ``steps``, in new buffers; no slot was reused yet."""
        before, width = self.seen.shape[2:]
        seen = functional.pad(self.seen, (0, 0, 0, steps - before), value=float("-inf"))
        positions = functional.pad(self.positions, (0, (steps - before) * width))
        return replace(
            self, buffers=copied(self.buffers, before, steps, width), seen=seen, positions=positions
        )

    def _with_width(self, width: int) -> "WindowMemory":
        steps, before = self.seen.shape[2:]
        seen = functional.pad(self.seen, (0, width - before), value=float("-inf"))
        positions = self.positions.view(steps, before)[:, :1].expand(steps, width).flatten()
        buffers: Buffers = copied(self.buffers, steps, steps, width)
        return replace(self, buffers=buffers, seen=seen, positions=positions)


def _wide(new: Tensor, buffer: Tensor) -> Tensor:
    """Return [A, G, N, K] as a slot [A, G, 1, W, K], with 0 in the places after the last beam."""
    return functional.pad(new, (0, 0, 0, buffer.size(3) - new.size(2)))[:, :, None].type_as(buffer)


@dataclass(frozen=True)
class SummedMemory(AttentionMemory):
    """Sums over the keys of each beam, which replace keys and values.

    Attributes:
        sums: [A, N, G, F, K + 1], the sums of φ(k) v (first K columns) and of φ(k) (last column).
    """

    sums: Tensor | None = None


@dataclass(frozen=True)
class SumMemory(TargetMemory):
    """Sums of φ(k) v and φ(k) over the pieces of each beam; the size is the same at every step.

    Katharopoulos et al. 2020, eq. 18 and 19. Each layer has one buffer [A, N, G, F, K + 1].

    Attributes:
        end: An exclusive bound of the positions of all pieces so far.
        reserved: Whether `end` also bounds all future steps.
        new: The buffers that the layers have written in this step.
    """

    end: int
    reserved: bool
    new: list[Tensor] = field(compare=False)

    @classmethod
    def of(cls, source: Sequence[AttentionMemory], position: Tensor, features: int) -> "SumMemory":
        """Return the memory before the first piece; see `GrowingMemory.of`."""
        like = at_least_float32(source[0].keys)
        batch, heads, _, size = like.shape
        shape = batch, 1, heads, features, size + 1
        buffers = tuple(like.new_zeros(shape) for _ in source)
        return cls(buffers, own_places(like, 1, 1), position, position, 0, False, [])

    @property
    def slots(self) -> int:
        """An exclusive bound of the positions."""
        return self.end

    @property
    def key_positions(self) -> Tensor:
        """The position of the new piece, [1]; the memory has no other positions."""
        return self.position

    def open(self) -> "SumMemory":
        """Return the memory to which `write` adds the next piece."""
        return replace(self, end=self.end if self.reserved else self.end + 1, new=[])

    def close(self) -> "SumMemory":
        """Return the memory with the sums that the layers have written."""
        position = self.position + 1
        return replace(self, buffers=tuple(self.new), position=position, positions=position, new=[])

    def write(self, layer: int, memory: AttentionMemory) -> AttentionMemory:
        """Add features [A, G, N, F] and values [A, G, N, K] of the new pieces to the sums."""
        values = functional.pad(at_least_float32(memory.values), (0, 1), value=1.0)
        features = at_least_float32(memory.keys)
        added = features[..., :, None] * values[..., None, :]  # [A, G, N, F, K + 1]
        sums = self.buffers[layer] + added.transpose(1, 2)
        self.new.append(sums)
        return SummedMemory(memory.keys, memory.values, None, sums=sums)

    def select(self, sentences: Tensor) -> "SumMemory":
        """Return the memory of the sentences [R]."""
        return replace(
            self, buffers=tuple(sums.index_select(0, sentences) for sums in self.buffers)
        )

    def reorder(self, parents: Tensor) -> "SumMemory":
        """Return the memory of the beams ``parents`` [A, N] of each sentence."""
        rows = parent_rows(parents, self.buffers[0].size(1))
        moved = (sums.flatten(0, 1).index_select(0, rows) for sums in self.buffers)
        return replace(self, buffers=tuple(sums.unflatten(0, parents.shape) for sums in moved))

    def reserve(self, steps: int) -> "SumMemory":
        """Return the memory for ``steps`` target pieces; its shapes never change."""
        return replace(self, end=max(steps, self.end), reserved=True)
