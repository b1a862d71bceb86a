"""Fully sharded data-parallel training (FSDP2).

Each process keeps one shard of every parameter, its gradient and its optimizer state
(Rajbhandari et al. 2020, ZeRO stage 3; Zhao et al. 2023). Checkpoints store full tensors, so a run
can be resumed by any number of processes, sharded or not.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from nmt import processes
from nmt.data.batches.batch import Batch
from nmt.model.losses.loss import Loss
from nmt.model.seq2seq import TranslationModel
from nmt.model.transformer.position_wise import FeedForward
from nmt.text.special_tokens import BOS, EOS, PAD
from nmt.training.parallel.parallel_strategy import ParallelStrategy


class _Root(nn.Module):
    """The root module of FSDP: model and loss, because the loss reads the output weights."""

    def __init__(self, model: TranslationModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, compute: Callable[[], Any]) -> Any:
        return compute()


class ShardedDataParallel(ParallelStrategy):
    """Shards every parameter; the processes gather full parameters for each pass.

    Feed-forward blocks, the largest part of a Transformer layer, are gathered only while they are
    used. All other parameters stay gathered from the beginning of a pass to its end.
    """

    retries = False

    def __init__(self, model: TranslationModel) -> None:
        """Shard a model in place."""
        self._device = model.output.weight.device
        mesh = init_device_mesh(self._device.type, (processes.world(),))
        blocks = [module for module in model.modules() if isinstance(module, FeedForward)]
        self._blocks = [fully_shard(block, mesh=mesh) for block in blocks]
        self._run = _Root(model)
        self._root = fully_shard(self._run, mesh=mesh, reshard_after_forward=False)
        with torch.no_grad():  # for FSDP, the first module that runs is the root
            self._run(lambda: torch.zeros((), device=self._device))
        self._root.reshard()

    def equalize(self, batches: list[Batch]) -> list[Batch]:
        """Append batches of zero weight: all processes have to run the same number of passes."""
        passes = int(processes.largest(len(batches)))
        return [*batches, *(_empty_batch() for _ in range(passes - len(batches)))]

    def forward(self, compute: Callable[[], Loss]) -> Loss:
        """Return the loss; FSDP needs a tensor as an output to prepare the backward pass."""
        _, loss = self._run(lambda: _with_tensor(compute()))
        return loss

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Accumulate a batch's gradient in the shards, as a sum over processes, not FSDP's mean."""
        (loss * processes.world()).backward()

    @contextmanager
    def full_parameters(self) -> Iterator[None]:
        """Keep all parameters gathered, because the number of search steps differs by process."""
        modules: list[FSDPModule] = [*self._blocks, self._root]
        for module in modules:
            module.set_reshard_after_forward(False, recurse=False)
            module.unshard()
        try:
            yield
        finally:
            for module in modules:
                module.set_reshard_after_forward(module is not self._root, recurse=False)
                module.reshard()

    def gather(self, state: Any) -> Any:
        """Return nested containers with full tensors; every process has to call this."""
        if isinstance(state, DTensor):
            return state.full_tensor()
        if isinstance(state, Mapping):
            return {key: self.gather(value) for key, value in state.items()}
        if isinstance(state, list | tuple):
            return [self.gather(value) for value in state]
        return state

    def shard(self, full: Sequence[Tensor], own: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return this process's shards of full tensors."""
        return [_shard(tensor, like) for tensor, like in zip(full, own, strict=True)]

    def load_weights(self, model: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Load this process's shards of full weights."""
        own = model.state_dict()
        known = {name: _shard(weights[name], own[name]) for name in weights.keys() & own.keys()}
        model.load_state_dict({**weights, **known})

    def load_optimizer(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        """Load this process's shards of an optimizer state."""
        optimizer.load_state_dict(state)
        for parameter, values in optimizer.state.items():
            for name, value in values.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    values[name] = _shard(value, parameter)


def _shard(full: Tensor, own: Tensor) -> Tensor:
    """Return the shard of a full tensor that corresponds to this process's own tensor."""
    if not isinstance(own, DTensor):
        return full
    placed = full.to(own.device, own.dtype).expand(own.shape).contiguous()
    return distribute_tensor(placed, own.device_mesh, own.placements, src_data_rank=None)


def _with_tensor(loss: Loss) -> tuple[Tensor, Loss]:
    return loss.smoothed, loss


def _empty_batch() -> Batch:
    """Return a batch of one row whose targets are all padding."""
    return Batch(
        source_ids=torch.tensor([[EOS]]),
        source_mask=torch.tensor([[True]]),
        target_input_ids=torch.tensor([[BOS]]),
        target_output_ids=torch.tensor([[PAD]]),
        num_tokens=0,
        alignment=torch.zeros(1, 1, 1),
    )
