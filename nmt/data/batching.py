"""Token-budget batches of like length, shuffled by (seed, epoch), with a state to resume from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from nmt.config.schema import Config
from nmt.data.encoded import EncodedCorpus
from nmt.data.length_batches import Indices, LengthKeys, batches_by_key, cut_lengths
from nmt.data.mixture import epoch_counts, epoch_members, source_weights
from nmt.errors import UserError


@dataclass(frozen=True)
class BatchingState:
    """Where a run stands in its data: the next update's position within an epoch."""

    epoch: int = 0
    position: int = 0


@dataclass(frozen=True)
class PlannedUpdate:
    """The pairs of one update.

    Attributes:
        batches: Indices of the pairs of each batch, of this process's share; one may be empty.
        epoch: The epoch it belongs to.
        after: The state behind it.
    """

    batches: list[Indices]
    epoch: int
    after: BatchingState


@dataclass(frozen=True)
class EpochCost:
    """What an epoch takes.

    Attributes:
        updates: Optimizer steps.
        padding_share: Pads among all places of both sides, EOS counted as a piece.
        target_padding_share: Pads among the places of the target side.
        largest_batch: Rows, and pieces of the wider side, of the batch of most target places.
        order_bytes: What the order of an epoch takes in memory, beside the lengths.
    """

    updates: int
    padding_share: float
    target_padding_share: float
    largest_batch: tuple[int, int]
    order_bytes: int


class UpdateBatches:
    """An endless stream of updates, each a list of batches to accumulate.

    The order of an epoch is a function of (seed, epoch) alone, so the state is two numbers. It does
    not depend on the number of processes either: each takes every ``world``-th row of every batch,
    so a run may go on with more or fewer of them.
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
        """Stream updates of ``batch_tokens`` target pieces in ``accumulation`` parts.

        Args:
            corpus: The pairs, of one or several sources.
            batch_tokens: Target pieces of an update, pads and EOS included, as the corpus cuts its
                words; where other cuts are sampled, the budget still counts these.
            accumulation: Batches of an update.
            seed: Of the run.
            weights: How many times each source of the corpus is seen an epoch; empty: once.
            temperature: Evens out sources of unlike size, see `epoch_counts`.
            shuffle_buffer: Pairs that are shuffled together, in shards from anywhere in the corpus:
                memory then does not grow with the corpus, besides the lengths, and reading is
                nearly in sequence. None: all pairs.
            rank: This process, from 0.
            world: Processes that share the rows of every batch.
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
                "an epoch holds no pair: the weights of the training text (data.train.weight, "
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
        """Stream the updates of a run, or one process's share of them."""
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
        """Leave the lengths out: where this goes, the corpus is at hand and gives them again."""
        return self.__dict__ | {"_keys": None}

    def __iter__(self) -> Iterator[list[Indices]]:
        """Yield updates from `state` on; `state` then points behind the one yielded."""
        for update in self.updates(self.state):
            self.state = update.after
            yield update.batches

    def updates(self, state: BatchingState) -> Iterator[PlannedUpdate]:
        """Yield updates from a state on, without end; `state` stays as it is."""
        epoch, position = state.epoch, state.position
        while True:
            batches = self._epoch(epoch, skip=position * self._accumulation)
            waiting = list(islice(batches, self._accumulation))
            while waiting:
                update, waiting = waiting, list(islice(batches, self._accumulation))
                position += 1
                after = BatchingState(epoch, position) if waiting else BatchingState(epoch + 1)
                yield PlannedUpdate([batch[self._share] for batch in update], epoch, after)
            epoch, position = epoch + 1, 0

    def updates_per_epoch(self) -> int:
        """Return the number of updates in the current epoch."""
        return self.cost().updates

    def cost(self) -> EpochCost:
        """Count what the current epoch takes, by lengths alone."""
        keys, rows, widths = self._length_keys(), [], []
        order_bytes, real = 0, np.zeros(2, dtype=np.int64)
        for members in self._members(self.state.epoch):
            found, counts = keys.count(members)
            sides = np.stack(keys.lengths(found), axis=1)
            real += counts @ sides
            cuts = cut_lengths(sides, counts, self._budget)
            rows.append(cuts.rows)
            widths.append(cuts.widths)
            order_bytes = max(order_bytes, members.nbytes)
        all_rows, all_widths = np.concatenate(rows), np.concatenate(widths)
        places = all_rows[:, None] * all_widths
        largest = int(places[:, 1].argmax())
        return EpochCost(
            updates=-(-len(all_rows) // self._accumulation),
            padding_share=1 - float(real.sum() / places.sum()),
            target_padding_share=1 - float(real[1] / places[:, 1].sum()),
            largest_batch=(int(all_rows[largest]), int(all_widths[largest].max())),
            order_bytes=order_bytes,
        )

    def _epoch(self, epoch: int, skip: int) -> Iterator[Indices]:
        """Yield the batches of an epoch behind the first ``skip``, which cost counting alone."""
        keys = self._length_keys()
        for number, members in enumerate(self._members(epoch)):
            if skip:
                found, counts = keys.count(members)
                sides = np.stack(keys.lengths(found), axis=1)
                batches = len(cut_lengths(sides, counts, self._budget).rows)
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
