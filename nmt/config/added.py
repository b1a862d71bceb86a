"""Settings added since the first release, so that checkpoints from before them still open."""

from typing import Any

from nmt.config.data import DataConfig, HuggingFaceDataConfig, SourceConfig, TokenizerConfig
from nmt.config.model import (
    BahdanauAttentionConfig,
    LuongConcatAttentionConfig,
    RnnDecoderConfig,
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
    "word_dropout": 0.0,
    "layer_drop": 0.0,
}

# By dataclass (subclasses included): a setting, and the plain value that means "as before".
ADDED: dict[type, dict[str, Any]] = {
    DataConfig: {
        "alignments": {"train": None, "valid": None, "test": None},
        "gold": {"source": None, "target": None, "links": None, "flip": False},
        "extra": {},
        "temperature": 1.0,
        "filters": {
            "max_words": None,
            "max_ratio": None,
            "duplicates": "keep",
            "copies": False,
            "scripts": False,
            "language": None,
            "test_overlap": False,
        },
        "on_doubt": "stop",
        "dropped": None,
        "shuffle_buffer": None,
        "workers": None,
        "loader_workers": 0,
    },
    SourceConfig: {
        "source": None,
        "target": None,
        "path": None,
        "dataset": None,
        "format": None,
        "source_column": None,
        "target_column": None,
        "subset": None,
        "split": None,
        "streaming": False,
        "tag": None,
        "weight": 1.0,
    },
    HuggingFaceDataConfig: {"streaming": False},
    TokenizerConfig: {
        "symbols": [],
        "sampling": 0.0,
        "sample_size": 2_000_000,
        "model": None,
        "target_model": None,
    },
    TrainingConfig: {
        "guided_alignment": {"weight": 0.0, "layer": None, "head": 0, "shift": False},
        "coverage_loss": 0.0,
        "parallel": "auto",
        "save_in_background": False,
        "keep_last": 1,
        "keep_every": None,
        "keep_best": 1,
        "tf32": False,
        "deterministic": False,
        "gradient_checkpointing": False,
        "max_skipped": 0,
        "on_divergence": "stop",
        "rewind_rate": 0.5,
        "dry_run": False,
        "init_from": None,
        "init_vocabulary": "keep",
        "freeze": [],
        "l2_sp": 0.0,
        "ewc": 0.0,
        "r_drop": 0.0,
        "distillation": {
            "teacher": None,
            "weight": 0.5,
            "temperature": 1.0,
            "attention_weight": 0.0,
            "attention_layer": -1,
            "attention_measure": "kl",
        },
        "average_last": 0,
    },
    RnnEncoderConfig: {"reverse": False, "word_dropout": 0.0},
    RnnDecoderConfig: {"word_dropout": 0.0},
    TransformerEncoderConfig: _TRANSFORMER,
    TransformerDecoderConfig: _TRANSFORMER,
    WindowedAttentionConfig: {"window": "global", "window_size": 10},
    BahdanauAttentionConfig: {"coverage": "none", "maxout_size": None},
    LuongConcatAttentionConfig: {"coverage": "none"},
}


def as_before(cls: type) -> dict[str, Any]:
    """Return the settings of a config dataclass that older files lack, with their plain values."""
    return {key: value for base in cls.__mro__ for key, value in ADDED.get(base, {}).items()}
