"""Training in several processes: the choice of a strategy, sums over processes, random seeds."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist

from nmt import processes
from nmt.config.training_settings import Parallel
from nmt.model.seq2seq import TranslationModel
from nmt.training.parallel.data_parallel import DataParallel
from nmt.training.parallel.parallel_strategy import ParallelStrategy


def build_strategy(name: str, model: TranslationModel) -> ParallelStrategy:
    """Return the strategy for ``training.parallel``: ``ddp``, ``fsdp``, or ``auto`` (ddp).

    A single process ignores the setting. ``fsdp`` replaces the parameters of the model by shards,
    so no object may refer to the parameters before this call.
    """
    if processes.world() == 1:
        return ParallelStrategy()
    if name == Parallel.FSDP:
        from nmt.training.parallel.sharding import (
            ShardedDataParallel,  # torch.distributed.fsdp loads slowly
        )

        return ShardedDataParallel(model)
    return DataParallel(model)


def sum_on_device(value: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes, on its device and without a host read."""
    if processes.world() == 1:
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total


def sum_by_name(values: Mapping[str, float]) -> dict[str, float]:
    """Return the sum of each named value over all processes; a missing name counts as 0."""
    total: Counter[str] = Counter()
    for part in processes.gather(dict(values)):
        total.update(part)
    return dict(total)


def seed_update(seed: int, update: int) -> None:
    """Seed dropout in each process by (seed, update, rank).

    So dropout does not depend on a saved generator state, and a run can be resumed with more or
    fewer processes. A single process is not seeded: it continues from its generator state.
    """
    if processes.world() > 1:
        words = np.random.SeedSequence((seed, update, processes.rank())).generate_state(2)
        torch.manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)
