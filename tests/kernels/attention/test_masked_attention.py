"""Masks of every form, and no mask, give the formula with the tensor of the mask.

Legend: B batch, T queries, S keys, H heads, G heads of keys and values, K head size.
"""

import pytest
import torch

from nmt.kernels.attention.attention_mask import (
    AttentionMask,
    Mask,
    SentenceMask,
    mask_tensor,
    select_mask,
)
from nmt.kernels.attention.masked_attention import masked_attention
from nmt.kernels.attention.scaled_dot_product import naive_attention
from nmt.kernels.attention.step_attention import lay_out

B, T, S, H, G, K = 16, 3, 7, 4, 2, 8
LENGTHS = torch.arange(B) % S + 1
ALLOWED = (torch.arange(S) < LENGTHS[:, None])[:, None, None]  # [B, 1, 1, S]
SHARED = AttentionMask(ALLOWED)
FORMS: dict[str, Mask | None] = {
    "none": None,
    "bool": ALLOWED,
    "additive": SHARED.bias(torch.empty(0)),
    "shared": SHARED,
}


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("biased", [False, True])
@torch.no_grad()
def test_each_form_gives_the_formula(form: str, *, biased: bool) -> None:
    query, keys, values = torch.randn(B, H, T, K), torch.randn(B, G, S, K), torch.randn(B, G, S, K)
    bias = torch.randn(H, T, S) if biased else None
    mask = FORMS[form]
    expected = naive_attention(query, keys, values, mask_tensor(mask), bias)
    found = masked_attention(query, keys, values, mask, bias, 0.0)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    if form == "bool":  # search makes the mask additive when it changes the layout
        return
    keys, values = lay_out(keys, values)
    found = masked_attention(query, keys, values, mask, bias, 0.0)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_sentences_of_a_packed_row_give_the_formula_and_refuse_a_bias() -> None:
    offsets = torch.tensor([0, 2, 5, 5, S], dtype=torch.int32)
    mask = SentenceMask(offsets, offsets, 3, 3, causal=True)
    query, keys, values = torch.randn(1, H, S, K), torch.randn(1, G, S, K), torch.randn(1, G, S, K)
    expected = naive_attention(query, keys, values, mask_tensor(mask))
    found = masked_attention(query, keys, values, mask, None, 0.0)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="packed rows has no bias"):
        masked_attention(query, keys, values, mask, torch.zeros(H, S, S), 0.0)


@pytest.mark.parametrize("form", ["bool", "additive", "shared"])
def test_selected_rows_have_their_own_masks(form: str) -> None:
    rows = torch.tensor([3, 0])
    found, whole = mask_tensor(select_mask(FORMS[form], rows)), mask_tensor(FORMS[form])
    assert found is not None
    assert whole is not None
    assert torch.equal(found, whole[rows])
    assert select_mask(None, rows) is None
