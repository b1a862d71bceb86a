"""The weights of each kind of self-attention on one sentence, without a model.

Legend: T words, K head size.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nmt.config.model import TransformerDecoderConfig, TransformerEncoderConfig
from nmt.config.self_attention import LIMITS, SelfAttention
from nmt.kernels.attention.attention_mask import AttentionMask
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.self_attention.adaptive_span import AdaptiveSpan
from nmt.model.self_attention.kinds import KINDS

_SENTENCE = "the dog chased the cat until the cat climbed the tree and the dog went home"
WORDS = tuple(_SENTENCE.split())
"""The sentence of all pictures; its repeated words show which kinds find equal words."""

CLASSES = {  # of words; the vectors of the words of a class are similar
    "the": "article",
    "dog": "animal",
    "cat": "animal",
    "tree": "noun",
    "home": "noun",
    "chased": "verb",
    "climbed": "verb",
    "went": "verb",
    "until": "conjunction",
    "and": "conjunction",
}

PICTURE_SETTINGS: Mapping[str, Any] = {
    "num_heads": 1,
    "attention_window": 2,
    "attention_stride": 4,
    "attention_summaries": 1,
    "attention_block": 2,
    "attention_random_blocks": 1,
    "attention_global_blocks": 1,
    "attention_features": 256,
    "attention_rank": 4,
    "attention_buckets": 4,
    "attention_hashes": 2,
    "attention_span": 8,
    "attention_span_ramp": 3,
}
"""Settings that suit a sentence of 16 words; the defaults suit thousands of positions."""

_CHUNK = 4  # attention_block of lsh; random_global has another value of the same setting
_SIZE = 32  # K
_SHARPNESS = 2.6  # factor of the scores: equal words get the most weight, others still some
_SPAN_SHARE = 0.25  # of attention_span 8: a span of 2 positions
_SEED = 5


@dataclass(frozen=True)
class KindPicture:
    """The weights of one kind.

    Attributes:
        kind: Name of the kind.
        causal: Whether these are the weights of a decoder, in which no word attends to later words.
        weights: [T, T]; rows are queries. A weight is exactly 0 if the query does not attend to
            the word.
    """

    kind: str
    causal: bool
    weights: npt.NDArray[np.float64]


def kind_pictures() -> Iterator[KindPicture]:
    """Yield the weights of each kind in an encoder and, if the kind allows it, in a decoder.

    All kinds have the same queries and keys, made from the words. The classes of the models compute
    the weights.
    """
    states = word_vectors()
    for kind in SelfAttention:
        for causal in (False, True):
            if LIMITS[kind].decoder or not causal:
                yield KindPicture(kind.value, causal, _weights(kind, states, causal=causal))


def word_vectors() -> Tensor:
    """Return vectors of the words [1, T, K]; words of one class and near words are similar."""
    random = np.random.default_rng(_SEED)

    def drawn(names: set[str]) -> dict[str, Tensor]:
        vectors = torch.from_numpy(random.standard_normal((len(names), _SIZE)))
        return dict(zip(sorted(names), vectors / vectors.norm(dim=1, keepdim=True), strict=True))

    words, classes = drawn(set(CLASSES)), drawn(set(CLASSES.values()))
    angles = torch.arange(len(WORDS), dtype=torch.float64)[:, None] / torch.tensor([2.0, 5.0])
    places = torch.cat([angles.sin(), angles.cos()], dim=1)  # near positions are similar
    rows = torch.stack([words[word] + 0.7 * classes[CLASSES[word]] for word in WORDS])
    rows[:, : places.size(1)] += 0.35 * places
    return (rows / rows.norm(dim=1, keepdim=True))[None]


@torch.no_grad()
def _weights(kind: SelfAttention, states: Tensor, *, causal: bool) -> npt.NDArray[np.float64]:
    """Return the weights of a kind whose queries and keys are the states."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        attention = _attention(kind, causal=causal).double().eval()
    length = states.size(1)
    mask = AttentionMask.causal(length, states.device)
    if not causal:
        mask = AttentionMask(torch.ones(1, 1, 1, length, dtype=torch.bool))
    found = attention(states, attention.build_memory(states, mask), need_weights=True).weights
    weights: npt.NDArray[np.float64] = found[0, 0].numpy()
    return weights


def _attention(kind: SelfAttention, *, causal: bool) -> MultiHeadAttention:
    config_class = TransformerDecoderConfig if causal else TransformerEncoderConfig
    settings = PICTURE_SETTINGS
    if kind == SelfAttention.LSH:
        settings = {**settings, "attention_block": _CHUNK}
    config = config_class(hidden_size=_SIZE, self_attention=kind, **settings)
    if kind == SelfAttention.FULL:
        attention = MultiHeadAttention(_SIZE, _SIZE, 1, 0.0)
    else:
        attention = KINDS[kind].of(config)
    scale = (_SHARPNESS * _SIZE**0.5) ** 0.5
    for name, parameter in attention.named_parameters():
        if name == "query_projection.weight":
            parameter.copy_(scale * torch.eye(_SIZE))
        elif name == "key_value_projection.weight":
            parameter.copy_(scale * torch.eye(_SIZE).repeat(2, 1))
        elif name == "value_projection.weight":
            parameter.copy_(torch.eye(_SIZE))
        elif "length_projection" in name:  # mean of each quarter of the sentence, as an example
            parameter.zero_()
            for row, quarter in enumerate(parameter[:, : len(WORDS)].split(1)):
                width = len(WORDS) // len(parameter)
                quarter[:, row * width : (row + 1) * width] = 1 / width
        elif name.endswith("bias"):
            parameter.zero_()
    if isinstance(attention, AdaptiveSpan):
        attention.span_shares.fill_(_SPAN_SHARE)
    return attention
