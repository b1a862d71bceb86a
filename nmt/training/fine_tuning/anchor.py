"""A penalty for moving away from the initial weights of a run, against forgetting the old text."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Self

import torch
from torch import Tensor, nn

from nmt.data.batches.batch import Batch
from nmt.model.seq2seq import TranslationModel

Shard = Callable[[Sequence[Tensor], Sequence[Tensor]], Sequence[Tensor]]
"""Returns this process's shards of full tensors; see `ParallelStrategy.shard`."""


def _replicated(full: Sequence[Tensor], _: Sequence[Tensor]) -> Sequence[Tensor]:
    return full


class Anchor:
    """Adds the sum of stiffness / 2 · (w - w0)^2 to the loss of an update.

    With the same stiffness alpha for all weights, this is L2-SP (Li et al. 2018, eq. 3). In the
    paper, weights without an initial value have the coefficient beta. Here only
    ``optimizer.weight_decay`` applies to them. With the stiffness lambda · F, where F is the
    diagonal of the Fisher information, this is elastic weight consolidation (Kirkpatrick et al.
    2017, eq. 3).
    """

    def __init__(
        self, model: nn.Module, start: Mapping[str, Tensor], stiffness: Mapping[str, Tensor]
    ) -> None:
        """Attach the penalty to a model's parameters.

        Args:
            model: The model in training.
            start: The initial weights w0, by parameter name.
            stiffness: The stiffness by parameter name, broadcastable to the parameter.
        """
        self._start, self._stiffness = start, stiffness
        self.attach(model)

    def attach(self, model: nn.Module, shard: Shard = _replicated) -> Self:
        """Attach to the current parameters of a model, e.g. after sharding, and return self.

        Args:
            model: The model in training.
            shard: Returns this process's shards of full tensors; see `ParallelStrategy.shard`.
        """
        named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        own = list(named.values())
        start, stiffness = (
            shard([values[name].to(p.device, p.dtype) for name, p in named.items()], own)
            for values in (self._start, self._stiffness)
        )
        self._parameters = list(zip(own, start, stiffness, strict=True))
        return self

    @torch.no_grad()
    def add_gradient(
        self, scaled: Callable[[Tensor], Tensor] = lambda gradient: gradient
    ) -> Tensor:
        """Add the penalty's gradient to the parameters' gradients and return the penalty, a scalar.

        Call this once per update, after the last backward pass and before clipping.

        Args:
            scaled: Multiplies a gradient by the loss scale of the backward pass.
        """
        penalties = []
        for parameter, start, stiffness in self._parameters:
            offset = parameter - start
            gradient = stiffness * offset
            penalties.append((gradient * offset).sum() / 2)
            if parameter.grad is None:
                parameter.grad = scaled(gradient)
            else:
                parameter.grad += scaled(gradient)
        return reduce(torch.add, penalties)


def fisher_information(
    model: TranslationModel, batches: Iterable[Batch], generator: torch.Generator
) -> dict[str, Tensor]:
    """Estimate the diagonal of the Fisher information per target token, by parameter name.

    It is the mean square of d log p(y) / dw. At every position, y is sampled from the model, given
    the reference's earlier pieces. Samples at different positions are independent, and their
    gradients have mean zero. So the expected square of the summed gradient of a batch is the sum of
    the expected squares, and one backward pass per batch is enough.

    Args:
        model: The model; it is put in evaluation mode.
        batches: At least one batch of the model's training text, on the model's device.
        generator: The random generator for y, on the same device.
    """
    model.eval()
    named = dict(model.named_parameters())
    total = {name: torch.zeros_like(parameter) for name, parameter in named.items()}
    tokens = 0
    for batch in batches:
        inputs = batch.source_ids, batch.source_mask, batch.target_input_ids
        output = model(*inputs, regions=batch.regions)
        predictions = model.predictions(output.predictions_at(batch.at_targets))
        log_probs = predictions.float().log_softmax(dim=-1)
        sampled = torch.multinomial(log_probs.detach().exp(), 1, generator=generator)
        gradients = torch.autograd.grad(
            log_probs.gather(1, sampled).sum(), list(named.values()), allow_unused=True
        )
        for name, gradient in zip(named, gradients, strict=True):
            if gradient is not None:
                total[name] += gradient.square()
        tokens += batch.num_tokens
    return {name: squares / tokens for name, squares in total.items()}
