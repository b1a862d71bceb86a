"""SentencePiece subword tokenization (Kudo & Richardson 2018): train, encode, decode."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import sentencepiece

from nmt.config.tokenizer_settings import TokenizerConfig, TokenizerKind
from nmt.errors import UserError
from nmt.text.model_file import ModelFile, kind_and_symbols
from nmt.text.special_tokens import BOS, EOS, PAD, SENTENCE_BREAK, UNK, WORD_START
from nmt.text.symbols import Symbols


class Tokenizer:
    """Segments sentences of one language, or of both, into pieces.

    Attributes:
        kind: The algorithm: ``unigram``, ``bpe``, ``word`` or ``char``.
    """

    def __init__(self, model: bytes) -> None:
        """Load a serialized SentencePiece model.

        Raises:
            UserError: The bytes are not a SentencePiece model, or have other special ids.
        """
        self._processor = _load(model)
        found = tuple(
            getattr(self._processor, f"{name}_id")() for name in ("pad", "unk", "bos", "eos")
        )
        if found != (PAD, UNK, BOS, EOS):
            raise UserError(
                f"the tokenizer's pad, unk, bos, eos ids are {found}, not {(PAD, UNK, BOS, EOS)}; "
                "train it with nmt, or give it as tokenizer.model"
            )
        self._model = model
        try:
            self.kind, symbols = kind_and_symbols(model)
        except ValueError as error:
            raise UserError(f"the tokenizer is not a SentencePiece model: {error}") from error
        self._symbols = Symbols(symbols)
        self._user_defined = frozenset(symbols.values())
        self._hiding = (
            _load(_with_placeholders(model, self._symbols)) if self._must_hide else self._processor
        )

    @property
    def _must_hide(self) -> bool:
        """Whether symbols are replaced by placeholder characters while SentencePiece segments.

        The most probable segmentation of a unigram model may split a symbol, because two pieces
        that each contain a half of it can be more probable than the symbol and its neighbors. A
        placeholder is one character, so it is never split. The other models split at symbols
        first.
        """
        return bool(self._symbols) and self.kind == TokenizerKind.UNIGRAM

    def __reduce__(self) -> tuple[type["Tokenizer"], tuple[bytes]]:
        return Tokenizer, (self._model,)

    def to_bytes(self) -> bytes:
        """Return the serialized SentencePiece model."""
        return self._model

    def __len__(self) -> int:
        """Return the number of pieces, special tokens included."""
        return int(self._processor.get_piece_size())

    @property
    def symbols(self) -> Mapping[str, int]:
        """The ids of the symbols that are never split."""
        return self._symbols.ids

    def encode(self, sentence: str) -> list[int]:
        """Return the piece ids of a sentence, without BOS and EOS.

        Symbols at the beginning, separated by spaces, are tags. Their ids come first; the rest of
        the sentence is encoded separately. If `SENTENCE_BREAK` is a symbol, the sentences between
        these symbols are encoded separately, too.
        """
        tags, text = self._symbols.split_tags(sentence)
        return tags + self._joined([self._encode_text(part) for part in self._parts(text)])

    def encode_all(self, sentences: Sequence[str], num_threads: int = 1) -> list[list[int]]:
        """Return the piece ids of many sentences, as `encode` returns those of one."""
        parts = [self._parts(sentence) for sentence in sentences]
        if len(parts) == sum(map(len, parts)):
            return self._encode_each(sentences, num_threads)
        encoded = iter(self._encode_each(list(chain.from_iterable(parts)), num_threads))
        return [self._joined([next(encoded) for _ in some]) for some in parts]

    def _parts(self, text: str) -> list[str]:
        """Return the sentences of a text between separators."""
        return text.split(SENTENCE_BREAK) if SENTENCE_BREAK in self.symbols else [text]

    def _joined(self, parts: Sequence[list[int]]) -> list[int]:
        """Return the ids of sentences with separators between them."""
        ids = list(parts[0])
        for part in parts[1:]:
            ids += [self.symbols[SENTENCE_BREAK], *part]
        return ids

    def _encode_each(self, sentences: Sequence[str], num_threads: int) -> list[list[int]]:
        tags, texts = self._prepare(sentences)
        encoded = list(self._hiding.encode(texts, num_threads=num_threads))
        for index, ids in tags.items():
            encoded[index] = ids + encoded[index]
        return encoded

    def encode_flat(
        self, sentences: Sequence[str], num_threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return the piece ids of many sentences, [pieces], and the length of each, [sentences]."""
        encoded = self.encode_all(sentences, num_threads)
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        ids = np.fromiter(chain.from_iterable(encoded), np.int32, int(lengths.sum()))
        return ids, lengths

    def split_tags(self, sentence: str) -> tuple[str, str]:
        """Return the symbols at the beginning of a sentence, with their spaces, and the rest."""
        _, rest = self._symbols.split_tags(sentence)
        return sentence[: len(sentence) - len(rest)], rest

    def leading_tags(self, ids: Sequence[int]) -> int:
        """Return the number of tags at the beginning of ids."""
        return len(self._symbols.leading(ids))

    def _prepare(self, sentences: Sequence[str]) -> tuple[dict[int, list[int]], list[str]]:
        """Return the ids of tags by index of the sentence, and the texts for SentencePiece."""
        texts, tags = list(sentences), {}
        if self._symbols:
            for index, sentence in enumerate(texts):
                ids, text = self._symbols.split_tags(sentence)
                texts[index] = self._symbols.hide(text) if self._must_hide else text
                if ids:
                    tags[index] = ids
        return tags, texts

    def _encode_text(self, text: str) -> list[int]:
        """Return the piece ids of text without tags."""
        return list(self._hiding.encode(self._symbols.hide(text) if self._must_hide else text))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the detokenized text of piece ids as one line, without special tokens.

        A model may generate a line feed as a byte; it becomes a space.
        """
        specials = (PAD, BOS, EOS)
        wanted = [int(i) for i in ids if i not in specials]
        tags = self._symbols.leading(wanted)
        text = str(self._processor.decode(wanted[len(tags) :])).replace("\n", " ")
        return " ".join([*tags, text] if text else tags)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the surface of each id; ``▁`` marks the beginning of a word."""
        return [self._processor.id_to_piece(int(i)) for i in ids]

    def scores(self) -> list[float]:
        """Return the score of each piece: log probability (unigram), negative merge rank (bpe)."""
        return [self._processor.get_score(i) for i in range(len(self))]

    def is_plain(self, piece: int) -> bool:
        """Return whether a piece is plain text: not a symbol, byte, unused or special piece."""
        processor = self._processor
        tests = (processor.is_unused, processor.is_unknown, processor.is_control, processor.is_byte)
        return not any(test(piece) for test in tests) and piece not in self._user_defined

    def encode_words(self, sentence: str) -> tuple[list[int], list[int]]:
        """Return the piece ids of a sentence, and the index of each piece's word, from 0.

        White space in the sentence separates words, as in Pharaoh alignments. If the normalization
        removes all characters of a word, the word has no piece.
        """
        tags, text = self._symbols.split_tags(sentence)
        ids, numbers = list(tags), list(range(len(tags)))
        words = len(tags)
        for index, part in enumerate(self._parts(text)):
            if index:  # the separator is a word
                ids.append(self.symbols[SENTENCE_BREAK])
                numbers.append(words)
                words += 1
            mine, of_part = self._encode_text_words(part)
            ids += mine
            numbers += [words + number for number in of_part]
            words += len(split_words(part))
        return ids, numbers

    def _encode_text_words(self, text: str) -> tuple[list[int], list[int]]:
        ids = self._encode_text(text)
        pieces = self.pieces(ids)
        groups = word_groups(pieces)
        words = [word for word in text.split(" ") if word]
        plain = text.isprintable() and WORD_START not in text
        if plain and groups and groups[-1] + 1 == len(words):
            return ids, groups
        # The normalization may turn a word into several, or remove it: encode each word alone.
        parts = [_count_groups(self.pieces(self._encode_text(word))) for word in words]
        owners = [number for number, count in enumerate(parts) for _ in range(count)]
        last = len(words) - 1
        numbers = [owners[group] if group < len(owners) else last for group in groups]
        return ids, self._split_further(ids, numbers, [split_words(word) for word in words])

    def _split_further(
        self, ids: Sequence[int], numbers: Sequence[int], parts: Sequence[Sequence[str]]
    ) -> list[int]:
        """Return the word of each piece where other white space than spaces separates words.

        Args:
            ids: The pieces of a sentence.
            numbers: The index of each piece's part; spaces separate the parts of the sentence.
            parts: The words of each part; none if it is only white space.
        """
        if all(len(words) == 1 for words in parts):
            return list(numbers)
        found: list[int] = []
        first = 0  # number of the first word of the part
        for number, words in enumerate(parts):
            mine = [i for i, part in zip(ids, numbers, strict=True) if part == number]
            ends = np.cumsum([self._spelled(self._encode_text(word)) for word in words])
            for index in range(len(mine)):
                before = self._spelled(mine[:index])
                inside = int(np.searchsorted(ends, before, side="right"))
                found.append(max(0, first + min(inside, len(words) - 1)))
            first += len(words)
        return found

    def _spelled(self, ids: Sequence[int]) -> int:
        """Return the number of UTF-8 bytes of the text of pieces, without white space."""
        raw = b"".join(
            bytes([int(piece[3:5], 16)])
            if self._processor.is_byte(int(i))
            else piece.replace(WORD_START, " ").encode()
            for i, piece in zip(ids, self.pieces(ids), strict=True)
        )
        whole = raw.decode("utf-8", errors="ignore")
        incomplete = len(raw) - len(whole.encode())
        return len("".join(whole.split()).encode()) + incomplete


