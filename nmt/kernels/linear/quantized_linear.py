"""Linear layers with products of 8-bit integers, for search on a CPU.

Weights are quantized once, with one scale per output. Inputs are quantized in every call, with one
scale per row (dynamic quantization). With codes q and scales s, x ≈ s_x · q_x and W ≈ s_w · q_w, so
x W^T ≈ s_x · s_w · (q_x q_w^T) (Jacob et al. 2018, eq. 1 to 4, with zero-points of 0; there, a
tensor has one scale). The sum of integers is exact. So the result of a row does not depend on the
other rows or on their number.

The plain path computes the product in float64. The fast path computes it with oneDNN.

Legend: N rows, I input size, O output size.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor

from nmt.errors import UserError
from nmt.kernels import dispatch, private_torch
from nmt.kernels.dispatch import KernelPath

FEWEST_WEIGHTS = 1 << 17
"""Layers with fewer weights stay float32, because quantization of few rows would take more time
than it saves. The choice does not depend on the number of rows, so results do not depend on it."""

ROW_MULTIPLE = 16
"""Above this number, rows are padded to a multiple: oneDNN compiles a kernel per number of rows."""

_LARGEST_WEIGHT = 127
_TINY = 1e-30  # the least divisor, for rows of zeros


@dataclass(frozen=True)
class QuantizedWeight:
    """The weight and bias of a linear layer.

    Attributes:
        values: Codes [O, I], int8, from -127 to 127.
        scales: [O], float32.
        bias: [O], or None.
    """

    values: Tensor
    scales: Tensor
    bias: Tensor | None


def quantized_weight(weight: Tensor, bias: Tensor | None) -> QuantizedWeight:
    """Quantize a weight [O, I]: the largest absolute weight of each output becomes ±127."""
    weight = weight.detach().float()
    scales = weight.abs().amax(dim=1).clamp_min(_TINY) / _LARGEST_WEIGHT
    values = (weight / scales[:, None]).round().to(torch.int8).contiguous()
    return QuantizedWeight(values, scales, None if bias is None else bias.detach().float())


def quantized_rows(rows: Tensor, bits: int, *, nonnegative: bool = False) -> tuple[Tensor, Tensor]:
    """Quantize rows [N, I]: the largest absolute value of each row becomes ±(2^(bits - 1) - 1).

    Args:
        rows: [N, I], float32.
        bits: Bits of a code.
        nonnegative: Whether no value is negative, as after a ReLU.

    Returns:
        The codes, uint8, with 2^(bits - 1) for 0, and the largest absolute value of each row,
        [N, 1]. Rows of codes after the first N are padding of undefined value.
    """
    zero = 1 << (bits - 1)
    sizes = rows if nonnegative else rows.abs()
    largest = sizes.amax(dim=1, keepdim=True).clamp_min_(_TINY)
    rounded, top = _constants(zero)
    count = len(rows)
    padding = -count % ROW_MULTIPLE if count > ROW_MULTIPLE else 0
    codes = torch.empty(count + padding, rows.size(1), dtype=torch.uint8, device=rows.device)
    # The conversion to integers truncates; with the 0.5 in ``rounded``, it rounds.
    codes[:count] = torch.addcmul(rounded, rows, torch.div(top, largest))
    return codes, largest


@lru_cache(maxsize=4)
def _constants(zero: int) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):  # later searches use the cached tensors
        return torch.tensor(zero + 0.5), torch.tensor(zero - 1.0)


def plain_quantized_linear(
    rows: Tensor, weight: QuantizedWeight, bits: int, *, relu: bool = False
) -> Tensor:
    """Return s_x · s_w · (q_x q_w^T) + b, or its ReLU, [N, O], for rows [N, I]."""
    zero = 1 << (bits - 1)
    codes, largest = quantized_rows(rows, bits)
    sums = (codes[: len(rows)].double() - zero) @ weight.values.double().t()
    result = sums.float() * (largest * (weight.scales / (zero - 1)))
    result = result if weight.bias is None else result + weight.bias
    return result.relu_() if relu else result


class QuantizedLinear:
    """A linear layer with a quantized weight.

    Attributes:
        weight: The quantized weight and the bias.
    """

    def __init__(self, weight: QuantizedWeight) -> None:
        """Pack a weight for oneDNN.

        Raises:
            UserError: This processor has no product of integers.
        """
        self.weight = weight
        self._bits = product_bits()
        self._product = _Product(weight, self._bits)

    def restricted(self, outputs: Tensor) -> "QuantizedLinear":
        """Return a layer with only these outputs [U], e.g. the allowed pieces."""
        weight = self.weight
        values, scales = (of.index_select(0, outputs) for of in (weight.values, weight.scales))
        bias = None if weight.bias is None else weight.bias.index_select(0, outputs)
        return QuantizedLinear(QuantizedWeight(values, scales, bias))

    def __call__(self, inputs: Tensor, *, relu: bool = False, nonnegative: bool = False) -> Tensor:
        """Return x W^T + b, or its ReLU, in float32, for inputs [..., I].

        With ``nonnegative``, the caller guarantees that no input is negative.
        """
        rows = inputs.flatten(0, -2).float()
        if dispatch.quantized_path(rows) is KernelPath.PLAIN:
            result = plain_quantized_linear(rows, self.weight, self._bits, relu=relu)
        else:
            result = self._product.linear(rows, relu=relu, nonnegative=nonnegative)
        return result.view(*inputs.shape[:-1], len(self.weight.values))


class _Product:
    """A weight in the layout of oneDNN."""

    def __init__(self, weight: QuantizedWeight, bits: int) -> None:
        assert private_torch.pack_quantized_weight is not None
        self._packed = private_torch.pack_quantized_weight(weight.values, None)
        self._zero = 1 << (bits - 1)
        self._bits, self._bias = bits, weight.bias
        self._scales = weight.scales / (self._zero - 1)
        self._no_zeros = torch.zeros(len(weight.scales), dtype=torch.int32)

    def linear(self, rows: Tensor, *, relu: bool, nonnegative: bool) -> Tensor:
        """Compute `plain_quantized_linear`."""
        codes, largest = quantized_rows(rows, self._bits, nonnegative=nonnegative)
        result = self.product(codes)[: len(rows)]
        if self._bias is None:
            result = result.mul_(largest)
        else:
            result = torch.addcmul(self._bias, result, largest)
        return result.relu_() if relu else result

    def product(self, codes: Tensor) -> Tensor:
        """Return the products [N, O] of codes [N, I] and the weight, times the weight's scales."""
        assert private_torch.quantized_product is not None
        weight = self._packed, self._scales, self._no_zeros
        result: Tensor = private_torch.quantized_product(
            codes, 1.0, self._zero, *weight, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return result


@lru_cache(maxsize=1)
def product_bits() -> int:
    """Return the bits of input codes: 8, or 7 if sums of 8-bit products would overflow.

    Processors with AVX2 or AVX-512, but without VNNI, add two products in 16 bits.

    Raises:
        UserError: This processor has no product of integers.
    """
    for bits in (8, 7):
        if _is_exact(bits):
            return bits
    raise UserError(
        "precision int8 needs oneDNN's products of integers, which this processor or this PyTorch "
        "lacks: choose float32"
    )


def _is_exact(bits: int) -> bool:
    """Return whether the product of the greatest codes is exact on this processor."""
    if private_torch.pack_quantized_weight is None or private_torch.quantized_product is None:
        return False
    zero = 1 << (bits - 1)
    values = torch.full((64, 256), _LARGEST_WEIGHT, dtype=torch.int8)
    values[::2] *= -1
    weight = QuantizedWeight(values, torch.full((64,), zero - 1.0), None)
    codes = torch.full((32, 256), 2 * zero - 1, dtype=torch.uint8)
    try:
        found = _Product(weight, bits).product(codes)
    # Processors and versions of torch without this product raise one of these errors.
    except (RuntimeError, TypeError):
        return False
    expected = (codes.double() - zero) @ values.double().t()
    return torch.equal(found.double(), expected)


class Quantizable(Protocol):
    """A linear layer that uses its quantized form if it has one."""

    weight: Any
    bias: Any
    quantized: QuantizedLinear | None


def quantize_for_search(layers: Iterable[Quantizable]) -> None:
    """Quantize the linear layers that are large enough. Do not train the model afterwards.

    Raises:
        UserError: This processor has no product of integers.
    """
    for layer in layers:
        if layer.quantized is None and layer.weight.numel() >= FEWEST_WEIGHTS:
            layer.quantized = QuantizedLinear(quantized_weight(layer.weight, layer.bias))
