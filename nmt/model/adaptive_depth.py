"""Adaptive computation time: tokens leave the stack after different numbers of layers.

Legend: B batch, T length, D model size, L layers, H heads, S source length. In search, B is the
number of sentences and T the number of beams.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.config.stack_depth import Depth, DepthConfig
from nmt.kernels.chosen_rows import ChosenRows, may_choose
from nmt.kernels.precision import at_least_float32, without_autocast

EPSILON = 0.01
"""ε: a token halts when its probabilities add up to at least 1 - ε (Graves 2016, section 2)."""


@dataclass(frozen=True)
class DepthUse:
    """The number of layers that each token passed.

    Attributes:
        layers: N(t), the layers that each token passed, [B, T].
        cost: N(t) + R(t), the ponder cost of each token (Graves 2016, section 2.1), [B, T].
        price: The weight of the cost in the loss.
        num_layers: L.
    """

    layers: Tensor
    cost: Tensor
    price: float
    num_layers: int


class DepthRun(ABC):
    """A pass of tokens through the layers of a stack.

    Attributes:
        rows: The tokens that the next layer computes; None: all tokens.
    """

    rows: ChosenRows | None = None

    @abstractmethod
    def after(self, states: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Take the states and weights [B, H, T, S] of a layer; return them for the next layer."""

    @abstractmethod
    def result(self, states: Tensor) -> Tensor:
        """Return the output [B, T, D] of the stack, given the states after the last layer."""

    @property
    def use(self) -> DepthUse | None:
        """The layers that the tokens passed; None: all layers."""
        return None


class StackDepth(nn.Module):
    """All tokens pass all layers."""

    def begin(self, states: Tensor, real: Tensor | None = None) -> DepthRun:
        """Begin with states [B, T, D]; ``real`` [B, T] is False for padding; None: no padding."""
        return _FullRun()


class AdaptiveDepth(StackDepth):
    """Token t halts after layer N(t) = min {n : p_1 + ... + p_n >= 1 - ε}, at the latest after L.

    Graves 2016, section 2, for the depth of a Transformer as in Dehghani et al. 2019, section 2.2:
    p_n = σ(w_n · x_n / rms(x_n) + b_n - log L) for the state x_n after layer n. The output of the
    stack is p_1 x_1 + ... + p_(N-1) x_(N-1) + R x_N with the remainder R = 1 - p_1 - ... - p_(N-1).
    A halted token keeps x_N ("its state is simply copied"), and the other tokens still attend to
    x_N. The loss adds N + R times ``depth_loss`` for each token (Graves 2016, 2.1).

    Dehghani et al. share the weights of all layers. Here each layer has its own weights, w and b.
    In a new model, w = b = 0, so no token halts before the last layer. On a CPU without gradients,
    a layer computes keys and values for all tokens, and the rest only for tokens that have not
    halted.
    """

    def __init__(self, size: int, num_layers: int, price: float) -> None:
        """Let tokens halt in a stack of ``num_layers`` = L layers of ``size`` = D."""
        super().__init__()
        self.num_layers, self.price = num_layers, price
        self.halting_weight = nn.Parameter(torch.zeros(num_layers - 1, size))
        self.halting_bias = nn.Parameter(torch.zeros(num_layers - 1))

    def begin(self, states: Tensor, real: Tensor | None = None) -> DepthRun:
        """Begin with states [B, T, D]; padding is halted from the start."""
        return _AdaptiveRun(self, states, real)

    def probability(self, number: int, states: Tensor) -> Tensor:
        """Return p_n, [B, T], of states [B, T, D] after layer n = ``number`` + 1 < L."""
        with without_autocast(states):
            exact = at_least_float32(states)
            normal = functional.rms_norm(exact, exact.shape[-1:])
            weight, bias = (part[number] for part in (self.halting_weight, self.halting_bias))
            products = torch.mv(normal.flatten(0, -2), weight.type_as(exact))
            logits = products.view(states.shape[:-1]) + bias - math.log(self.num_layers)
        return logits.sigmoid()


def stack_depth(config: DepthConfig, size: int, num_layers: int) -> StackDepth:
    """Build the rule that decides after which layer a token halts."""
    if config.depth == Depth.ADAPTIVE:
        return AdaptiveDepth(size, num_layers, config.depth_loss)
    return StackDepth()


class _FullRun(DepthRun):
    """A pass through all layers."""

    def after(self, states: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return states, weights

    def result(self, states: Tensor) -> Tensor:
        return states


class _AdaptiveRun(DepthRun):
    """A pass in which tokens halt."""

    def __init__(self, depth: AdaptiveDepth, states: Tensor, real: Tensor | None) -> None:
        self._depth = depth
        self._number = 0
        self._states = states
        self._weights: Tensor | None = None
        self._running = torch.ones_like(states[..., 0]).bool() if real is None else real
        self._sum = torch.zeros_like(at_least_float32(states[..., 0]))
        self._cost, self._mean = self._sum, torch.zeros_like(states)
        self._layers = torch.zeros_like(self._sum)
        self._chooses = may_choose(states)
        self._choose_rows()

    def _choose_rows(self) -> None:
        if not self._chooses:
            return
        index = self._running.flatten().nonzero()[:, 0]
        everything = len(index) == self._running.numel()
        self.rows = None if everything else ChosenRows(index, self._running.shape)

    def after(self, states: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor | None]:
        running = self._running
        if not self._chooses:  # else the layer has changed only the chosen rows
            states = torch.where(running[..., None], states, self._states)
        if self._weights is not None and weights is not None:
            weights = torch.where(running[:, None, :, None], weights, self._weights)
        elif weights is None:
            weights = self._weights
        halts, share = self._share(states)
        self._mean = self._mean + share[..., None].type_as(states) * states
        self._cost = self._cost + running + torch.where(halts, share, 0.0)
        self._layers = self._layers + running
        self._sum = self._sum + share
        self._running = running & ~halts
        self._number += 1
        self._states, self._weights = states, weights
        self._choose_rows()
        return states, weights

    def _share(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return which tokens halt, and the factor of these states in the output of the stack."""
        remainder = 1 - self._sum
        if self._number == self._depth.num_layers - 1:
            return self._running, torch.where(self._running, remainder, 0.0)
        probability = self._depth.probability(self._number, states)
        halts = self._running & (self._sum + probability >= 1 - EPSILON)
        share = torch.where(halts, remainder, probability)
        return halts, torch.where(self._running, share, 0.0)

    def result(self, states: Tensor) -> Tensor:
        return self._mean

    @property
    def use(self) -> DepthUse:
        return DepthUse(self._layers, self._cost, self._depth.price, self._depth.num_layers)
