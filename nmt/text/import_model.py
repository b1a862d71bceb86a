"""Imports any SentencePiece model: sets the special ids of nmt, and adds missing symbols."""

from collections.abc import Sequence
from dataclasses import replace

from nmt.config.tokenizer_settings import SPECIAL_PIECES, TokenizerKind
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

_SPECIALS = (  # id, field numbers of the trainer's settings for id and name
    (PAD, 43, 48),
    (UNK, 40, 45),
    (BOS, 41, 46),
    (EOS, 42, 47),
)
_VOCABULARY_SIZE = 4  # field number of the trainer's settings


def import_model(model: bytes, symbols: Sequence[str] = ()) -> bytes:
    """Return the model with the ids 0 to 3 for the pieces of `special_tokens`.

    All other pieces keep their order, scores and types, so text is segmented as before. Missing
    special pieces are added. Missing symbols become user-defined pieces at the end.

    Raises:
        UserError: The bytes are not a SentencePiece model, or the model cannot be used here.
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
            "beginnings: train it without that option"
        )
    _order_specials(parts)
    _add_symbols(parts, symbols)
    parts.set(_VOCABULARY_SIZE, len(parts.pieces))
    return parts.to_bytes()


def _order_specials(parts: ModelFile) -> None:
    specials = []
    for special, _, name_setting in _SPECIALS:
        usual_name = SPECIAL_PIECES[special]
        piece_type = UNKNOWN if special == UNK else CONTROL
        name = parts.text(name_setting, usual_name) or usual_name
        found = [p for p in parts.pieces if p.surface == name or piece_type == UNKNOWN == p.type]
        specials.append(
            replace(found[0], type=piece_type) if found else Piece(name, type=piece_type)
        )
    taken = {piece.surface for piece in specials}
    others = [piece for piece in parts.pieces if piece.surface not in taken]
    parts.pieces = [*specials, *others]
    for piece, (special, id_setting, name_setting) in zip(specials, _SPECIALS, strict=True):
        parts.set(id_setting, special)
        parts.set(name_setting, piece.surface)


def _add_symbols(parts: ModelFile, symbols: Sequence[str]) -> None:
    ids = {piece.surface: index for index, piece in enumerate(parts.pieces)}
    spelled = list(symbols)
    if parts.kind == TokenizerKind.WORD:  # pieces of words start with the mark
        spelled += [WORD_START + symbol for symbol in symbols]
    for symbol in spelled:
        index = ids.get(symbol)
        if index is None:
            parts.pieces.append(Piece(symbol, type=USER_DEFINED))
        elif parts.pieces[index].type in (UNKNOWN, CONTROL, BYTE):
            raise UserError(f"{symbol!r} already has a special meaning in the tokenizer: rename it")
        else:
            parts.pieces[index] = Piece(symbol, type=USER_DEFINED)
