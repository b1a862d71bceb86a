"""Checks combinations of the settings of the tokenizer, and its symbols."""

from collections.abc import Iterator

from nmt.config.tokenizer_settings import SPECIAL_PIECES, TokenizerConfig, TokenizerKind

_BYTES = {f"<0x{byte:02X}>" for byte in range(256)}
_WORD_START = "\u2581"  # SentencePiece's mark of a space


def check_tokenizer(tokenizer: TokenizerConfig, *, guided_alignment: bool) -> Iterator[str]:
    """Yield a message for each impossible combination.

    Args:
        tokenizer: The settings.
        guided_alignment: Whether word links are used in training. They refer to the pieces of the
            most probable segmentation.
    """
    if tokenizer.name == TokenizerKind.WORD and tokenizer.byte_fallback:
        yield (
            "tokenizer.byte_fallback=true encodes unseen words with the spaces before them, which "
            "then stay in the text as \u2581: set tokenizer.byte_fallback=false with tokenizer=word"
        )
    if tokenizer.joint and tokenizer.target_model is not None:
        yield (
            f"tokenizer.target_model is {tokenizer.target_model}, but tokenizer.joint=true has one "
            "model for both sides: set tokenizer.joint=false"
        )
    yield from _symbols(tokenizer.symbols)
    yield from _sampling(tokenizer, guided_alignment)


def _symbols(symbols: list[str]) -> Iterator[str]:
    for symbol in sorted({symbol for symbol in symbols if symbols.count(symbol) > 1}):
        yield f"tokenizer.symbols has {symbol!r} twice; remove one"
    for symbol in symbols:
        if not symbol:
            yield "tokenizer.symbols has an empty symbol; remove it"
        elif symbol in SPECIAL_PIECES or symbol in _BYTES:
            yield f"tokenizer.symbols has {symbol!r}, which is a piece already; remove it"
        elif not symbol.isprintable() or " " in symbol or _WORD_START in symbol:
            yield f"tokenizer.symbols has {symbol!r}: a symbol has no spaces or control characters"


def _sampling(tokenizer: TokenizerConfig, guided_alignment: bool) -> Iterator[str]:
    sampling = tokenizer.sampling
    if tokenizer.name == TokenizerKind.BPE and sampling > 1:
        yield f"tokenizer.sampling is {sampling}; the share of dropped merges must be in [0, 1]"
    if sampling and tokenizer.name in (TokenizerKind.CHAR, TokenizerKind.WORD):
        yield (
            f"tokenizer.sampling is {sampling}, but tokenizer={tokenizer.name} has one "
            "segmentation only: set tokenizer.sampling=0"
        )
    if sampling and guided_alignment:
        yield (
            f"tokenizer.sampling is {sampling}, but training.guided_alignment has links between "
            "the pieces of the most probable segmentation: set one of the two to 0"
        )
