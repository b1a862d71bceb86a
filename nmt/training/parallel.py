"""Forward and backward passes of an update, in one process or shared out over several.

Every process has its rows of each batch and a loss already divided by the tokens of all; so the
gradient of an update is a plain sum over processes, whoever had how many rows.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist

from nmt import processes
from nmt.data.batch import Batch
from nmt.model.loss import Loss
from nmt.model.seq2seq import TranslationModel

_BUCKET_ELEMENTS = 6_000_000  # 24 MB in float32: large enough to fill a link, small enough to wait

any = processes.any


def build_strategy(kind: str, model: TranslationModel) -> "ParallelStrategy":
    """Return how a model is trained: ``ddp``, ``fsdp``, or ``auto``; alone, none of them matters.

    With ``fsdp`` the model's parameters become shards, so nothing may hold on to them before.
    """
    if processes.world() == 1:
        return ParallelStrategy()
    if kind == "fsdp":
        from nmt.training.sharding import ShardedPasses

        return ShardedPasses(model)
    return SummedPasses(model)


class ParallelStrategy:
    """The passes of a process that trains alone, and what the other kinds replace.

    Attributes:
        retries: Whether an update can be begun again when a pass has failed in one process.
    """

    retries = True

    def evened(self, batches: list[Batch]) -> list[Batch]:
        """Return the batches of an update, so many as every process has to pass through."""
        return batches

    def forward(self, compute: Callable[[], Loss]) -> Loss:
        """Return the loss that ``compute`` makes with the model."""
        return compute()

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Add the gradient of a part of the update, ``last`` telling whether more parts follow."""
        loss.backward()

    def finish(self) -> None:
        """Make the gradient that of all processes, after the last part, or where there is none."""

    def whole(self) -> AbstractContextManager[None]:
        """Return a context in which every process can use the model by itself."""
        return nullcontext()

    def gathered(self, state: Any) -> Any:
        """Return nested containers with whole tensors, as a checkpoint holds them."""
        return state

    def parted(self, saved: Sequence[Tensor], own: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return whole tensors as those of this process are: the parts of them that it keeps."""
        return saved

    def load_weights(self, model: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Take over whole weights."""
        model.load_state_dict(dict(weights))

    def load_optimizer(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        """Take over an optimizer's state of whole tensors."""
        optimizer.load_state_dict(state)


class SummedPasses(ParallelStrategy):
    """A model in every process; gradients are summed while the last backward pass goes on.

    Parameters are put into buckets, those first whose gradients are ready first. Buckets travel in
    this order in every process, so that a process without rows in a batch, or with fewer batches,
    sums zeros without a pass of its own; the sums are the same bits everywhere.
    """

    def __init__(self, model: nn.Module) -> None:
        """Watch a model's parameters."""
        parameters = [p for p in model.parameters() if p.requires_grad]
        self._buckets = list(_buckets(parameters[::-1]))
        self._bucket_of = {p: i for i, bucket in enumerate(self._buckets) for p in bucket}
        self._waiting: list[int] = []  # gradients each bucket still lacks, in the last pass
        self._sent: list[tuple[Tensor, dist.Work]] = []
        for parameter in self._bucket_of:
            parameter.register_post_accumulate_grad_hook(self._ready)

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Add a part's gradient; in the last one, send every bucket that is complete."""
        self._waiting = [len(bucket) for bucket in self._buckets] if last else []
        loss.backward()
        self._waiting = []

    def finish(self) -> None:
        """Send what has not gone yet and put the sums in place."""
        while len(self._sent) < len(self._buckets):
            self._send()
        for bucket, (sums, work) in zip(self._buckets, self._sent, strict=True):
            work.wait()
            *parts, had = sums.split([*(p.numel() for p in bucket), len(bucket)])
            lacking = [p.grad is None for p in bucket]
            if True in lacking:  # a gradient that no process has stays none, as in one alone
                lacking = (had == 0).tolist()
            for parameter, part, none in zip(bucket, parts, lacking, strict=True):
                parameter.grad = None if none else part.view_as(parameter)
        self._sent = []

    def _ready(self, parameter: Tensor) -> None:
        if not self._waiting:
            return
        self._waiting[self._bucket_of[parameter]] -= 1
        while len(self._sent) < len(self._buckets) and not self._waiting[len(self._sent)]:
            self._send()

    def _send(self) -> None:
        """Send the next bucket, and behind it which of its gradients exist here."""
        bucket = self._buckets[len(self._sent)]
        parts = [_flat(p) for p in bucket]
        parts.append(parts[0].new_tensor([float(p.grad is not None) for p in bucket]))
        sums = torch.cat(parts)
        work = dist.all_reduce(sums, async_op=True)
        assert work is not None
        self._sent.append((sums, work))


def _flat(parameter: Tensor) -> Tensor:
    gradient = parameter.grad
    return parameter.new_zeros(parameter.numel()) if gradient is None else gradient.reshape(-1)


def _buckets(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    for parameter in parameters:
        if bucket and sum(p.numel() for p in bucket) + parameter.numel() > _BUCKET_ELEMENTS:
            yield bucket
            bucket = []
        bucket.append(parameter)
    yield bucket


def summed(values: Mapping[str, float]) -> dict[str, float]:
    """Return the sums over processes of numbers by name; one that has none of a name adds 0."""
    total: Counter[str] = Counter()
    for part in processes.gather(dict(values)):
        total.update(part)
    return dict(total)


def seed_update(seed: int, update: int) -> None:
    """Let dropout in each process be a function of (seed, update, rank).

    So nothing is to be saved for each, and a run goes on with more or fewer of them; alone, the
    generators go on as they are.
    """
    if processes.world() > 1:
        words = np.random.SeedSequence((seed, update, processes.rank())).generate_state(2)
        torch.manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)
