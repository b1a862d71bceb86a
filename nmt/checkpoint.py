"""A model on disk: weights, configuration, tokenizers and training state in one file.

Opening one never runs code: it holds tensors, plain containers and bytes, and is loaded as such.
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.config.plain import from_mapping, to_mapping
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.model.build import build_model
from nmt.model.seq2seq import TranslationModel
from nmt.text.tokenizer import TokenizerPair

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """What one file holds.

    Attributes:
        config: The run's whole configuration.
        tokenizers: Of both sides.
        weights: The model's; the moving average, where one is kept.
        training: What `nmt.training` needs to go on; None in a file that is only a model.
        metrics: Validation scores of these weights, where they were taken.
    """

    config: Config
    tokenizers: TokenizerPair
    weights: Mapping[str, Tensor]
    training: Mapping[str, Any] | None
    metrics: Mapping[str, float]

    def build_model(self) -> TranslationModel:
        """Build the model and fill in the weights.

        Raises:
            UserError: The weights are of another model than the configuration tells.
        """
        sizes = len(self.tokenizers.source), len(self.tokenizers.target)
        model = build_model(self.config.model, *sizes)
        try:
            model.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            raise UserError(
                f"the checkpoint's weights do not fit its configuration: {error}; take another one"
            ) from error
        return model


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint so that the file is either the old one or the whole new one.

    Raises:
        UserError: It could not be written; what stood there before still stands.
    """
    content = {
        "format_version": FORMAT_VERSION,
        "config": to_mapping(checkpoint.config),
        "source_tokenizer": checkpoint.tokenizers.source.to_bytes(),
        "target_tokenizer": checkpoint.tokenizers.target.to_bytes(),
        "model": dict(checkpoint.weights),
        "training": checkpoint.training,
        "metrics": dict(checkpoint.metrics),
    }
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise UserError(
            f"cannot write the checkpoint {path}: {error}; the one before is untouched"
        ) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint file, onto the CPU.

    Raises:
        UserError: There is none, it is damaged, or another program or version wrote it.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")  # said below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"there is no checkpoint {path}") from None
    except PermissionError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except Exception:  # foreign bytes make torch raise struct.error, KeyError, UnicodeError, ...
        raise UserError(
            f"{path} is not a checkpoint of nmt, or is damaged; give a run folder or a file "
            "from its checkpoints/"
        ) from None
    if not isinstance(content, dict) or "format_version" not in content:
        raise UserError(f"{path} holds no nmt model; give a file from a run's checkpoints/")
    if content["format_version"] != FORMAT_VERSION:
        raise UserError(
            f"{path} has checkpoint format {content['format_version']}, but this nmt reads "
            f"{FORMAT_VERSION}; use the version of nmt that wrote it"
        )
    try:
        return Checkpoint(
            from_mapping(Config, content["config"]),
            TokenizerPair.from_bytes(content["source_tokenizer"], content["target_tokenizer"]),
            content["model"],
            content["training"],
            content["metrics"],
        )
    except KeyError as missing:
        raise UserError(f"{path} lacks its part {missing}; take another checkpoint") from None
    except UserError as error:
        raise UserError(f"{path} cannot be used: {error}") from error


def find_checkpoint(model: Path) -> Path:
    """Return the checkpoint that a run folder or a file stands for: a run's best, else its last.

    Raises:
        UserError: There is none.
    """
    if not model.is_dir():
        if model.exists():
            return model
        raise UserError(f"there is no run or checkpoint {model}")
    for name in ("best.pt", "last.pt"):
        path = model / "checkpoints" / name
        if path.exists():
            return path
    raise UserError(f"{model} holds no checkpoints/best.pt or last.pt; is it a run folder?")
