"""What a tokenizer's settings must keep to."""

from collections.abc import Iterator

from nmt.config.data import TokenizerConfig
from nmt.config.ranges import Fault, at_least, not_negative, one_of

_SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")
_BYTES = {f"<0x{byte:02X}>" for byte in range(256)}
_WORD_START = "\u2581"  # SentencePiece's mark of a space


def check_tokenizer(tokenizer: TokenizerConfig, *, guided_alignment: bool) -> Iterator[Fault]:
    """Yield the faults of the tokenizer's settings; links are of words as they are cut at best."""
    yield from one_of("tokenizer.name", tokenizer.name, "unigram", "bpe", "char", "word")
    yield from at_least("tokenizer.vocab_size", tokenizer.vocab_size, 8)
    yield from at_least("tokenizer.sample_size", tokenizer.sample_size, 1)
    if not 0.98 <= tokenizer.character_coverage <= 1.0:  # SentencePiece's own bounds
        yield f"tokenizer.character_coverage is {tokenizer.character_coverage}, not in [0.98, 1]"
    rules = ("nmt_nfkc", "nfkc", "identity")
    yield from one_of("tokenizer.normalization", tokenizer.normalization, *rules)
    if tokenizer.name == "word" and tokenizer.byte_fallback:
        yield (
            "tokenizer.byte_fallback=true spells unseen words with the spaces before them, which "
            "then stay in the text as \u2581: set it to false with tokenizer=word"
        )
    if tokenizer.joint and tokenizer.target_model is not None:
        yield (
            f"tokenizer.target_model is {tokenizer.target_model}, but tokenizer.joint=true has one "
            "model for both sides: set tokenizer.joint=false"
        )
    yield from _symbols(tokenizer.symbols)
    yield from _sampling(tokenizer, guided_alignment)


def _symbols(symbols: list[str]) -> Iterator[Fault]:
    for symbol in sorted({symbol for symbol in symbols if symbols.count(symbol) > 1}):
        yield f"tokenizer.symbols has {symbol!r} twice"
    for symbol in symbols:
        if not symbol:
            yield "tokenizer.symbols has an empty one"
        elif symbol in _SPECIALS or symbol in _BYTES:
            yield f"tokenizer.symbols has {symbol!r}, which is a piece already"
        elif not symbol.isprintable() or " " in symbol or _WORD_START in symbol:
            yield f"tokenizer.symbols has {symbol!r}: a symbol has no spaces or control characters"


def _sampling(tokenizer: TokenizerConfig, guided_alignment: bool) -> Iterator[Fault]:
    sampling = tokenizer.sampling
    yield from not_negative("tokenizer.sampling", sampling)
    if tokenizer.name == "bpe" and sampling > 1:
        yield f"tokenizer.sampling is {sampling}; the share of merges to drop is in [0, 1]"
    if sampling and tokenizer.name in ("char", "word"):
        yield (
            f"tokenizer.sampling is {sampling}, but tokenizer={tokenizer.name} cuts in one way "
            "only: set it to 0"
        )
    if sampling and guided_alignment:
        yield (
            f"tokenizer.sampling is {sampling}, but training.guided_alignment has links between "
            "the pieces of the best cut: set one of the two to 0"
        )
