"""Attention within the sentences of a packed row, and the check of its kernels.

No kernel by offsets runs on a CPU. Here are its calls on the device ``meta``, which has shapes and
gradients but no numbers, and the check with implementations that are wrong in one place each.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nmt.kernels import dispatch, private_torch
from nmt.kernels.attention.attention_mask import SentenceMask
from nmt.kernels.attention.packed_attention import packed_attention
from nmt.kernels.attention.packed_check import Heads, packed_attention_fault
from nmt.kernels.attention.packed_path import PackedPath, packed_attention_path
from nmt.kernels.attention.scaled_dot_product import naive_attention

CPU, META = torch.device("cpu"), torch.device("meta")
HALF = torch.bfloat16, torch.float16


def mask_of(queries: list[int], keys: list[int], *, causal: bool = False) -> SentenceMask:
    def offsets(lengths: list[int]) -> Tensor:
        return torch.tensor([0, *torch.tensor(lengths).cumsum(0)], dtype=torch.int32)

    return SentenceMask(offsets(queries), offsets(keys), max(queries), max(keys), causal)


def heads_of(
    mask: SentenceMask, heads: int, groups: int, size: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    rows, columns = int(mask.query_offsets[-1]), int(mask.key_offsets[-1])
    shapes = (1, rows, heads, size), (1, columns, groups, size), (1, columns, groups, size)
    query, keys, values = (
        torch.randn(shape, device=device, dtype=dtype).transpose(1, 2).requires_grad_()
        for shape in shapes
    )
    return query, keys, values


@pytest.mark.parametrize("causal", [False, True])
def test_the_explicit_mask_allows_the_own_sentence_alone(causal: bool) -> None:
    queries, keys = [2, 1, 3, 0], ([2, 1, 3, 0] if causal else [1, 4, 2, 0])
    blocks = [torch.ones(q, k, dtype=torch.bool) for q, k in zip(queries, keys, strict=True)]
    blocks = [block.tril() for block in blocks] if causal else blocks
    expected = torch.block_diag(*(block.int() for block in blocks[:3])).bool()
    assert torch.equal(mask_of(queries, keys, causal=causal).explicit, expected)


@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("causal", [False, True])
def test_a_packed_row_equals_its_sentences_alone(groups: int, causal: bool) -> None:
    lengths = [3, 1, 5]
    mask = mask_of(lengths, lengths, causal=causal)
    heads = heads_of(mask, 4, groups, 8, torch.float64, CPU)
    found = packed_attention(*heads, mask)
    start = 0
    for length in lengths:
        rows = slice(start, start + length)
        own = torch.ones(length, length, dtype=torch.bool)
        alone = naive_attention(
            *(part[:, :, rows] for part in heads), own.tril() if causal else own
        )
        torch.testing.assert_close(found[:, rows], alone, rtol=1e-12, atol=1e-12)
        start += length


class Calls(TorchDispatchMode):
    """Records the calls of operations with ``attention`` in their name."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "attention" in str(func):
            self.found.append((str(func), args, kwargs or {}))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("dtype", HALF)
def test_flash_gets_rows_and_offsets_and_returns_all_gradients(
    groups: int, dtype: torch.dtype
) -> None:
    mask = mask_of([2, 1, 3], [1, 4, 2])
    query, keys, values = heads_of(mask, 4, groups, 8, dtype, META)
    on_meta = replace(mask, query_offsets=mask.query_offsets.to(META))
    with Calls() as calls:
        found = packed_attention(query, keys, values, on_meta, 0.1)
        gradients = torch.autograd.grad(found, [query, keys, values], torch.empty_like(found))
    assert found.shape == (1, 6, 32)
    assert found.dtype == dtype
    assert [part.shape for part in gradients] == [query.shape, keys.shape, values.shape]
    (forward, args, settings), (backward, _, _) = calls.found
    assert forward == "aten._flash_attention_forward.default"
    assert backward == "aten._flash_attention_backward.default"
    assert [part.shape for part in args[:3]] == [(6, 4, 8), (7, groups, 8), (7, groups, 8)]
    assert [part.dtype for part in args[3:5]] == [torch.int32, torch.int32]
    assert args[5:] == (3, 4, 0.1, False, False)
    assert settings == {"scale": 8**-0.5}
    assert all(part.is_contiguous() for part in args[:3]), "a projection's rows are copied"


@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, 8), (torch.bfloat16, 12)])
@pytest.mark.parametrize("groups", [4, 2])
def test_the_efficient_kernel_gets_as_many_key_heads_as_query_heads(
    dtype: torch.dtype, size: int, groups: int
) -> None:
    mask = mask_of([2, 1, 3], [2, 1, 3], causal=True)
    query, keys, values = heads_of(mask, 4, groups, size, dtype, META)
    with Calls() as calls:
        found = packed_attention(query, keys, values, mask)
    (forward, args, settings) = calls.found[0]
    assert forward == "aten._efficient_attention_forward.default"
    assert [part.shape for part in args[:3]] == [(1, 6, 4, size)] * 3
    assert args[3] is None
    assert args[6:] == (3, 3, 0.0, 1, True)
    assert settings == {"scale": size**-0.5}
    assert found.shape == (1, 6, 4 * size)
    assert "EfficientAttentionBackward" in str(operations(found))


