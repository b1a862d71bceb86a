"""The checkpoint file: weights, configuration, tokenizers and training state of a model.

Loading a file never runs code from it: only tensors, plain containers, text, numbers and bytes are
accepted. The file ends with a checksum, so a file that was changed at any position is refused.
`nmt.training.checkpoints.kept_checkpoints` decides which files a run keeps.
"""

import hashlib
import io
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.checkpoint_archive import check_archive
from nmt.checkpoint_content import (
    check_shapes,
    check_values,
    checked_config,
    checked_tokenizers,
)
from nmt.checkpoint_names import BEST, EXPORT, LAST
from nmt.config.plain import to_mapping
from nmt.config.schema import Config
from nmt.durable_file import make_folder, remedy, write_durably
from nmt.errors import UserError
from nmt.model.build import model_for
from nmt.model.documents.sentence_segments import ContextPieces
from nmt.model.seq2seq import TranslationModel
from nmt.model_shapes import model_without_values
from nmt.run_search import run_hint
from nmt.text.tokenizer import TokenizerPair

FORMAT_VERSION = 2
"""The format that is written. Format 1, without checksum and ``update``, can still be read."""

_TRAILER = b"\nnmt sha256 %s\n"
_TRAILER_LENGTH = len(_TRAILER % b"") + 64
_BLOCK = 1 << 20
_INSTEAD = "use another file of checkpoints/, or a copy"


class DamagedCheckpointError(UserError):
    """A file whose content differs from what was written; another file has to be used."""


@dataclass(frozen=True)
class Checkpoint:
    """The content of one file.

    Attributes:
        config: The complete configuration of the run.
        tokenizers: The tokenizers of both sides.
        weights: The model's weights, by name. If the run has a moving average, validated files
            contain the average.
        training: The state from which `nmt.training` resumes; None in a file with only a model.
        metrics: Validation scores of these weights; empty if they were not validated.
        update: Number of updates that produced the weights; None in old files without it.
        file: The file from which it was loaded, for messages; None: it is not from a file.
    """

    config: Config
    tokenizers: TokenizerPair
    weights: Mapping[str, Tensor]
    training: Mapping[str, Any] | None
    metrics: Mapping[str, float]
    update: int | None = None
    file: Path | None = field(default=None, compare=False)

    def build_model(self) -> TranslationModel:
        """Build the model and load the weights.

        Raises:
            UserError: The weights do not match the configuration.
        """
        self.check_weights()
        model = model_for(self.config, self.tokenizers)
        model.load_state_dict(dict(self.weights))
        return model

    def trained_model(self) -> TranslationModel:
        """Build the model in evaluation mode and load the weights, without drawing random numbers.

        Raises:
            UserError: The weights do not match the configuration.
        """
        self.check_weights()
        sizes = len(self.tokenizers.source), len(self.tokenizers.target)
        symbols = self.tokenizers.source.symbols, self.tokenizers.target.symbols
        context = ContextPieces.of(self.config.data, *symbols)
        model = model_without_values(self.config.model, *sizes, context)
        model.load_state_dict(dict(self.weights))
        return model.eval()

    def check_weights(self) -> None:
        """Check the shapes of the weights, before memory for a model is allocated.

        Raises:
            UserError: One line with the file and the first shapes that do not match.
        """
        try:
            check_shapes(self.config, self.tokenizers, self.weights)
        except UserError as error:
            where = "the checkpoint" if self.file is None else self.file
            raise UserError(f"{where} cannot be used: {error}; {_INSTEAD}") from error


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint so that the file is either the old or the complete new one.

    Raises:
        UserError: It could not be written. The old file is unchanged.
    """
    write_checkpoint(encode_checkpoint(checkpoint), path, purpose="again")


def encode_checkpoint(checkpoint: Checkpoint) -> memoryview:
    """Return the content of a checkpoint file: the archive of `torch.save`, and a trailing line.

    The line contains the SHA-256 of the archive. Readers of the archive ignore this line.
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
    """Return tensors and plain values as written by `torch.save`, followed by the checksum."""
    file = io.BytesIO()
    torch.save(content, file)
    with file.getbuffer() as written:
        digest = hashlib.sha256(written).hexdigest()
    file.write(_TRAILER % digest.encode())
    return file.getbuffer()


def write_checkpoint(content: memoryview, path: Path, *, purpose: str = "to resume") -> None:
    """Write an encoded checkpoint so that the file is either the old or the complete new one.

    Args:
        content: The result of `encode_checkpoint`.
        path: The file.
        purpose: Why the user runs the same command again after an error, for the message.

    Raises:
        UserError: It could not be written. The old file is unchanged.
    """
    try:
        make_folder(path.parent)
        write_durably(path, content)
    except OSError as error:
        earlier = ": the previous checkpoint is intact" if os.path.exists(path) else ""
        raise UserError(
            f"cannot write the checkpoint {path}: {error.strerror or error}; {remedy(error)} and "
            f"run the same command {purpose}{earlier}"
        ) from error


