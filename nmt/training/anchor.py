"""A pull toward the weights that a run started from, so that the old text is not forgotten."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Self

import torch
from torch import Tensor, nn

from nmt.data.batch import Batch
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import PAD

Part = Callable[[Sequence[Tensor], Sequence[Tensor]], Sequence[Tensor]]


class Anchor:
    """Adds the sum of stiffness / 2 · (w - w0)^2 to the loss of an update.

    Stiffness alpha for every weight is L2-SP (Li et al. 2018, eq. 3; weights without an origin,
    their beta, are left to ``optimizer.weight_decay``); lambda · F, F the diagonal of the Fisher
    information, is elastic weight consolidation (Kirkpatrick et al. 2017, eq. 3).
    """

    def __init__(
        self, model: nn.Module, start: Mapping[str, Tensor], stiffness: Mapping[str, Tensor]
    ) -> None:
        """Hold a model's parameters to their start.

        Args:
            model: Under training.
            start: w0 by parameter name.
            stiffness: By parameter name, broadcastable to it.
        """
        self._start, self._stiffness = start, stiffness
        self.hold(model)

    def hold(self, model: nn.Module, parted: Part = lambda whole, own: whole) -> Self:
        """Hold the parameters that a model has now, and return this.

        Args:
            model: Under training.
            parted: Returns of whole tensors, broadcastable to this process's, the parts it keeps.
        """
        named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        own = list(named.values())
        start, stiffness = (
            parted([values[name].to(p.device, p.dtype) for name, p in named.items()], own)
            for values in (self._start, self._stiffness)
        )
        self._held = list(zip(own, start, stiffness, strict=True))
        return self

    @torch.no_grad()
    def pull(self, scaled: Callable[[Tensor], Tensor] = lambda gradient: gradient) -> Tensor:
        """Add the penalty's gradient to the parameters' and return the penalty, a scalar.

        Call it once an update, when the gradient of the whole loss is there, before it is clipped.

        Args:
            scaled: What the loss was multiplied with before the backward pass.
        """
        penalties = []
        for parameter, start, stiffness in self._held:
            moved = parameter - start
            force = stiffness * moved
            penalties.append((force * moved).sum() / 2)
            if parameter.grad is None:
                parameter.grad = scaled(force)
            else:
                parameter.grad += scaled(force)
        return reduce(torch.add, penalties)


def fisher_information(
    model: TranslationModel, batches: Iterable[Batch], generator: torch.Generator
) -> dict[str, Tensor]:
    """Estimate the diagonal of the Fisher information of a target piece, by parameter name.

    It is the mean square of d log p(y) / dw with y drawn from the model itself at every place,
    given the text before it. Draws at different places are independent and their gradients have
    mean zero, so the square of a batch's summed gradient is, on average, the sum of the squares:
    one backward pass a batch is enough.

    Args:
        model: In whatever mode; it is read in evaluation mode and left in it.
        batches: Of the text that it was trained on, on its device, at least one.
        generator: Draws y, on the same device.
    """
    model.eval()
    named = dict(model.named_parameters())
    total = {name: torch.zeros_like(parameter) for name, parameter in named.items()}
    tokens = 0
    for batch in batches:
        output = model(batch.source_ids, batch.source_mask, batch.target_input_ids)
        hidden = output.hidden[batch.target_output_ids != PAD]
        log_probs = model.logits(hidden).float().log_softmax(dim=-1)
        drawn = torch.multinomial(log_probs.detach().exp(), 1, generator=generator)
        gradients = torch.autograd.grad(
            log_probs.gather(1, drawn).sum(), list(named.values()), allow_unused=True
        )
        for name, gradient in zip(named, gradients, strict=True):
            if gradient is not None:
                total[name] += gradient.square()
        tokens += batch.num_tokens
    return {name: squares / tokens for name, squares in total.items()}
