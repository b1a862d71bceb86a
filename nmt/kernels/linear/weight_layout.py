"""The memory layout and dtype of the weights of linear layers in search.

A step of search multiplies only 5 to 100 rows, so reading the weight W [O, I] takes a large part of
the time. oneDNN's product is fastest for a weight in oneDNN's own layout: a *packed* weight. Torch
can read its shape and its dtype, but not its numbers. For other products, the columns of W should
be contiguous: then x W^T needs no rearranged copy of W. Shapes and results do not change.

Legend: I input size, O output size, U rows that are needed.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nmt.kernels import dispatch, private_torch
from nmt.kernels.linear.linear_layer import dense_weight

EXPECTED_ROWS = 16
"""The number of rows for which oneDNN chooses a layout. Other numbers give right products, too."""


def pack_for_search(layers: Iterable[nn.Linear]) -> None:
    """Pack the weights of layers that compute `nmt.kernels.linear.linear_layer.linear`, if faster.

    A weight that an embedding shares is copied. Do not train the model afterwards.
    """
    for layer in layers:
        weight = layer.weight.detach()
        if dispatch.lays_out_weights(weight) and dispatch.packs_weights(weight):
            assert private_torch.pack_weight is not None
            packed = private_torch.pack_weight(weight.contiguous(), EXPECTED_ROWS)
            layer.weight = nn.Parameter(packed, requires_grad=False)


def lay_out_for_search(layers: Iterable[nn.Linear]) -> None:
    """Store the weights of linear layers by columns if this is faster.

    A weight that an embedding shares is copied, because an embedding reads rows. Do not train the
    model afterwards.
    """
    for layer in layers:
        weight = layer.weight
        if dispatch.lays_out_weights(weight):
            columns = weight.detach().t().contiguous()
            layer.weight = nn.Parameter(columns.t(), requires_grad=weight.requires_grad)


def cast_for_search(layers: Iterable[nn.Linear], dtype: torch.dtype) -> None:
    """Store the parameters of linear layers in the dtype of their products, if this is faster.

    Autocast would cast them in each step. A weight that an embedding shares is copied. All products
    must be in ``dtype``. Do not train the model afterwards.
    """
    for layer in layers:
        if dispatch.lays_out_weights(layer.weight):
            for name, parameter in list(layer.named_parameters(recurse=False)):
                cast = nn.Parameter(parameter.detach().to(dtype), requires_grad=False)
                setattr(layer, name, cast)


def rows_for_search(weight: Tensor, rows: Tensor) -> Tensor:
    """Return a copy [U, I] of the rows [U] of a weight [O, I], for the products of all steps.

    The copy has the layout of the weight, by columns if it is packed, and the dtype of products.
    """
    dtype = dispatch.product_dtype(weight)
    if private_torch.is_packed(weight):
        return dense_weight(weight).index_select(0, rows).to(dtype).t().contiguous().t()
    if weight.is_contiguous():
        return weight.detach().index_select(0, rows).to(dtype)
    return weight.detach().t().index_select(1, rows).t().to(dtype)