def load_checkpoint(path: Path, *, mapped: bool = False) -> Checkpoint:
    """Load a checkpoint file onto the CPU.

    Args:
        path: The file.
        mapped: Whether to map the weights from the file instead of copying them; the file must then
            not change.

    Raises:
        DamagedCheckpointError: The file was changed, or is not a checkpoint.
        UserError: There is no such file, or another program or version wrote it.
    """
    content, has_checksum = _read(path, mapped=mapped)
    if not isinstance(content, dict) or "format_version" not in content:
        raise DamagedCheckpointError(
            f"{path} is not an nmt model; give a file from a run's checkpoints/"
        )
    version = content["format_version"]
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise UserError(
            f"{path} has checkpoint format {version}, but this nmt reads 1 to {FORMAT_VERSION}; "
            "use the version of nmt that wrote it"
        )
    if version > 1 and not has_checksum:
        raise DamagedCheckpointError(f"{path} is damaged: its checksum is missing; {_INSTEAD}")
    try:
        return _checked(content, version, path)
    except KeyError as missing:
        raise DamagedCheckpointError(
            f"{path} is damaged: {missing} is missing; {_INSTEAD}"
        ) from None
    except UserError as error:
        raise UserError(f"{path} cannot be used: {error}") from error


def _checked(content: Mapping[str, Any], version: int, path: Path) -> Checkpoint:
    """Return the content of a file; the shapes of the weights are checked when they are used."""
    training = content["training"]
    update = content["update"] if version > 1 else _update_of(training)
    check_values(content["model"], training, content["metrics"], update)
    return Checkpoint(
        checked_config(content["config"]),
        checked_tokenizers(content["source_tokenizer"], content["target_tokenizer"]),
        content["model"],
        training,
        content["metrics"],
        update,
        path,
    )


def _read(path: Path, *, mapped: bool) -> tuple[Any, bool]:
    """Return the content of a file, and whether it has a checksum (which is then correct)."""
    if os.path.exists(path) and not os.path.isfile(path):
        what = "a folder" if os.path.isdir(path) else "a device or a pipe"
        raise UserError(f"{path} is {what}; give a run folder or a file from its checkpoints/")
    try:
        has_checksum = _has_valid_checksum(path)
        check_archive(path)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")  # reported below
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
            return content, has_checksum
    except FileNotFoundError:
        raise UserError(f"there is no checkpoint {path}") from None
    except PermissionError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (UserError, MemoryError):
        raise
    except Exception:  # on other bytes torch raises struct.error, KeyError, UnicodeError, ...
        raise DamagedCheckpointError(
            f"{path} is not a checkpoint of nmt, or is damaged; give a run folder or a file "
            "from its checkpoints/"
        ) from None


def _has_valid_checksum(path: Path) -> bool:
    """Return whether a file ends with a correct checksum; False: it has none.

    Raises:
        DamagedCheckpointError: The checksum does not match the content.
    """
    length = path.stat().st_size - _TRAILER_LENGTH
    if length < 0:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(length)
        trailer = file.read()
        if not trailer.startswith(_TRAILER.split(b"%", 1)[0]):
            return False
        file.seek(0)
        while length > 0 and (block := file.read(min(length, _BLOCK))):
            digest.update(block)
            length -= len(block)
    if trailer != _TRAILER % digest.hexdigest().encode():
        raise DamagedCheckpointError(
            f"{path} is damaged: its checksum does not match its content; {_INSTEAD}"
        )
    return True


def fingerprint(path: Path) -> str:
    """Return the SHA-256 at the end of a checkpoint file, which is the hash of its archive.

    For an old file without it, the hash of the whole file is computed.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TRAILER_LENGTH))
        trailer = file.read()
        if trailer.startswith(_TRAILER.split(b"%", 1)[0]):
            return trailer.split()[-1].decode("ascii", "replace")
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _update_of(training: Any) -> int | None:
    """Return the update of a file of format 1, which stores it only with a training state."""
    try:
        return None if training is None else int(training["progress"]["update"])
    except (TypeError, ValueError, IndexError) as error:
        raise UserError("its training state has no update") from error


def find_checkpoint(model: Path) -> Path:
    """Return the checkpoint of a run folder (its best, else its last), or the file itself.

    Raises:
        UserError: There is no checkpoint.
    """
    if not os.path.isdir(model):
        if os.path.exists(model):
            return model
        raise UserError(f"there is no run or checkpoint {model}{run_hint(model)}")
    for name in (BEST, LAST):
        path = model / "checkpoints" / name
        if os.path.exists(path):
            return path
    if os.path.isfile(model / EXPORT):
        raise UserError(_export_fault(model))
    raise UserError(
        f"{model} has no checkpoints/{BEST} or {LAST}{run_hint(model) or '; is it a run folder?'}"
    )


def _export_fault(folder: Path) -> str:
    try:
        layout = json.loads((folder / EXPORT).read_text(encoding="utf-8"))["format"]
    except (OSError, ValueError, KeyError, TypeError):
        layout = "another program"
    remedy = "add --engine ctranslate2" if layout == "ctranslate2" else "give the run itself"
    return f"{folder} is an export for {layout}: {remedy}"
