"""Batches of pairs of similar length within a token budget, in an order set by (seed, epoch)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from nmt.config.schema import Config
from nmt.data.batches.length_batches import Indices, LengthKeys, batch_shapes, batches_by_key
from nmt.data.batches.mixture import epoch_counts, epoch_members, source_weights
from nmt.data.batches.padding import PaddedPairs, RaggedRows, pad_pairs
from nmt.data.encoded import EncodedCorpus
from nmt.errors import UserError


@dataclass(frozen=True)
class BatchingState:
    """The position of a run in its data.

    Attributes:
        epoch: Number of the epoch, counted from 0.
        position: Index of the next update within the epoch.
    """

    epoch: int = 0
    position: int = 0


@dataclass(frozen=True)
class PlannedUpdate:
    """The pairs of one update.

    Attributes:
        batches: The pair indices of this process's share of each batch. A share may be empty. In
            packed batches, a share may be two batches.
        epoch: The epoch of the update, counted from 0.
        after: The state after the update.
    """

    batches: list[Indices]
    epoch: int
    after: BatchingState


@dataclass(frozen=True)
class EpochCost:
    """Updates, padding and memory of an epoch.

    Attributes:
        updates: Optimizer steps.
        padding_share: Share of PAD in the slots of both sides; EOS is not PAD.
        target_padding_share: Share of PAD in the slots of the target side.
        largest_batch: Of the batch with the most target slots, the number of rows, and the width of
            the wider side.
        order_bytes: Bytes of the pair indices that are shuffled together.
        packed: Whether a row contains several pairs.
    """

    updates: int
    padding_share: float
    target_padding_share: float
    largest_batch: tuple[int, int]
    order_bytes: int
    packed: bool = False

    def describe_largest(self) -> str:
        """Describe the largest batch in words."""
        rows, width = self.largest_batch
        if self.packed:
            return f"every batch packed in {rows} x {width:,} positions"
        return f"the largest batch {rows:,} sentences of {width}"


class UpdateBatches:
    """An endless stream of updates, each a list of batches to accumulate.

    The order of an epoch depends only on (seed, epoch), so the state is two numbers. The number of
    processes does not change the batches: each process takes every ``world``-th row of each batch.
    So a run can continue with more or fewer processes.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        batch_tokens: int,
        accumulation: int,
        seed: int,
        *,
        weights: Sequence[float] = (),
        temperature: float = 1.0,
        shuffle_buffer: int | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """Stream updates of at most ``batch_tokens`` target pieces in ``accumulation`` batches.

        Args:
            corpus: The pairs, from one or several sources.
            batch_tokens: Maximum target pieces per update, including PAD and EOS. A pair that is
                longer than a batch forms one by itself. Lengths are those of the stored
                segmentation, also with subword sampling.
            accumulation: Batches per update.
            seed: Seed of the run.
            weights: How many times an epoch contains each source of the corpus; empty: once.
            temperature: Makes the shares of the sources more equal, see `epoch_counts`.
            shuffle_buffer: Number of pairs that are shuffled together, from 8 shards of the corpus.
                Apart from the lengths, memory then does not grow with the corpus, and the pairs of
                a shard are near each other on disk. None: all pairs.
            rank: Rank of this process, counted from 0.
            world: Number of processes that share the rows of every batch.
        """
        sizes = corpus.sections or (len(corpus),)
        weights = weights or (1.0,) * len(sizes)
        if len(weights) != len(sizes) or sum(sizes) != len(corpus):
            raise ValueError(f"weights {weights} of sources of {sizes} in {len(corpus)} pairs")
        self.corpus = corpus
        self.seed = seed
        self.state = BatchingState()
        self._sizes = sizes
        self._counts = epoch_counts(sizes, weights, temperature)
        if not sum(self._counts):
            raise UserError(
                "an epoch has no pairs: the weights of the training text (data.train.weight, "
                "data.extra.*.weight) are too small for so few pairs; raise them"
            )
        self._budget = batch_tokens // accumulation
        self._accumulation = accumulation
        self._buffer = shuffle_buffer
        self._share = slice(rank, None, world)
        self._keys: LengthKeys | None = None

    @classmethod
    def of_config(
        cls, corpus: EncodedCorpus, config: Config, *, rank: int = 0, world: int = 1
    ) -> "UpdateBatches":
        """Stream the updates of a run, or this process's share of them."""
        data, training = config.data, config.training
        return cls(
            corpus,
            training.batch_tokens,
            training.accumulation,
            config.seed,
            weights=source_weights(data),
            temperature=data.temperature,
            shuffle_buffer=data.shuffle_buffer,
            rank=rank,
            world=world,
        )

    def __getstate__(self) -> dict[str, object]:
        """Omit the length keys from the pickle; the other process computes them from the corpus."""
        return self.__dict__ | {"_keys": None}

    def __iter__(self) -> Iterator[list[Indices]]:
        """Yield updates from `state` on; `state` is then the position after the yielded update."""
        for update in self.updates(self.state):
            self.state = update.after
            yield update.batches

    def updates(self, state: BatchingState) -> Iterator[PlannedUpdate]:
        """Yield updates from a state on, endlessly, without changing `state`."""
        epoch, position = state.epoch, state.position
        while True:
            batches = self._epoch(epoch, skip=position * self._accumulation)
            waiting = list(islice(batches, self._accumulation))
            while waiting:
                update, waiting = waiting, list(islice(batches, self._accumulation))
                position += 1
                after = BatchingState(epoch, position) if waiting else BatchingState(epoch + 1)
                shares = [share for batch in update for share in self._own(batch)]
                yield PlannedUpdate(shares, epoch, after)
            epoch, position = epoch + 1, 0

    def _own(self, batch: Indices) -> list[Indices]:
        """Return this process's share of a batch, as one or several batches."""
        return [batch[self._share]]

    def pad(
        self,
        sources: RaggedRows,
        targets: RaggedRows,
        links: Sequence[npt.NDArray[np.int32]] | None = None,
    ) -> PaddedPairs:
        """Make the arrays of a batch; see `pad_pairs`."""
        return pad_pairs(sources, targets, links)

    def updates_per_epoch(self) -> int:
        """Return the number of updates in the current epoch."""
        return self.cost().updates

    def cost(self) -> EpochCost:
        """Compute the cost of the current epoch from the lengths alone."""
        keys, rows, widths = self._length_keys(), [], []
        order_bytes, real = 0, np.zeros(2, dtype=np.int64)
        for members in self._members(self.state.epoch):
            found, counts = keys.count(members)
            sides = np.stack(keys.lengths(found), axis=1)
            real += counts @ sides
            shapes = batch_shapes(sides, counts, self._budget)
            rows.append(shapes.rows)
            widths.append(shapes.widths)
            order_bytes = max(order_bytes, members.nbytes)
        all_rows, all_widths = np.concatenate(rows), np.concatenate(widths)
        slots = all_rows[:, None] * all_widths
        largest = int(slots[:, 1].argmax())
        return EpochCost(
            updates=-(-len(all_rows) // self._accumulation),
            padding_share=1 - float(real.sum() / slots.sum()),
            target_padding_share=1 - float(real[1] / slots[:, 1].sum()),
            largest_batch=(int(all_rows[largest]), int(all_widths[largest].max())),
            order_bytes=order_bytes,
        )

    def _epoch(self, epoch: int, skip: int) -> Iterator[Indices]:
        """Yield the batches of an epoch without the first ``skip``, which are only counted."""
        keys = self._length_keys()
        for number, members in enumerate(self._members(epoch)):
            if skip:
                found, counts = keys.count(members)
                sides = np.stack(keys.lengths(found), axis=1)
                batches = len(batch_shapes(sides, counts, self._budget).rows)
                if batches <= skip:
                    skip -= batches
                    continue
            random = np.random.default_rng((self.seed, epoch, 1 + number))
            made = batches_by_key(keys, random.permutation(members), self._budget)
            for index in random.permutation(len(made))[skip:]:
                yield made[index]
            skip = 0

    def _members(self, epoch: int) -> Iterator[Indices]:
        return epoch_members(self._sizes, self._counts, self._buffer, self.seed, epoch)

    def _length_keys(self) -> LengthKeys:
        if self._keys is None:
            sides = self.corpus.source.offsets, self.corpus.target.offsets
            self._keys = LengthKeys.of_offsets(*sides)
        return self._keys