def _load(model: bytes) -> sentencepiece.SentencePieceProcessor:
    try:
        return sentencepiece.SentencePieceProcessor(model_proto=model)
    except (RuntimeError, OSError, TypeError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"the tokenizer is not a SentencePiece model: {reason}") from error


def _with_placeholders(model: bytes, symbols: Symbols) -> bytes:
    """Return the model with a placeholder character for each symbol."""
    surfaces = {piece: symbols.placeholders[symbol] for symbol, piece in symbols.ids.items()}
    return ModelFile.parse(model).rename(surfaces).to_bytes()


def split_words(sentence: str) -> list[str]:
    """Return the words of a sentence, which are separated by white space of any kind."""
    return sentence.split()


def word_groups(pieces: Sequence[str]) -> list[int]:
    """Return the index of each piece's word, from 0; a word starts with ``▁``.

    A single ``▁`` piece belongs to the next word. `SENTENCE_BREAK` is a word.
    """
    groups: list[int] = []
    has_text = False  # whether the current word has a character yet
    for piece in pieces:
        begins = has_text and (piece.startswith(WORD_START) or piece == SENTENCE_BREAK)
        groups.append(groups[-1] + begins if groups else 0)
        has_text = (has_text and not begins) or piece != WORD_START
    return groups


def _count_groups(pieces: Sequence[str]) -> int:
    return word_groups(pieces)[-1] + 1 if pieces else 0


