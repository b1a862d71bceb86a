"""A model on disk: weights, configuration, tokenizers and training state in one file.

Opening one never runs code: it holds tensors, plain containers and bytes, and is loaded as such.
It ends with a checksum, so a file that is not as it was written is refused wherever the fault is.
"""

import hashlib
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.config.plain import from_mapping, to_mapping
from nmt.config.schema import Config
from nmt.durable_file import DISK_IS_FULL, write_durably
from nmt.errors import UserError
from nmt.model.build import build_model
from nmt.model.seq2seq import TranslationModel
from nmt.text.tokenizer import TokenizerPair

FORMAT_VERSION = 2
"""Written; 1, which had no checksum and no ``update``, is still read."""

_SEAL = b"\nnmt sha256 %s\n"
_SEAL_LENGTH = len(_SEAL % b"") + 64
_BLOCK = 1 << 20
_INSTEAD = "take another file of checkpoints/, or a copy"


class DamagedCheckpointError(UserError):
    """A file that is not what was once written, so that an older one has to do."""


@dataclass(frozen=True)
class Checkpoint:
    """What one file holds.

    Attributes:
        config: The run's whole configuration.
        tokenizers: Of both sides.
        weights: The model's; the moving average, where one is kept.
        training: What `nmt.training` needs to go on; None in a file that is only a model.
        metrics: Validation scores of these weights, where they were taken.
        update: After which the weights were so; None where an old file does not tell.
    """

    config: Config
    tokenizers: TokenizerPair
    weights: Mapping[str, Tensor]
    training: Mapping[str, Any] | None
    metrics: Mapping[str, float]
    update: int | None = None

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
    write_checkpoint(encode_checkpoint(checkpoint), path)


def encode_checkpoint(checkpoint: Checkpoint) -> memoryview:
    """Return the content of a checkpoint's file: what `torch.save` makes, and a line behind it.

    The line holds the SHA-256 of all before it; readers of the archive pass over it.
    """
    content = {
        "format_version": FORMAT_VERSION,
        "config": to_mapping(checkpoint.config),
        "source_tokenizer": checkpoint.tokenizers.source.to_bytes(),
        "target_tokenizer": checkpoint.tokenizers.target.to_bytes(),
        "model": dict(checkpoint.weights),
        "training": checkpoint.training,
        "metrics": dict(checkpoint.metrics),
        "update": checkpoint.update,
    }
    return sealed(content)


def sealed(content: Mapping[str, Any]) -> memoryview:
    """Return tensors and plain values as `torch.save` writes them, with their checksum."""
    file = io.BytesIO()
    torch.save(content, file)
    with file.getbuffer() as written:
        digest = hashlib.sha256(written).hexdigest()
    file.write(_SEAL % digest.encode())
    return file.getbuffer()


def write_checkpoint(content: memoryview, path: Path) -> None:
    """Write an encoded checkpoint so that the file is either the old one or the whole new one.

    Raises:
        UserError: It could not be written; what stood there before still stands.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, content)
    except OSError as error:
        remedy = "make room" if error.errno in DISK_IS_FULL else "mend that"
        raise UserError(
            f"cannot write the checkpoint {path}: {error.strerror or error}; {remedy}: the one "
            "before is untouched, and the same command goes on from it"
        ) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint file, onto the CPU.

    Raises:
        DamagedCheckpointError: It is not as it was written, or is no checkpoint at all.
        UserError: There is none, or another program or version wrote it.
    """
    content, is_sealed = _read(path)
    if not isinstance(content, dict) or "format_version" not in content:
        raise DamagedCheckpointError(
            f"{path} holds no nmt model; give a file from a run's checkpoints/"
        )
    version = content["format_version"]
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise UserError(
            f"{path} has checkpoint format {version}, but this nmt reads 1 to {FORMAT_VERSION}; "
            "use the version of nmt that wrote it"
        )
    if version > 1 and not is_sealed:
        raise DamagedCheckpointError(f"{path} is damaged: its checksum is missing; {_INSTEAD}")
    try:
        return Checkpoint(
            from_mapping(Config, content["config"]),
            TokenizerPair.from_bytes(content["source_tokenizer"], content["target_tokenizer"]),
            content["model"],
            content["training"],
            content["metrics"],
            content["update"] if version > 1 else _update_of(content["training"]),
        )
    except KeyError as missing:
        raise DamagedCheckpointError(
            f"{path} lacks its part {missing}; take another checkpoint"
        ) from None
    except UserError as error:
        raise UserError(f"{path} cannot be used: {error}") from error


def _read(path: Path) -> tuple[Any, bool]:
    """Return what a file holds, and whether it bears a checksum, which is then right."""
    try:
        is_sealed = _has_valid_seal(path)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")  # said below
            return torch.load(path, map_location="cpu", weights_only=True), is_sealed
    except FileNotFoundError:
        raise UserError(f"there is no checkpoint {path}") from None
    except PermissionError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (UserError, MemoryError):
        raise
    except Exception:  # foreign bytes make torch raise struct.error, KeyError, UnicodeError, ...
        raise DamagedCheckpointError(
            f"{path} is not a checkpoint of nmt, or is damaged; give a run folder or a file "
            "from its checkpoints/"
        ) from None


def _has_valid_seal(path: Path) -> bool:
    """Tell whether a file ends with the checksum of all before it; False: it ends with none.

    Raises:
        DamagedCheckpointError: The checksum is of another content.
    """
    length = path.stat().st_size - _SEAL_LENGTH
    if length < 0:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(length)
        seal = file.read()
        if not seal.startswith(_SEAL.split(b"%", 1)[0]):
            return False
        file.seek(0)
        while length > 0 and (block := file.read(min(length, _BLOCK))):
            digest.update(block)
            length -= len(block)
    if seal != _SEAL % digest.hexdigest().encode():
        raise DamagedCheckpointError(
            f"{path} is damaged: its checksum is not its content's; {_INSTEAD}"
        )
    return True


def _update_of(training: Any) -> int | None:
    """Return the update of a file of format 1, which says it only beside a training state."""
    return None if training is None else int(training["progress"]["update"])


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