def operations(result: Tensor) -> list[str]:
    """The names of the operations that led to a result."""
    names, waiting = [], [result.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None:
            names.append(node.name())
            waiting += [following for following, _ in node.next_functions]
    return names


@pytest.mark.parametrize(
    ("device", "dtype", "size", "dropout", "path"),
    [
        (META, torch.bfloat16, 64, 0.1, PackedPath.FLASH),
        (META, torch.float16, 256, 0.0, PackedPath.FLASH),
        (META, torch.bfloat16, 264, 0.0, PackedPath.EFFICIENT),
        (META, torch.float32, 64, 0.0, PackedPath.EFFICIENT),
        (META, torch.float32, 64, 0.1, PackedPath.EXPLICIT),  # its passes drop other weights
        (META, torch.float64, 64, 0.0, PackedPath.EXPLICIT),
        (CPU, torch.bfloat16, 64, 0.0, PackedPath.EXPLICIT),
    ],
)
def test_the_path_depends_on_device_dtype_head_size_and_dropout(
    device: torch.device, dtype: torch.dtype, size: int, dropout: float, path: PackedPath
) -> None:
    query = torch.empty(1, 2, 3, size, device=device, dtype=dtype)
    assert packed_attention_path(query, dtype, dropout) is path


def test_plain_kernels_and_missing_names_leave_the_explicit_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    query = torch.empty(1, 2, 3, 64, device=META, dtype=torch.bfloat16)
    with monkeypatch.context() as patch:
        patch.setattr(private_torch, "flash_by_offsets", None)
        assert packed_attention_path(query, query.dtype, 0) is PackedPath.EFFICIENT
        patch.setattr(private_torch, "efficient_by_offsets", None)
        assert packed_attention_path(query, query.dtype, 0) is PackedPath.EXPLICIT
    monkeypatch.setattr(dispatch._Selection, "kernels", dispatch.Kernels.PLAIN)
    assert packed_attention_path(query, query.dtype, 0) is PackedPath.EXPLICIT


# ------------------------------------------------------------------------------ the check

Attend = Callable[[Tensor, Tensor, Tensor, SentenceMask, float], Tensor]


def right(q: Tensor, k: Tensor, v: Tensor, mask: SentenceMask, dropout: float) -> Tensor:
    return naive_attention(q, k, v, mask.explicit, None, dropout)


def never_causal(q: Tensor, k: Tensor, v: Tensor, mask: SentenceMask, dropout: float) -> Tensor:
    return right(q, k, v, replace(mask, causal=False), dropout)


def across_sentences(q: Tensor, k: Tensor, v: Tensor, mask: SentenceMask, dropout: float) -> Tensor:
    allowed = mask.explicit.clone()
    allowed[5, 2] = True  # one query of the second sentence reads one key of the first
    return naive_attention(q, k, v, allowed, None, dropout)


def unwritten_row(q: Tensor, k: Tensor, v: Tensor, mask: SentenceMask, dropout: float) -> Tensor:
    written = torch.ones(q.size(2), 1, dtype=q.dtype)
    written[-1] = torch.nan
    return right(q, k, v, mask, dropout) * written


def without_gradient_of_keys(
    q: Tensor, k: Tensor, v: Tensor, mask: SentenceMask, dropout: float
) -> Tensor:
    return right(q, k.detach() + 0 * k, v, mask, dropout)


def raises(q: Tensor, k: Tensor, v: Tensor, mask: SentenceMask, dropout: float) -> Tensor:
    raise RuntimeError("no kernel image is available\nfor execution on the device")


class OtherDropoutBackward(torch.autograd.Function):
    """Drops other weights in the backward pass than in the forward pass."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, values: Tensor, dropout: float) -> Tensor:
        kept, other = (torch.rand_like(weights) >= dropout for _ in range(2))
        ctx.save_for_backward(weights * other / (1 - dropout), values)
        return (weights * kept / (1 - dropout)) @ values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        weights, values = ctx.saved_tensors
        return gradient @ values.mT, weights.mT @ gradient, None


def other_dropout_backward(
    q: Tensor, k: Tensor, v: Tensor, mask: SentenceMask, dropout: float
) -> Tensor:
    if not dropout:
        return right(q, k, v, mask, dropout)
    scores = (q @ k.mT * q.size(-1) ** -0.5).masked_fill(~mask.explicit, float("-inf"))
    context = OtherDropoutBackward.apply(scores.softmax(-1), v, dropout)  # type: ignore[no-untyped-call]
    return context.transpose(1, 2).flatten(2)


def fault(attend: Attend, dtype: torch.dtype, dropout: float = 0.1) -> str | None:
    return packed_attention_fault(Heads(4, 4, 16), dtype, CPU, dropout, attend)


@pytest.mark.parametrize("dtype", [torch.float32, *HALF])
@pytest.mark.parametrize("heads", [Heads(4, 4, 16), Heads(8, 2, 64), Heads(2, 1, 8)])
def test_a_right_kernel_passes_the_check(dtype: torch.dtype, heads: Heads) -> None:
    assert packed_attention_fault(heads, dtype, CPU, 0.1, right) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("attend", "words"),
    [
        (never_causal, r"the result differs by .* \(causal\)"),
        (across_sentences, "(result|queries) differs by"),
        (unwritten_row, "the result differs by nan"),
        (without_gradient_of_keys, "the gradient of the keys differs by"),
        (other_dropout_backward, "forward and backward pass drop other weights"),
        (raises, "^RuntimeError: no kernel image is available$"),
    ],
)
def test_the_check_finds_a_wrong_kernel(attend: Attend, words: str, dtype: torch.dtype) -> None:
    found = fault(attend, dtype)
    assert found is not None
    assert re.search(words, found), found


def test_the_check_fails_where_there_is_no_kernel() -> None:
    found = packed_attention_fault(Heads(4, 4, 16), torch.float32, CPU, 0.0)
    assert found == "no kernel for torch.float32, heads of 16 and dropout of 0"


def test_the_check_leaves_random_numbers_as_they_were() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    fault(right, torch.float32)
    assert torch.equal(torch.rand(3), expected)
