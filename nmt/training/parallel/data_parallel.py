"""Data-parallel training: a model replica in each process, gradients summed by all-reduce."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch import distributed as dist

from nmt.model.structured_dropout import LayerDrop
from nmt.training.parallel.parallel_strategy import ParallelStrategy

# 24 MB in float32: large enough for the full bandwidth, and small enough that the first buckets are
# sent long before the backward pass ends.
_BUCKET_ELEMENTS = 6_000_000


class DataParallel(ParallelStrategy):
    """All-reduces gradients in buckets while the last backward pass is still running.

    Buckets hold the parameters in reverse order, which is about the order in which their gradients
    become available. Every process sends the buckets in the same order. So a process with fewer
    batches than others needs no additional pass, and a process without batches contributes zeros.
    The sums are identical to the last bit in all processes.

    In the first update, the processes find the parameters on which the loss does not depend.
    Without LayerDrop, these are the same parameters in later updates, so the host does not wait for
    the device again.
    """

    def __init__(self, model: nn.Module) -> None:
        """Register hooks on the trainable parameters of a model."""
        parameters = [p for p in model.parameters() if p.requires_grad]
        self._buckets = list(_buckets(parameters[::-1]))
        self._bucket_of = {p: i for i, bucket in enumerate(self._buckets) for p in bucket}
        self._known_flags: dict[tuple[bool, ...], Tensor] = {}
        self._missing: list[int] = []  # gradients that each bucket still lacks
        self._sent: list[tuple[Tensor, dist.Work]] = []
        drops = [m for m in model.modules() if isinstance(m, LayerDrop) and m.probability]
        self._varies = bool(drops)  # LayerDrop gives other parameters a gradient in each update
        self._absent: list[list[bool]] | None = None  # by bucket: no process has the gradient
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
        received = []
        for bucket, (sums, work) in zip(self._buckets, self._sent, strict=True):
            work.wait()
            received.append(sums.split([*(p.numel() for p in bucket), len(bucket)]))
        if self._absent is None or self._varies:
            self._absent = [
                _without_gradient(bucket, parts[-1])
                for bucket, parts in zip(self._buckets, received, strict=True)
            ]
        for bucket, parts, absent in zip(self._buckets, received, self._absent, strict=True):
            for parameter, part, none in zip(bucket, parts, absent, strict=False):
                if none and parameter.grad is not None:
                    raise AssertionError("a parameter without a gradient has one now")
                parameter.grad = None if none else part.view_as(parameter)
        self._sent = []

    def restart(self) -> None:
        """Forget which gradients exist; a failed pass did not compute all of them."""
        self._absent = None

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
        parts.append(self._flags(parts[0], tuple(p.grad is not None for p in bucket)))
        sums = torch.cat(parts)
        work = dist.all_reduce(sums, async_op=True)
        assert work is not None
        self._sent.append((sums, work))

    def _flags(self, like: Tensor, exists: tuple[bool, ...]) -> Tensor:
        """Return flags as 0 or 1 on the device; a cache saves copies, which the host waits for."""
        if exists not in self._known_flags:
            self._known_flags[exists] = like.new_tensor([float(flag) for flag in exists])
        return self._known_flags[exists]


def _without_gradient(bucket: Sequence[Tensor], present: Tensor) -> list[bool]:
    """Return for each parameter whether its gradient is None in all processes.

    ``present`` has the summed flags of all processes, on the device. The host reads them only if
    this process lacks a gradient.
    """
    absent = [parameter.grad is None for parameter in bucket]
    return [flag == 0 for flag in present.tolist()] if True in absent else absent


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
