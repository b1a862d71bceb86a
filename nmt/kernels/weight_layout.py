"""How the weights of linear layers are stored for search: their layout and their dtype.

A step of search multiplies only 5 to 100 rows, so reading the weight [O, I] takes a large part of
the time. A product x W^T reads W fastest if the columns of W are contiguous, because it then needs
no rearranged copy. Shapes, values and results do not change.

Legend: I input size, O output size, U rows that are needed.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nmt.kernels import dispatch
from nmt.kernels.dispatch import KernelPath


def lay_out_for_search(layers: Iterable[nn.Linear]) -> None:
    """Store the weights of linear layers by columns where that is faster.

    A weight that is shared with an embedding becomes a copy: an embedding reads rows. Call it for
    models that are not trained any more.
    """
    for layer in layers:
        weight = layer.weight
        if dispatch.weight_layout_path(weight) is KernelPath.FUSED:
            columns = weight.detach().t().contiguous()
            layer.weight = nn.Parameter(columns.t(), requires_grad=weight.requires_grad)


def cast_for_search(layers: Iterable[nn.Linear], dtype: torch.dtype) -> None:
    """Store the parameters of linear layers in the dtype of their products, where that is faster.

    Autocast would cast them in each step. A weight that is shared with an embedding becomes a copy.
    Call it for models that are not trained any more, and only where all products are in ``dtype``.
    """
    for layer in layers:
        if dispatch.weight_layout_path(layer.weight) is KernelPath.FUSED:
            for name, parameter in list(layer.named_parameters(recurse=False)):
                cast = nn.Parameter(parameter.detach().to(dtype), requires_grad=False)
                setattr(layer, name, cast)


def rows_for_search(weight: Tensor, rows: Tensor) -> Tensor:
    """Return the rows [U] of a weight [O, I], [U, I], in its layout and in the dtype of products.

    The rows are copied once, so the products of all steps read only these rows.
    """
    dtype = dispatch.product_dtype(weight)
    if weight.is_contiguous():
        return weight.detach().index_select(0, rows).to(dtype)
    return weight.detach().t().index_select(1, rows).t().to(dtype)
