"""Decides which formulation of a computation runs, and with which sizes.

A computation has a plain PyTorch formulation and one or more fast ones. The functions below choose
by device, dtype and shape, and by whether autograd records gradients or torch.compile traces. Fast
paths need private names of torch (`nmt.kernels.private_torch`). If a version of torch lacks a name,
the plain path runs.

``NMT_KERNELS=plain`` in the environment, or `set_kernels`, turns off all fast paths, e.g. to find
out whether one of them causes a problem.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from nmt.errors import UserError
from nmt.kernels import private_torch
from nmt.kernels.kernel_choice import Kernels

ENVIRONMENT_VARIABLE = "NMT_KERNELS"
"""Overrides the setting ``training.kernels``."""

ROW_MULTIPLE, ROW_MULTIPLES = 128, ((8, 1), (32, 4), (64, 8), (128, 16))
"""oneDNN compiles and caches a kernel for each number of rows. To keep the cache small, rows are
padded to a multiple. Each pair has a number of rows, and the multiple for at most this number."""
TILE_ROWS = 16
"""The least multiple in bfloat16: its products compute tiles of this number of rows."""

FEWEST_PACKED = 1 << 16
"""The least number of weights that search stores in oneDNN's own layout."""

FEWEST_GROUPED = 100_000
"""The least number of logits per step for which search finds the best by groups."""

FEWEST_SORTED = 5_000
"""The least number of values for which `top_k` searches by groups."""

_DTYPES = (torch.float32, torch.bfloat16, torch.float64)


class KernelPath(StrEnum):
    """A formulation of one computation."""

    PLAIN = "plain"  # PyTorch operations, differentiated by autograd
    FUSED = "fused"  # one `torch.autograd.Function` of this package
    TORCH = "torch"  # a fused kernel of torch


class _Selection:
    """The choices of this process."""

    kernels: Kernels | None = None  # None until the first kernel runs
    as_on_accelerator = False


def set_kernels(choice: str) -> None:
    """Choose which paths may run in this process: ``auto`` or ``plain``.

    If the environment variable ``NMT_KERNELS`` is set, it overrides the choice.

    Raises:
        UserError: The choice, or the value of the variable, is unknown.
    """
    _Selection.kernels = _chosen("training.kernels", choice)
    if os.environ.get(ENVIRONMENT_VARIABLE):
        _Selection.kernels = _chosen(ENVIRONMENT_VARIABLE, os.environ[ENVIRONMENT_VARIABLE])


def _chosen(origin: str, choice: str) -> Kernels:
    try:
        return Kernels(choice)
    except ValueError:
        known = " or ".join(Kernels)
        raise UserError(f"{origin}={choice} is unknown: choose {known}") from None


def only_plain() -> bool:
    """Return whether only plain paths may run in this process."""
    if _Selection.kernels is None:
        set_kernels(Kernels.AUTO)
    return _Selection.kernels is Kernels.PLAIN


def _may_fuse() -> bool:
    """Return whether fast paths are allowed. In compiled code, the compiler fuses instead."""
    return not torch.compiler.is_compiling() and not only_plain()


@contextmanager
def as_on_accelerator() -> Iterator[None]:
    """Choose paths and sizes for CPU tensors as if they were on a GPU; for tests."""
    before, _Selection.as_on_accelerator = _Selection.as_on_accelerator, True
    try:
        yield
    finally:
        _Selection.as_on_accelerator = before


def on_cpu(tensor: Tensor) -> bool:
    """Return whether the paths of a CPU apply to a tensor."""
    return tensor.is_cpu and not _Selection.as_on_accelerator


def _may_fuse_on_cpu(inputs: Tensor) -> bool:
    return on_cpu(inputs) and inputs.dtype in _DTYPES and _may_fuse()


# ------------------------------------------------------------------------------- paths


def linear_path(inputs: Tensor) -> KernelPath:
    """Return the path of a linear layer, `nmt.kernels.linear.linear_layer`."""
    if torch.is_grad_enabled() and _may_fuse_on_cpu(inputs):
        return KernelPath.FUSED
    return KernelPath.PLAIN


def works_in_place(inputs: Tensor) -> bool:
    """Return whether operations may overwrite earlier results, on a CPU without gradients."""
    return not torch.is_grad_enabled() and on_cpu(inputs) and _may_fuse()


def lays_out_weights(weight: Tensor) -> bool:
    """Return whether search stores this weight for its products (`nmt.kernels.linear`)."""
    fits = weight.dim() == 2 and weight.dtype in (torch.float32, torch.bfloat16)
    fits = fits and not private_torch.is_packed(weight)
    return fits and on_cpu(weight) and _may_fuse()


