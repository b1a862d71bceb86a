"""Linear layers whose products are of 8-bit integers, for search on a CPU.

Weights are quantized once, with a scale for each output. Inputs are quantized at every call, with a
scale for each row (dynamic quantization). With codes q and scales s, x ≈ s_x · q_x and W ≈ s_w ·
q_w, so that x W^T ≈ s_x · s_w · (q_x q_w^T) (Jacob et al. 2018, eq. 1 to 4, with zero-points of 0;
there, a tensor has one scale). The sum of integers is exact. So the result for a row does not
depend on the other rows or on their number.

The plain path computes the product in float64, the fast one by oneDNN.

Legend: N rows, I input size, O output size.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor

from nmt.errors import UserError
from nmt.kernels import dispatch
from nmt.kernels.dispatch import KernelPath

FEWEST_WEIGHTS = 1 << 17
"""Layers with fewer weights stay float32: with few rows, quantization takes more time than the
product in float32. The number of rows has no influence, so results do not depend on it."""

ROW_MULTIPLE = 16
"""More rows than this are padded to a multiple: oneDNN compiles a kernel per number of rows."""

_LARGEST_WEIGHT = 127
_TINY = 1e-30  # a row of zeros has a scale, too


@dataclass(frozen=True)
class QuantizedWeight:
    """The weight and bias of a linear layer.

    Attributes:
        values: [O, I], int8, from -127 to 127.
        scales: [O], float32, of each output.
        bias: [O], or None.
    """

    values: Tensor
    scales: Tensor
    bias: Tensor | None


def quantized_weight(weight: Tensor, bias: Tensor | None) -> QuantizedWeight:
    """Quantize a weight [O, I]: the largest weight of each output becomes ±127."""
    weight = weight.detach().float()
    scales = weight.abs().amax(dim=1).clamp_min(_TINY) / _LARGEST_WEIGHT
    values = (weight / scales[:, None]).round().to(torch.int8).contiguous()
    return QuantizedWeight(values, scales, None if bias is None else bias.detach().float())


def quantized_rows(rows: Tensor, bits: int, *, nonnegative: bool = False) -> tuple[Tensor, Tensor]:
    """Quantize rows [N, I]: the largest number of each becomes ±(2^(bits - 1) - 1).

    Args:
        rows: [N, I], float32.
        bits: Of a code.
        nonnegative: Whether no number is below 0, as after a ReLU.

    Returns:
        The codes, uint8, with 2^(bits - 1) for 0, and the largest number of each row, [N, 1]. There
        may be more rows of codes than N; the others have no meaning.
    """
    zero = 1 << (bits - 1)
    sizes = rows if nonnegative else rows.abs()
    largest = sizes.amax(dim=1, keepdim=True).clamp_min_(_TINY)
    rounded, top = _constants(zero)
    count = len(rows)
    padding = -count % ROW_MULTIPLE if count > ROW_MULTIPLE else 0
    codes = torch.empty(count + padding, rows.size(1), dtype=torch.uint8, device=rows.device)
    codes[:count] = torch.addcmul(rounded, rows, torch.div(top, largest))  # cut off: rounds
    return codes, largest


@lru_cache(maxsize=4)
def _constants(zero: int) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):  # they outlast this search
        return torch.tensor(zero + 0.5), torch.tensor(zero - 1.0)


def plain_quantized_linear(
    rows: Tensor, weight: QuantizedWeight, bits: int, *, relu: bool = False
) -> Tensor:
    """Return s_x · s_w · (q_x q_w^T) + b, or the greater of it and 0, [N, O] of rows [N, I]."""
    zero = 1 << (bits - 1)
    codes, largest = quantized_rows(rows, bits)
    sums = (codes[: len(rows)].double() - zero) @ weight.values.double().t()
    result = sums.float() * (largest * (weight.scales / (zero - 1)))
    result = result if weight.bias is None else result + weight.bias
    return result.relu_() if relu else result


class QuantizedLinear:
    """A linear layer with a quantized weight.

    Attributes:
        weight: Its weight and bias.
    """

    def __init__(self, weight: QuantizedWeight) -> None:
        """Compute with a weight.

        Raises:
            UserError: This processor has no product of integers.
        """
        self.weight = weight
        self._bits = product_bits()
        self._product = _Product(weight, self._bits)

    def restricted(self, outputs: Tensor) -> "QuantizedLinear":
        """Return the layer of only these outputs [U], such as the pieces that are allowed."""
        weight = self.weight
        values, scales = (of.index_select(0, outputs) for of in (weight.values, weight.scales))
        bias = None if weight.bias is None else weight.bias.index_select(0, outputs)
        return QuantizedLinear(QuantizedWeight(values, scales, bias))

    def __call__(self, inputs: Tensor, *, relu: bool = False, nonnegative: bool = False) -> Tensor:
        """Return x W^T + b of inputs [..., I] in float32, with ``relu`` at least 0.

        ``nonnegative`` is a promise that no input is below 0.
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
        assert dispatch.pack_quantized_weight is not None
        self._packed = dispatch.pack_quantized_weight(weight.values, None)
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
        """Return the products of codes [N, I] with the weight, scaled for each output, [N, O]."""
        assert dispatch.quantized_product is not None
        weight = self._packed, self._scales, self._no_zeros
        result: Tensor = dispatch.quantized_product(
            codes, 1.0, self._zero, *weight, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return result


@lru_cache(maxsize=1)
def product_bits() -> int:
    """Return the number of bits of the inputs' codes: 8, or 7 if sums of 8-bit products overflow.

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
    """Return whether a product of the greatest codes is exact."""
    if dispatch.pack_quantized_weight is None or dispatch.quantized_product is None:
        return False
    zero = 1 << (bits - 1)
    values = torch.full((64, 256), _LARGEST_WEIGHT, dtype=torch.int8)
    values[::2] *= -1
    weight = QuantizedWeight(values, torch.full((64,), zero - 1.0), None)
    codes = torch.full((32, 256), 2 * zero - 1, dtype=torch.uint8)
    try:
        found = _Product(weight, bits).product(codes)
    # Processors and versions of torch without this product raise either; NotImplementedError is a
    # RuntimeError. The layer is then not quantized.
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
    """Quantize the linear layers that are large enough; call it for models that are not trained.

    Raises:
        UserError: This processor has no product of integers.
    """
    for layer in layers:
        if layer.quantized is None and layer.weight.numel() >= FEWEST_WEIGHTS:
            layer.quantized = QuantizedLinear(quantized_weight(layer.weight, layer.bias))
