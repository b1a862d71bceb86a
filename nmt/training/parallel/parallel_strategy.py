"""The interface through which an update runs in one process or in several.

Each process computes the loss of its own rows, already divided by the number of target tokens in
all processes. So the gradient of an update is a sum over processes, for any distribution of the
rows.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from nmt.data.batches.batch import Batch
from nmt.model.losses.loss import Loss


class ParallelStrategy:
    """Training in a single process, and the base class of the strategies for several.

    Attributes:
        retries: Whether an update can be restarted after a pass has failed in one process.
    """

    retries = True

    def equalize(self, batches: list[Batch]) -> list[Batch]:
        """Return the batches of an update, and empty ones if all processes need the same number."""
        return batches

    def forward(self, compute: Callable[[], Loss]) -> Loss:
        """Return the loss that ``compute`` calculates with the model."""
        return compute()

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Accumulate the gradient of one batch; ``last`` marks the last batch of the update."""
        loss.backward()

    def finish(self) -> None:
        """Replace each gradient by its sum over all processes, if backward passes do not do this.

        The update calls this once, after the last batch, also in a process that has no batch.
        """

    def restart(self) -> None:
        """Called if an update is repeated because memory has run out in a process."""

    def full_parameters(self) -> AbstractContextManager[None]:
        """Return a context in which every process can use the complete model independently."""
        return nullcontext()

    def gather(self, state: Any) -> Any:
        """Return nested containers with full tensors, as a checkpoint stores them."""
        return state

    def shard(self, full: Sequence[Tensor], own: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return this process's shards of full tensors.

        Args:
            full: Full tensors, each broadcastable to its counterpart in ``own``.
            own: This process's tensors; they define the sharding.
        """
        return full

    def load_weights(self, model: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Load full weights into the model."""
        model.load_state_dict(dict(weights))

    def load_optimizer(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        """Load an optimizer state of full tensors."""
        optimizer.load_state_dict(state)
