"""Reads and writes SentencePiece models, which are protocol buffers, without `protobuf`.

The reader of SentencePiece needs a `protobuf` package that is not older than the one that generated
the reader, and SentencePiece does not list `protobuf` as a dependency.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""The types of pieces; the numbers are those of the file."""

KINDS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
"""The algorithms; the keys are their numbers in the file."""

Value = int | bytes
Field = tuple[int, int, Value]  # number, wire type, value

MOST_PIECES = 1 << 20
"""Maximum pieces of a model file; the largest published vocabularies have about 260,000."""

_VARINT, _EIGHT_BYTES, _STRING, _FOUR_BYTES = 0, 1, 2, 5
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3  # field numbers of a model
_RULE_FILE = 6  # field number of the normalizer
_SURFACE, _SCORE, _TYPE = 1, 2, 3  # field numbers of a piece
_MODEL_TYPE, _SUFFIX = 3, 24  # field numbers of the trainer's settings
_IS_SYMBOL = bytes((_TYPE << 3 | _VARINT, USER_DEFINED))


@dataclass(frozen=True)
class Piece:
    """One entry of a vocabulary.

    Attributes:
        surface: The text.
        score: Log probability (unigram), or negative rank of the merge (bpe).
        type: One of `NORMAL` to `BYTE`.
    """

    surface: str
    score: float = 0.0
    type: int = NORMAL


@dataclass
class ModelFile:
    """The parts of a model; all parts except pieces are raw fields.

    Attributes:
        pieces: The vocabulary; the index of a piece is its id.
        trainer: Fields of the trainer's settings; they contain the names and ids of the special
            pieces.
        rest: All other fields, including the normalization.
    """

    pieces: list[Piece]
    trainer: list[Field] = field(default_factory=list)
    rest: list[Field] = field(default_factory=list)

    @classmethod
    def parse(cls, model: bytes) -> "ModelFile":
        """Parse a serialized model.

        Raises:
            ValueError: The bytes are not a valid message.
        """
        parts = cls([])
        for entry in _fields(model):
            number, _, value = entry
            if number == _PIECES and isinstance(value, bytes):
                parts.pieces.append(_piece(value))
                if not parts.pieces[-1].surface:
                    raise ValueError(f"its piece {len(parts.pieces) - 1:,} is empty")
                if len(parts.pieces) > MOST_PIECES:
                    raise ValueError(f"it has more than {MOST_PIECES:,} pieces")
            elif number == _TRAINER and isinstance(value, bytes):
                parts.trainer += _fields(value)
            else:
                parts.rest.append(entry)
        return parts

    def to_bytes(self) -> bytes:
        """Return the serialized model."""
        pieces = [(_PIECES, _STRING, _join(_piece_fields(piece))) for piece in self.pieces]
        return _join([*pieces, (_TRAINER, _STRING, _join(self.trainer)), *self.rest])

    @property
    def kind(self) -> str:
        """The algorithm of the model: one of `KINDS`."""
        return KINDS.get(self.number(_MODEL_TYPE, 1), "unknown")

    @property
    def marks_word_ends(self) -> bool:
        """Whether ``▁`` is at the end of a word instead of its beginning."""
        return bool(self.number(_SUFFIX, 0))

    def number(self, name: int, default: int) -> int:
        """Return a numeric setting of the trainer; ``name`` is its field number."""
        found = [value for number, _, value in self.trainer if number == name]
        return found[-1] if found and isinstance(found[-1], int) else default

    def text(self, name: int, default: str) -> str:
        """Return a text setting of the trainer; ``name`` is its field number."""
        found = [value for number, _, value in self.trainer if number == name]
        return found[-1].decode() if found and isinstance(found[-1], bytes) else default

    def set(self, name: int, value: int | str) -> None:
        """Replace a setting of the trainer; ``name`` is its field number."""
        self.trainer = [entry for entry in self.trainer if entry[0] != name]
        if isinstance(value, str):
            self.trainer.append((name, _STRING, value.encode()))
        else:
            self.trainer.append((name, _VARINT, value))

    def rename(self, surfaces: dict[int, str]) -> "ModelFile":
        """Return the model with new surfaces for the pieces with these ids."""
        pieces = list(self.pieces)
        for index, surface in surfaces.items():
            pieces[index] = replace(pieces[index], surface=surface)
        return ModelFile(pieces, self.trainer, self.rest)


def kind_and_symbols(model: bytes) -> tuple[str, dict[str, int]]:
    """Return the algorithm of a model and the ids of its user-defined symbols; parse only these.

    Raises:
        ValueError: The bytes are not a valid message.
    """
    symbols: dict[str, int] = {}
    parts, count = ModelFile([]), 0
    for number, _, value in _fields(model):
        if number == _PIECES and isinstance(value, bytes):
            if _IS_SYMBOL in value and (piece := _piece(value)).type == USER_DEFINED:
                symbols[piece.surface] = count
            count += 1
        elif number == _TRAINER and isinstance(value, bytes):
            parts.trainer += _fields(value)
    return parts.kind, symbols


def _piece(message: bytes) -> Piece:
    surface, score, piece_type = "", 0.0, NORMAL
    for number, wire, value in _fields(message):
        if number == _SURFACE and isinstance(value, bytes):
            surface = value.decode()
        elif number == _SCORE and wire == _FOUR_BYTES and isinstance(value, bytes):
            score = struct.unpack("<f", value)[0]
        elif number == _TYPE and isinstance(value, int):
            piece_type = value
    return Piece(surface, score, piece_type)


def without_rule_file(model: bytes) -> bytes:
    """Return a model without the file name of its normalization rule.

    SentencePiece stores this name beside the rule itself. It is different in each training.
    """
    return _join(
        (number, wire, _join(f for f in _fields(value) if f[0] != _RULE_FILE))
        if number == _NORMALIZER and isinstance(value, bytes)
        else (number, wire, value)
        for number, wire, value in _fields(model)
    )


def _piece_fields(piece: Piece) -> Iterator[Field]:
    yield _SURFACE, _STRING, piece.surface.encode()
    yield _SCORE, _FOUR_BYTES, struct.pack("<f", piece.score)
    if piece.type != NORMAL:
        yield _TYPE, _VARINT, piece.type


def _fields(message: bytes) -> Iterator[Field]:
    """Yield the fields of a message; a negative number is unsigned, as in the file."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, wire, value
            continue
        if wire == _STRING:
            size, at = _varint(message, at)
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if wire == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {wire} is unknown")
        if at + size > len(message):
            raise ValueError("it ends in the middle of a field")
        yield number, wire, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the varint at a position, and the position after it."""
    value = shift = 0
    while at < len(message):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("it ends in the middle of a number")


def _join(fields: Iterable[Field]) -> bytes:
    """Return the message with these fields."""
    message = bytearray()
    for number, wire, value in fields:
        message += _number(number << 3 | wire)
        if isinstance(value, int):
            message += _number(value)
        else:
            message += _number(len(value)) * (wire == _STRING) + value
    return bytes(message)


def _number(value: int) -> bytes:
    """Return a varint: groups of 7 bits; a negative number is its 64-bit two's complement."""
    value &= (1 << 64) - 1
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*groups, value))
