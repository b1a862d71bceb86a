"""Data-parallel training: a model replica in each process, gradients summed by all-reduce."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch import distributed as dist

from nmt.training.parallel_strategy import ParallelStrategy

_BUCKET_ELEMENTS = 6_000_000  # 24 MB in float32: large enough to use the link, small enough to wait


class DataParallel(ParallelStrategy):
    """All-reduces gradients in buckets while the last backward pass is still running.

    Buckets are filled in the order in which gradients become available and are sent in the same
    order by every process. A process without rows, or with fewer batches, therefore contributes
    zeros without a pass of its own. The sums are identical to the last bit in all processes.
    """

    def __init__(self, model: nn.Module) -> None:
        """Register hooks on the trainable parameters of a model."""
        parameters = [p for p in model.parameters() if p.requires_grad]
        self._buckets = list(_buckets(parameters[::-1]))
        self._bucket_of = {p: i for i, bucket in enumerate(self._buckets) for p in bucket}
        self._missing: list[int] = []  # gradients each bucket still lacks in the last pass
        self._sent: list[tuple[Tensor, dist.Work]] = []
        for parameter in self._bucket_of:
            parameter.register_post_accumulate_grad_hook(self._on_gradient)

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Accumulate a batch's gradient; in the last batch, send every complete bucket."""
        self._missing = [len(bucket) for bucket in self._buckets] if last else []
        loss.backward()
        self._missing = []

    def finish(self) -> None:
        """Send the remaining buckets and store the sums as gradients."""
        while len(self._sent) < len(self._buckets):
            self._send()
        for bucket, (sums, work) in zip(self._buckets, self._sent, strict=True):
            work.wait()
            *parts, present = sums.split([*(p.numel() for p in bucket), len(bucket)])
            absent = [p.grad is None for p in bucket]
            if True in absent:  # a gradient that no process has stays None, as in a single process
                absent = (present == 0).tolist()
            for parameter, part, none in zip(bucket, parts, absent, strict=True):
                parameter.grad = None if none else part.view_as(parameter)
        self._sent = []

    def _on_gradient(self, parameter: Tensor) -> None:
        if not self._missing:
            return
        self._missing[self._bucket_of[parameter]] -= 1
        while len(self._sent) < len(self._buckets) and not self._missing[len(self._sent)]:
            self._send()

    def _send(self) -> None:
        """Send the next bucket, followed by one flag per gradient: whether it exists here."""
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
