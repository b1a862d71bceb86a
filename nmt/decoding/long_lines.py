"""Cuts lines that are longer than training sentences: a model would omit a part of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from nmt.config.schema import Config
from nmt.decoding.line_lengths import LongLines
from nmt.errors import UserError
from nmt.text.sentence_parts import split_text
from nmt.text.tokenizer import Tokenizer

MOST_PIECES = 10_000
"""The greatest number of pieces of a sentence. The memory of attention grows with its square."""


def check_max_length(pieces: int) -> None:
    """Check ``--max-length``.

    Raises:
        UserError: The number is out of range.
    """
    if not 1 <= pieces <= MOST_PIECES:
        raise UserError(f"--max-length is {pieces}; it must be from 1 to {MOST_PIECES:,}")


@dataclass(frozen=True)
class SentenceCutter:
    """Cuts sentences that are too long for a model into parts, or refuses them.

    Attributes:
        tokenizer: The source tokenizer.
        long_lines: One of `LongLines`.
        max_length: The greatest number of pieces of a sentence that is not cut.
    """

    tokenizer: Tokenizer
    long_lines: str
    max_length: int

    def __post_init__(self) -> None:
        """Check the choice and the limit.

        Raises:
            UserError: The choice is unknown, or the limit is out of range.
        """
        if self.long_lines not in list(LongLines):
            raise UserError(
                f"long_lines is {self.long_lines!r}; choose from {', '.join(LongLines)}"
            )
        if not 1 <= self.max_length <= MOST_PIECES:
            raise UserError(
                f"max_length is {self.max_length}; it must be from 1 to {MOST_PIECES:,}"
            )

    def cut(self, sentences: Sequence[str], uncut: Collection[int] = ()) -> list[list[str]]:
        """Return the parts of each sentence, at least one.

        Args:
            sentences: Any number of sentences.
            uncut: The indices of sentences that are not cut.

        Raises:
            UserError: A sentence is too long.
        """
        lengths = source_lengths(self.tokenizer, sentences)
        return [
            self._parts(index, *one, whole=index in uncut or self.long_lines == LongLines.WHOLE)
            for index, one in enumerate(zip(sentences, lengths, strict=True))
        ]

    def _parts(self, index: int, sentence: str, length: int, *, whole: bool) -> list[str]:
        limit = MOST_PIECES if whole else self.max_length
        if length <= limit:
            return [sentence]
        if not whole and self.long_lines == LongLines.SPLIT:
            return split_line(self.tokenizer, sentence, limit)
        raise UserError(
            f"sentence {index + 1:,} has {length:,} pieces, more than "
            f"{'' if whole else 'max_length='}{limit:,}: cut it, or set long_lines='split'"
        )


def trained_pieces(config: Config) -> int:
    """Return the greatest number of pieces of a source sentence in training."""
    attention = getattr(config.model.decoder, "attention", None)
    positions = getattr(attention, "max_source_length", None)  # one position is for EOS
    longest = [config.data.max_length, MOST_PIECES]
    return min(longest if positions is None else [*longest, max(1, positions - 1)])


def source_lengths(tokenizer: Tokenizer, lines: Sequence[str]) -> list[int]:
    """Return the number of pieces of each line."""
    return [len(ids) for ids in tokenizer.encode_all(lines)]


def split_line(tokenizer: Tokenizer, line: str, limit: int) -> list[str]:
    """Cut a line into parts of at most ``limit`` pieces; see `split_text`.

    Every part begins with the tags of the line.
    """
    tags, text = tokenizer.split_tags(line)
    room = max(1, limit - source_lengths(tokenizer, [tags])[0]) if tags else limit
    parts = split_text(text, room, lambda texts: source_lengths(tokenizer, texts))
    return [tags + part for part in parts] or [line]
