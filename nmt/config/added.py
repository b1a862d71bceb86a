"""Settings added since the first release, so that checkpoints from before them still open."""

from typing import Any

from nmt.config.data import DataConfig
from nmt.config.model import (
    BahdanauAttentionConfig,
    LuongConcatAttentionConfig,
    RnnEncoderConfig,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
    WindowedAttentionConfig,
)
from nmt.config.schema import TrainingConfig

_TRANSFORMER = {
    "num_kv_heads": None,
    "qk_norm": False,
    "positions": "sinusoidal",
    "norm_type": "layer",
    "activation": "relu",
}

# By dataclass (subclasses included): a setting, and the plain value that means "as before".
ADDED: dict[type, dict[str, Any]] = {
    DataConfig: {
        "alignments": {"train": None, "valid": None, "test": None},
        "gold": {"source": None, "target": None, "links": None, "flip": False},
    },
    TrainingConfig: {
        "guided_alignment": {"weight": 0.0, "layer": None, "head": 0, "shift": False},
        "coverage_loss": 0.0,
    },
    RnnEncoderConfig: {"reverse": False},
    TransformerEncoderConfig: _TRANSFORMER,
    TransformerDecoderConfig: _TRANSFORMER,
    WindowedAttentionConfig: {"window": "global", "window_size": 10},
    BahdanauAttentionConfig: {"coverage": "none", "maxout_size": None},
    LuongConcatAttentionConfig: {"coverage": "none"},
}


def as_before(cls: type) -> dict[str, Any]:
    """Return the settings of a config dataclass that older files lack, with their plain values."""
    return {key: value for base in cls.__mro__ for key, value in ADDED.get(base, {}).items()}
