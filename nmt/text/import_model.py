"""Any SentencePiece model with nmt's special ids, and with symbols that it lacked."""

from collections.abc import Sequence
from dataclasses import replace

from nmt.errors import UserError
from nmt.text.model_file import (
    BYTE,
    CONTROL,
    UNKNOWN,
    USER_DEFINED,
    ModelFile,
    Piece,
)
from nmt.text.special_tokens import BOS, EOS, PAD, UNK, WORD_START

_SPECIALS = (  # id, the trainer's settings of id and name, the usual name
    (PAD, 43, 48, "<pad>"),
    (UNK, 40, 45, "<unk>"),
    (BOS, 41, 46, "<s>"),
    (EOS, 42, 47, "</s>"),
)
_VOCABULARY_SIZE = 4  # the trainer's setting


def adopt(model: bytes, symbols: Sequence[str] = ()) -> bytes:
    """Return the model with ids 0 to 3 for padding, unknown, beginning and end of sentence.

    All other pieces keep their order, scores and types, so text is cut as before; special pieces
    that the model has not are made. Symbols that it has not become user-defined pieces at the end.

    Raises:
        UserError: The bytes are no SentencePiece model, or not one that can be used here.
    """
    try:
        parts = ModelFile.parse(model)
    except ValueError as error:
        raise UserError(f"the tokenizer is not a SentencePiece model: {error}") from error
    if not parts.pieces:
        raise UserError("the tokenizer is not a SentencePiece model: it has no pieces")
    if parts.marks_word_ends:
        raise UserError(
            "the tokenizer marks the ends of words (treat_whitespace_as_suffix), not their "
            "beginnings: train it without"
        )
    _order_specials(parts)
    _add_symbols(parts, symbols)
    parts.set(_VOCABULARY_SIZE, len(parts.pieces))
    return parts.to_bytes()


def _order_specials(parts: ModelFile) -> None:
    specials = []
    for special, _, name_setting, usual_name in _SPECIALS:
        kind = UNKNOWN if special == UNK else CONTROL
        name = parts.text(name_setting, usual_name) or usual_name
        found = [p for p in parts.pieces if p.surface == name or kind == UNKNOWN == p.type]
        specials.append(replace(found[0], type=kind) if found else Piece(name, type=kind))
    taken = {piece.surface for piece in specials}
    others = [piece for piece in parts.pieces if piece.surface not in taken]
    parts.pieces = [*specials, *others]
    for piece, (special, id_setting, name_setting, _) in zip(specials, _SPECIALS, strict=True):
        parts.set(id_setting, special)
        parts.set(name_setting, piece.surface)


def _add_symbols(parts: ModelFile, symbols: Sequence[str]) -> None:
    places = {piece.surface: place for place, piece in enumerate(parts.pieces)}
    spelled = list(symbols)
    if parts.kind == "word":  # a word's piece begins with the mark
        spelled += [WORD_START + symbol for symbol in symbols]
    for symbol in spelled:
        place = places.get(symbol)
        if place is None:
            parts.pieces.append(Piece(symbol, type=USER_DEFINED))
        elif parts.pieces[place].type in (UNKNOWN, CONTROL, BYTE):
            raise UserError(f"{symbol!r} has a meaning of its own in the tokenizer: rename it")
        else:
            parts.pieces[place] = Piece(symbol, type=USER_DEFINED)
