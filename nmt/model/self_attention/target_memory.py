"""Keys and values of target pieces in search. A new piece is appended; no piece is moved.

The beams of a sentence share one buffer. Each step writes into the next slot, which has one place
per beam. If search reorders the beams, only an additive mask changes. It marks the places that
belong to the past of a hypothesis.

Legend: A sentences, N beams of each, P slots, one per step, W >= N places of a slot, G heads of
keys and values, K head size.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from nmt.kernels.attention.step_attention import new_zeros, select_rows
from nmt.model.attention.memory import AttentionMemory
from nmt.model.beams import moved_into_gaps, parent_rows

FIRST_SLOTS = 16
"""Slots of a new buffer; a buffer with twice as many slots replaces a full one."""

Buffers = tuple[Tensor, ...]  # keys and values of each layer in turn, [A, G, P, W, K]


@dataclass(frozen=True)
class TargetMemory(ABC):
    """Keys and values of all layers for the self-attention of a step.

    Attributes:
        buffers: Keys, then values, of each layer, [A, G, P, W, K]; 0 if not yet written.
        own: [N, W], the mask of a new slot: each hypothesis attends to its own piece.
        positions: [P · W], the target position of each place.
        position: [1], the number of pieces so far, which is the slot of the next one.
    """

    buffers: Buffers
    own: Tensor
    positions: Tensor
    position: Tensor

    @property
    def slots(self) -> int:
        """P, the greatest number of pieces."""
        return self.buffers[0].size(2)

    @property
    @abstractmethod
    def key_positions(self) -> Tensor:
        """The target position of each place that a step attends to; valid after `open`."""

    @abstractmethod
    def open(self) -> Self:
        """Return the memory with a slot for the next piece. Each layer then calls `write`."""

    def close(self) -> Self:
        """Return the memory after all layers have written."""
        return replace(self, position=self.position + 1)

    @abstractmethod
    def write(self, layer: int, memory: AttentionMemory) -> AttentionMemory:
        """Write the new keys and values [A, G, N, K] of a layer; return those of all pieces.

        The returned keys and values are [A, G, P · W, K], and the mask is [A, 1, N, P · W].
        """

    @abstractmethod
    def select(self, sentences: Tensor) -> Self:
        """Return the memory of the sentences [R]."""

    def keep(self, sentences: Tensor) -> Self:
        """Do what `select` does, in the same buffers if possible; see `DecoderState.keep`."""
        return self.select(sentences)

    @abstractmethod
    def reorder(self, parents: Tensor) -> Self:
        """Return the memory of the beams ``parents`` [A, N] of each sentence."""

    @abstractmethod
    def reserve(self, steps: int) -> "TargetMemory":
        """Return a memory of fixed shapes for ``steps`` pieces, with the pieces of this memory."""


@dataclass(frozen=True)
class GrowingMemory(TargetMemory):
    """A memory that grows: a step attends only to the slots so far.

    Attributes:
        filled: P', the number of pieces so far, that of the open slot included.
        seen: [A, N, P', W], the additive mask: 0 for the past of a beam, else -inf; None: W = 1,
            so all slots are visible.
        written: The number of written slots. All memories with the same buffers share this list.
            If it exceeds ``filled``, another memory has already used the next slot. Then `open`
            copies the buffers.
    """

    filled: int
    seen: Tensor | None
    written: list[int] = field(compare=False)

    @classmethod
    def of(cls, source: Sequence[AttentionMemory], position: Tensor) -> "GrowingMemory":
        """Return an empty memory for layers with these memories of the source."""
        like = source[0].keys
        batch, heads, _, size = like.shape
        shape = batch, heads, FIRST_SLOTS, 1, size
        buffers = tuple(
            new_zeros(of, shape) for memory in source for of in (memory.keys, memory.values)
        )
        positions = torch.arange(FIRST_SLOTS, device=like.device)
        return cls(buffers, own_places(like, 1, 1), positions, position, 0, None, [0])

    @property
    def key_positions(self) -> Tensor:
        """The positions of the slots so far, [P' · W]."""
        return self.positions[: self.filled * self.own.size(1)]

    def open(self) -> "GrowingMemory":
        """Return the memory with one more slot, in new buffers if the next slot is not free."""
        memory, filled = self, self.filled + 1
        if self.filled == self.slots:
            memory = self._with_shape(2 * self.slots, self.own.size(1))
        elif self.written[0] > self.filled:
            memory = self._with_shape(self.slots, self.own.size(1))
        memory.written[0] = filled
        seen = self.seen
        if seen is not None:
            seen = torch.cat([seen, self.own[:, None].expand(len(seen), -1, 1, -1)], dim=2)
        return replace(memory, filled=filled, seen=seen)

    def write(self, layer: int, memory: AttentionMemory) -> AttentionMemory:
        """Write keys and values into the newest slot; see `TargetMemory.write`."""
        slot, end = self.filled - 1, self.filled * self.own.size(1)
        keys, values = self.buffers[2 * layer :][:2]
        # A copy into another layout is faster if it does not also cast.
        keys[:, :, slot, : memory.keys.size(2)] = memory.keys.type_as(keys)
        values[:, :, slot, : memory.keys.size(2)] = memory.values.type_as(values)
        return AttentionMemory(
            keys.flatten(2, 3)[:, :, :end],
            values.flatten(2, 3)[:, :, :end],
            None if self.seen is None else self.seen.flatten(2)[:, None],
        )

    def select(self, sentences: Tensor) -> "GrowingMemory":
        """Return the memory of the sentences [R], in new buffers."""
        buffers = tuple(select_rows(buffer, sentences) for buffer in self.buffers)
        seen = None if self.seen is None else self.seen.index_select(0, sentences)
        return replace(self, buffers=buffers, seen=seen, written=[self.filled])

    def keep(self, sentences: Tensor) -> "GrowingMemory":
        """Return the memory of the sentences [R], if possible in the same buffers."""
        if self.written[0] > self.filled:
            return self.select(sentences)
        moved_into_gaps([buffer[:, :, : self.filled] for buffer in self.buffers], sentences)
        buffers = tuple(buffer[: len(sentences)] for buffer in self.buffers)
        seen = None if self.seen is None else self.seen.index_select(0, sentences)
        return replace(self, buffers=buffers, seen=seen)

    def reorder(self, parents: Tensor) -> "GrowingMemory":
        """Return the memory of the beams ``parents`` [A, N]; more beams need wider slots."""
        beams, width = parents.size(1), self.own.size(1)
        if beams == width == 1:
            return self
        memory = self if beams <= width else self._with_shape(self.slots, beams)
        seen = reordered(self._seen(), parents)
        seen = functional.pad(seen, (0, memory.own.size(1) - width), value=float("-inf"))
        own = memory.own if len(memory.own) == beams else own_places(self.own, beams, seen.size(3))
        return replace(memory, seen=seen, own=own)

    def reserve(self, steps: int) -> "FixedMemory":
        """Return a memory of fixed shapes with ``steps`` slots and the pieces of this memory."""
        memory = self._with_shape(steps, self.own.size(1))
        seen = self._seen()
        seen = functional.pad(seen, (0, 0, 0, steps - self.filled), value=float("-inf"))
        return FixedMemory(memory.buffers, self.own, memory.positions, self.position, seen)

    def _seen(self) -> Tensor:
        """Return the mask, [A, N, P', W]."""
        if self.seen is not None:
            return self.seen
        return self.own.new_zeros(len(self.buffers[0]), 1, self.filled, 1)

    def _with_shape(self, slots: int, width: int) -> "GrowingMemory":
        buffers = copied(self.buffers, self.filled, slots, width)
        positions = torch.arange(slots, device=self.positions.device).repeat_interleave(width)
        own = functional.pad(self.own, (0, width - self.own.size(1)), value=float("-inf"))
        return replace(self, buffers=buffers, positions=positions, own=own, written=[self.filled])


@dataclass(frozen=True)
class FixedMemory(TargetMemory):
    """A memory whose steps attend to all P slots; the mask excludes slots without a piece.

    A step writes into slot ``position``, a value on the device.

    Attributes:
        seen: [A, N, P, W], the additive mask: 0 for the past of a beam, else -inf.
    """

    seen: Tensor

    @property
    def key_positions(self) -> Tensor:
        """The positions of all slots, [P · W]."""
        return self.positions

    def open(self) -> "FixedMemory":
        """Return the memory whose mask includes the next slot."""
        batch, beams, _, width = self.seen.shape
        own = self.own[None, :, None].expand(batch, beams, 1, width)
        seen = self.seen.index_copy(2, self.position, own)
        return replace(self, seen=seen)

    def write(self, layer: int, memory: AttentionMemory) -> AttentionMemory:
        """Write keys and values into the newest slot; see `TargetMemory.write`."""
        keys, values = self.buffers[2 * layer :][:2]
        keys.index_copy_(2, self.position, memory.keys[:, :, None].type_as(keys))
        values.index_copy_(2, self.position, memory.values[:, :, None].type_as(values))
        return AttentionMemory(
            keys.flatten(2, 3), values.flatten(2, 3), self.seen.flatten(2)[:, None]
        )

    def select(self, sentences: Tensor) -> "FixedMemory":
        """Return the memory of the sentences [R]."""
        buffers = tuple(select_rows(buffer, sentences) for buffer in self.buffers)
        return replace(self, buffers=buffers, seen=self.seen.index_select(0, sentences))

    def reorder(self, parents: Tensor) -> "FixedMemory":
        """Return the memory of the beams ``parents`` [A, N]; N does not change."""
        if parents.size(1) == 1:
            return self
        return replace(self, seen=reordered(self.seen, parents))

    def reserve(self, steps: int) -> "FixedMemory":
        """Return a memory with ``steps`` >= P slots."""
        width = self.own.size(1)
        positions = torch.arange(steps, device=self.positions.device).repeat_interleave(width)
        more = (0, 0, 0, steps - self.slots)
        seen = functional.pad(self.seen, more, value=float("-inf"))
        buffers = copied(self.buffers, self.slots, steps, width)
        return replace(self, buffers=buffers, positions=positions, seen=seen)


def own_places(like: Tensor, beams: int, width: int) -> Tensor:
    """Return [N, W], 0 on the diagonal and -inf elsewhere."""
    return like.new_full((beams, width), float("-inf")).fill_diagonal_(0.0)


def reordered(seen: Tensor, parents: Tensor) -> Tensor:
    """Return the masks [A, N, P, W] of the beams ``parents`` [A, N]."""
    rows = seen.flatten(0, 1).index_select(0, parent_rows(parents, seen.size(1)))
    return rows.unflatten(0, parents.shape)


def copied(buffers: Buffers, filled: int, slots: int, width: int) -> Buffers:
    """Copy the first ``filled`` slots into new buffers with ``slots`` slots of ``width`` places."""
    copies = []
    for buffer in buffers:
        batch, heads, _, places, size = buffer.shape
        copy = new_zeros(buffer, (batch, heads, slots, width, size))
        copy[:, :, :filled, :places] = buffer[:, :, :filled]
        copies.append(copy)
    return tuple(copies)