def packs_weights(weight: Tensor) -> bool:
    """Return whether search stores this weight in oneDNN's own layout, for products of few rows."""
    known = private_torch.pack_weight is not None and private_torch.onednn_product is not None
    large = weight.dtype == torch.float32 and weight.numel() >= FEWEST_PACKED
    return known and large and _onednn_is_faster(weight.dtype) and _onednn_is_enabled()


def shares_casts(inputs: Tensor) -> bool:
    """Return whether several linear layers share one cast of their input, or each layer casts."""
    return inputs.dtype in _DTYPES and _may_fuse()


def casts_together(weight: Tensor) -> bool:
    """Return whether one operation casts all weights, `nmt.kernels.linear.weight_casts`."""
    if on_cpu(weight) or not torch.is_grad_enabled() or not _may_fuse():
        return False
    return product_dtype(weight) != weight.dtype


def quantized_path(rows: Tensor) -> KernelPath:
    """Return the path of a linear layer in int8, `nmt.kernels.linear.quantized_linear`."""
    fast = on_cpu(rows) and rows.numel() > 0 and _may_fuse()
    return KernelPath.FUSED if fast else KernelPath.PLAIN


def feed_forward_path(states: Tensor) -> KernelPath:
    """Return the path of a ReLU feed-forward block, `nmt.kernels.linear.feed_forward`."""
    has_backward = private_torch.threshold_backward_ is not None
    return linear_path(states) if has_backward else KernelPath.PLAIN


def dropout_path(inputs: Tensor) -> KernelPath:
    """Return the path of dropout, `nmt.kernels.dropout`; only a CPU draws slowly."""
    return KernelPath.FUSED if on_cpu(inputs) and _may_fuse() else KernelPath.PLAIN


def add_dropped_path(states: Tensor, result: Tensor) -> KernelPath:
    """Return the path of a residual connection with dropout, `nmt.kernels.dropout`."""
    same = states.shape == result.shape and states.dtype == result.dtype != torch.bfloat16
    return dropout_path(result) if same else KernelPath.PLAIN


