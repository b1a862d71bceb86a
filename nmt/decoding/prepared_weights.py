"""Stores the weights of a model in the form that is fastest for search."""

import torch
from torch import nn

from nmt.kernels.linear.quantized_linear import quantize_for_search
from nmt.kernels.linear.weight_layout import cast_for_search, lay_out_for_search, pack_for_search
from nmt.model.layers import Linear
from nmt.model.seq2seq import OutputLayer, TranslationModel


def prepare_weights(model: TranslationModel, precision: torch.dtype) -> None:
    """Store weights for search in this precision. Do not train the model afterwards.

    Names and shapes do not change. A weight that an embedding shares is copied. On a CPU, 16-bit
    precision casts all linear layers once, and int8 quantizes the large linear layers.

    Raises:
        UserError: This processor has no product of integers.
    """
    linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    if precision in (torch.bfloat16, torch.float16):  # 16-bit products read rows
        cast_for_search(linear, precision)
        return
    layers = [layer for layer in linear if isinstance(layer, (Linear, OutputLayer))]
    if precision == torch.int8:
        quantize_for_search(layers)
    pack_for_search(layer for layer in layers if layer.quantized is None)
    lay_out_for_search(linear)