@dataclass(frozen=True)
class TokenizerPair:
    """The tokenizers of both sides; one object if they share a joint vocabulary."""

    source: Tokenizer
    target: Tokenizer

    @property
    def joint(self) -> bool:
        """Whether both sides share one vocabulary."""
        return self.source is self.target

    @classmethod
    def from_bytes(cls, source: bytes, target: bytes) -> "TokenizerPair":
        """Load both sides; if their bytes are equal, the vocabulary is joint.

        Raises:
            UserError: A model is not a tokenizer of nmt.
        """
        first = Tokenizer(source)
        return cls(first, first if source == target else Tokenizer(target))


def train_tokenizers(
    config: TokenizerConfig,
    source: Iterable[str],
    target: Iterable[str],
    waiting: Callable[[], None] = lambda: None,
) -> TokenizerPair:
    """Train SentencePiece on training text, or load the models that the settings name.

    Args:
        config: The settings of the tokenizers.
        source: Sentences of the source side.
        target: Sentences of the target side.
        waiting: Called 5 times per second if training takes long. If it raises, training stops.

    Raises:
        UserError: The text has too few pieces for ``tokenizer.vocab_size``, or a given model cannot
            be read.
    """
    if config.joint:
        both = _train_or_load(config, config.model, (source, target), "the corpus", waiting)
        return TokenizerPair(both, both)
    return TokenizerPair(
        _train_or_load(config, config.model, (source,), "the source side", waiting),
        _train_or_load(config, config.target_model, (target,), "the target side", waiting),
    )


def _train_or_load(
    config: TokenizerConfig,
    given: str | None,
    sides: Sequence[Iterable[str]],
    what: str,
    waiting: Callable[[], None],
) -> Tokenizer:
    from nmt.text.train_model import given_model, train_model  # few commands train

    if given is not None:
        tokenizer = Tokenizer(given_model(given, config.symbols))
        if config.sampling and tokenizer.kind in (TokenizerKind.CHAR, TokenizerKind.WORD):
            raise UserError(
                f"tokenizer.sampling={config.sampling} needs several segmentations of a word, but "
                f"{given} is of kind {tokenizer.kind}: set it to 0"
            )
        return tokenizer
    kept = [side if isinstance(side, Collection) else list(side) for side in sides]
    return Tokenizer(train_model(config, kept, what, waiting))
