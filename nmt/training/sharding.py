"""Fully sharded training (FSDP2): every process keeps a part of each parameter and its state.

After Rajbhandari et al. 2020 (ZeRO, stage 3) and Zhao et al. 2023. A checkpoint holds whole
tensors, so that any number of processes, sharded or not, can go on from it.
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
from nmt.data.batch import Batch
from nmt.model.loss import Loss
from nmt.model.position_wise import FeedForward
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import BOS, EOS, PAD
from nmt.training.parallel import ParallelStrategy


class _Root(nn.Module):
    """What is sharded: the model with its loss, which reads the output layer by itself."""

    def __init__(self, model: TranslationModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, compute: Callable[[], Any]) -> Any:
        return compute()


class ShardedPasses(ParallelStrategy):
    """A part of every parameter in each process; they meet for each pass.

    Feed-forward blocks, most of a Transformer's layers, are put together only where they are used;
    everything else from a pass's beginning to its end.
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
        with torch.no_grad():  # the first to be called would take itself for the root
            self._run(lambda: torch.zeros((), device=self._device))
        self._root.reshard()

    def evened(self, batches: list[Batch]) -> list[Batch]:
        """Add batches that weigh nothing, for all processes have to make the same passes."""
        passes = int(processes.largest(len(batches)))
        return [*batches, *(_no_pairs() for _ in range(passes - len(batches)))]

    def forward(self, compute: Callable[[], Loss]) -> Loss:
        """Return the loss; its tensor is seen on its way out, for backward begins there."""
        _, loss = self._run(lambda: _with_tensor(compute()))
        return loss

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Add a part's gradient to the shards; FSDP takes the mean where a sum is meant."""
        (loss * processes.world()).backward()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Put all parameters together, and keep them so: searches are of unlike length."""
        parts: list[FSDPModule] = [*self._blocks, self._root]
        for part in parts:
            part.set_reshard_after_forward(False, recurse=False)
            part.unshard()
        try:
            yield
        finally:
            for part in parts:
                part.set_reshard_after_forward(part is not self._root, recurse=False)
                part.reshard()

    def gathered(self, state: Any) -> Any:
        """Return nested containers with whole tensors; every process has to ask."""
        if isinstance(state, DTensor):
            return state.full_tensor()
        if isinstance(state, Mapping):
            return {key: self.gathered(value) for key, value in state.items()}
        if isinstance(state, list | tuple):
            return [self.gathered(value) for value in state]
        return state

    def parted(self, saved: Sequence[Tensor], own: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return this process's parts of whole tensors."""
        return [_part(whole, like) for whole, like in zip(saved, own, strict=True)]

    def load_weights(self, model: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Keep this process's parts of whole weights."""
        own = model.state_dict()
        known = {name: _part(weights[name], own[name]) for name in weights.keys() & own.keys()}
        model.load_state_dict({**weights, **known})

    def load_optimizer(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        """Keep this process's parts of an optimizer's state."""
        optimizer.load_state_dict(state)
        for parameter, values in optimizer.state.items():
            for name, value in values.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    values[name] = _part(value, parameter)


def _part(whole: Tensor, own: Tensor) -> Tensor:
    """Return of a whole tensor what this process keeps of its own."""
    if not isinstance(own, DTensor):
        return whole
    placed = whole.to(own.device, own.dtype).expand(own.shape).contiguous()
    return distribute_tensor(placed, own.device_mesh, own.placements, src_data_rank=None)


def _with_tensor(loss: Loss) -> tuple[Tensor, Loss]:
    return loss.smoothed, loss


def _no_pairs() -> Batch:
    """Return a batch of one row whose targets are all pads."""
    return Batch(
        source_ids=torch.tensor([[EOS]]),
        source_mask=torch.tensor([[True]]),
        target_input_ids=torch.tensor([[BOS]]),
        target_output_ids=torch.tensor([[PAD]]),
        num_tokens=0,
        alignment=torch.zeros(1, 1, 1),
    )
