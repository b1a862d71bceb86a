"""The file of a shortlist: a line with the format, a line of JSON, integers, a checksum.

The integers are little-endian. Offsets have 32 bits. Pieces have 16 bits, or 32 if the vocabulary
has more than 65,536 pieces. A file is used only if its size, checksum and integers are valid.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from nmt.decoding.constrained.shortlist import Shortlist
from nmt.durable_file import make_folder, write_durably
from nmt.errors import UserError
from nmt.text.tokenizer import TokenizerPair
from nmt.written_file import written_file

NAME = "shortlist.bin"
"""The name of the file in a run folder."""

FORMAT_VERSION = 1
_MAGIC = b"nmt shortlist\n"
_LONGEST_HEADER = 4096  # bytes
_DIGEST = hashlib.sha256().digest_size
_MOST = 1 << 28  # pieces of a vocabulary, and candidates


def save_shortlist(shortlist: Shortlist, path: Path) -> None:
    """Write a shortlist. After a crash, the file is the old one or the complete new one.

    Raises:
        UserError: The file cannot be written. The old file is unchanged.
    """
    source, target = shortlist.vocabularies
    header = {
        "version": FORMAT_VERSION,
        "source_pieces": len(shortlist.offsets) - 1,
        "target_pieces": shortlist.target_size,
        "candidates": len(shortlist.candidates),
        "always": len(shortlist.always),
        "source_vocabulary": source,
        "target_vocabulary": target,
    }
    piece = _piece_type(shortlist.target_size)
    content = b"".join(
        [
            _MAGIC,
            json.dumps(header).encode() + b"\n",
            shortlist.offsets.astype("<u4").tobytes(),
            shortlist.candidates.astype(piece).tobytes(),
            shortlist.always.astype(piece).tobytes(),
        ]
    )
    with written_file(str(path), path):
        make_folder(path.parent)
        write_durably(path, content, hashlib.sha256(content).digest())


def find_shortlist(path: Path) -> Path:
    """Return the path of the shortlist in a run folder, or ``path`` if it is a file.

    Raises:
        UserError: The file does not exist.
    """
    if os.path.isdir(path):
        file = path / NAME
        if not os.path.exists(file):
            raise UserError(f"{path} has no {NAME}: make it with nmt shortlist {path}")
        return file
    if not os.path.exists(path):
        raise UserError(f"there is no shortlist {path}: make one with nmt shortlist RUN")
    return path


def load_shortlist(path: Path, tokenizers: TokenizerPair) -> Shortlist:
    """Load the shortlist of a run folder, or a file, for a model with these tokenizers.

    Raises:
        UserError: The file does not exist, is damaged, or was made for another vocabulary.
    """
    path = find_shortlist(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            if file.readline(len(_MAGIC)) != _MAGIC:
                raise UserError(f"{path} is not a shortlist: make one with nmt shortlist RUN")
            line = file.readline(_LONGEST_HEADER)
            header = _header(line, path)
            if size != len(_MAGIC) + len(line) + _numbers(header) + _DIGEST:
                raise _damaged(path)
            content = file.read(_numbers(header) + _DIGEST)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    if hashlib.sha256(_MAGIC + line + content[:-_DIGEST]).digest() != content[-_DIGEST:]:
        raise _damaged(path)
    shortlist = _shortlist(header, content)
    if not _is_valid(shortlist):
        raise _damaged(path)
    shortlist.check(tokenizers, str(path))
    return shortlist


def _header(line: bytes, path: Path) -> dict[str, Any]:
    """Parse the line of JSON and check its values.

    Raises:
        UserError: A value is not valid, or a later version wrote the file.
    """
    try:
        header = json.loads(line)
        version = header["version"]
        sizes = [header[f"{side}_pieces"] for side in ("source", "target")]
        sizes += [header["candidates"], header["always"]]
        hashes = [header[f"{side}_vocabulary"] for side in ("source", "target")]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _damaged(path) from None
    if type(version) is int and version > FORMAT_VERSION:
        raise UserError(
            f"{path} has shortlist format {version}, but this nmt reads {FORMAT_VERSION}: use the "
            "version of nmt that wrote it, or make one with nmt shortlist RUN"
        )
    whole = all(type(number) is int and 0 <= number < _MOST for number in (version, *sizes))
    if not (whole and version == FORMAT_VERSION and all(isinstance(one, str) for one in hashes)):
        raise _damaged(path)
    return dict(header)


def _numbers(header: dict[str, Any]) -> int:
    """Return the bytes of all integers after the header."""
    pieces = header["candidates"] + header["always"]
    width = np.dtype(_piece_type(header["target_pieces"])).itemsize
    return int(4 * (header["source_pieces"] + 1) + width * pieces)


def _shortlist(header: dict[str, Any], content: bytes) -> Shortlist:
    piece = _piece_type(header["target_pieces"])
    count, listed = header["source_pieces"] + 1, header["candidates"]
    pieces = np.frombuffer(content[:-_DIGEST], piece, offset=4 * count).astype(np.int64)
    return Shortlist(
        np.frombuffer(content, "<u4", count=count).astype(np.int64),
        pieces[:listed],
        pieces[listed:],
        header["target_pieces"],
        (header["source_vocabulary"], header["target_vocabulary"]),
    )


def _is_valid(shortlist: Shortlist) -> bool:
    """Return whether the offsets and the pieces are in their ranges."""
    offsets = shortlist.offsets
    ordered = offsets[0] == 0 and offsets[-1] == len(shortlist) and (np.diff(offsets) >= 0).all()
    pieces = np.concatenate([shortlist.candidates, shortlist.always])
    return bool(ordered and (pieces < shortlist.target_size).all())


def _piece_type(vocabulary: int) -> str:
    return "<u2" if vocabulary <= 1 << 16 else "<u4"


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} is damaged: make it again with nmt shortlist RUN --output {path}")