def attention_path(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> KernelPath:
    """Return the path of scaled dot-product attention, `nmt.kernels.attention.scaled_dot_product`.

    On a CPU, the backward pass of torch's fused kernels takes several times as long as the products
    of short sentences. The kernel of this package writes gradients in the layout of the
    projections. So it runs only if all three arguments have this layout, that is, if they were
    neither normalized nor rotated.

    Args:
        query: [B, H, T, K].
        keys: [B, G, S, K].
        values: [B, G, S, K].
        bias: Added to the scores, or None.
    """
    learning_on_cpu = on_cpu(query) and torch.is_grad_enabled()
    if not _may_fuse():
        compiled = torch.compiler.is_compiling() and not learning_on_cpu
        return KernelPath.TORCH if compiled else KernelPath.PLAIN
    if not learning_on_cpu:
        return KernelPath.TORCH
    heads = query, keys, values
    as_projected = query.dtype in _DTYPES and all(_are_side_by_side(part) for part in heads)
    has_backward = private_torch.softmax_backward is not None
    possible = bias is None and query.size(1) == keys.size(1) and has_backward
    return KernelPath.FUSED if possible and as_projected else KernelPath.PLAIN


def _are_side_by_side(heads: Tensor) -> bool:
    """Return whether heads [B, H, T, K] are a view of a projection [B, T, H · K]."""
    _, between_heads, between_rows, unit = heads.stride()
    _, num_heads, _, size = heads.shape
    return unit == 1 and between_heads == size and between_rows >= num_heads * size


def repeats_shapes(inputs: Tensor) -> bool:
    """Return whether all steps of a search have the same shapes, for CUDA graphs."""
    return not on_cpu(inputs) and _may_fuse()


def recurrent_path() -> KernelPath:
    """Return the path of a layer over a sequence, `nmt.kernels.recurrent.recurrent_sequence`."""
    return KernelPath.FUSED if _gates_have_backward() and _may_fuse() else KernelPath.PLAIN


def recurrent_step_path(gates: Tensor) -> KernelPath:
    """Return the path of one step of a GRU, `nmt.kernels.recurrent.recurrent_step`."""
    return linear_path(gates) if _gates_have_backward() else KernelPath.PLAIN


def _gates_have_backward() -> bool:
    return None not in (private_torch.sigmoid_backward, private_torch.tanh_backward)


def recurrent_layer_path(states: Tensor) -> KernelPath:
    """Return the path of a recurrent layer of an encoder, `nmt.kernels.recurrent.recurrent_layer`.

    The shapes of packed sentences depend on their lengths, so a CUDA graph cannot capture them. So
    on a GPU, torch's kernel runs over padded sentences.
    """
    if not _may_fuse() or states.is_mps:
        return KernelPath.PLAIN
    return KernelPath.FUSED if on_cpu(states) else KernelPath.TORCH


def projected_sequence_path(inputs: Tensor) -> KernelPath:
    """Return the path of `run_projected_sequence`: torch's kernel, or a projection and a loop.

    The loop has its own paths; see `recurrent_path`.
    """
    fused = not on_cpu(inputs) and not inputs.is_mps and _may_fuse()
    return KernelPath.TORCH if fused else KernelPath.PLAIN


def cross_entropy_path() -> KernelPath:
    """Return the path of the output layer with its loss, `nmt.kernels.prediction.cross_entropy`."""
    return KernelPath.FUSED if _may_fuse() else KernelPath.PLAIN


def candidates_path(logits: Tensor) -> KernelPath:
    """Return the path of the best continuations, `nmt.kernels.prediction.best_continuations`.

    The fast path has more operations, but each reads and writes less.
    """
    large = logits.numel() >= FEWEST_GROUPED and logits.dtype in (torch.float32, torch.bfloat16)
    fast = large and on_cpu(logits) and _may_fuse() and not torch.is_grad_enabled()
    return KernelPath.FUSED if fast else KernelPath.PLAIN


def top_k_path(values: Tensor) -> KernelPath:
    """Return the path of `top_k`; only a CPU sorts slowly."""
    fast = values.numel() >= FEWEST_SORTED and on_cpu(values) and _may_fuse()
    return KernelPath.FUSED if fast else KernelPath.PLAIN


def loop_over_time_path() -> KernelPath:
    """Return the path of the weights in a loop, `nmt.kernels.recurrent.loop_over_time`."""
    return KernelPath.FUSED if torch.is_grad_enabled() and _may_fuse() else KernelPath.PLAIN


# ---------------------------------------------------------------------- dtypes and sizes


def product_dtype(inputs: Tensor) -> torch.dtype:
    """Return the dtype of products with these inputs: the dtype of autocast, if it is enabled."""
    device = inputs.device.type
    if inputs.dtype == torch.float64 or not _has_autocast(device):
        return inputs.dtype
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else inputs.dtype


@cache
def _has_autocast(device: str) -> bool:
    return torch.amp.is_autocast_available(device)


def row_multiple(rows: Tensor, dtype: torch.dtype) -> int:
    """Return the multiple to which the rows [N, I] of a product in ``dtype`` are padded."""
    if not on_cpu(rows) or not _onednn_is_enabled():
        return 1
    by_onednn = private_torch.onednn_product is not None and _onednn_is_faster(dtype)
    if dtype != torch.bfloat16 and not by_onednn:
        return 1
    return onednn_multiple(len(rows), dtype)


def onednn_multiple(count: int, dtype: torch.dtype) -> int:
    """Return the multiple to which this number of rows is padded for a product by oneDNN."""
    multiple = next((multiple for most, multiple in ROW_MULTIPLES if count <= most), ROW_MULTIPLE)
    return max(multiple, TILE_ROWS) if dtype == torch.bfloat16 else multiple


# ------------------------------------------------------------------------------ oneDNN


def onednn_linear(rows: Tensor) -> Callable[..., Tensor] | None:
    """Return oneDNN's (rows, weight, bias, "relu" | "none", [], "") -> result, if it is faster.

    oneDNN adds the bias while the product is still in the cache. In float32, on processors that are
    not from Intel, it uses wider vectors than torch's default library.
    """
    if not _onednn_is_faster(rows.dtype) or not rows.numel() or not _onednn_is_enabled():
        return None
    return private_torch.onednn_product


def onednn_without_gradients(inputs: Tensor) -> Callable[..., Tensor] | None:
    """Return `onednn_linear` for a float32 product of which no gradient is needed."""
    if torch.is_grad_enabled() or inputs.dtype != torch.float32 or not _may_fuse_on_cpu(inputs):
        return None
    return onednn_linear(inputs) if product_dtype(inputs) == torch.float32 else None


def _onednn_is_enabled() -> bool:
    return bool(torch.backends.mkldnn.enabled)


@cache
def _onednn_is_faster(dtype: torch.dtype) -> bool:
    """Decide by the features of the processor. A measurement could differ between runs."""
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    if dtype == torch.bfloat16:
        return wide
    return dtype == torch.float32 and wide and not _is_intel()


def _is_intel() -> bool:
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return True
