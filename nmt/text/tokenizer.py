"""SentencePiece subword tokenization (Kudo & Richardson 2018): train, encode, decode."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import sentencepiece

from nmt.config.data import TokenizerConfig
from nmt.errors import UserError
from nmt.text.model_file import ModelFile, kind_and_symbols
from nmt.text.special_tokens import BOS, EOS, PAD, UNK, WORD_START
from nmt.text.symbols import Symbols
from nmt.text.train_model import given_model, train_model


class Tokenizer:
    """One language's pieces."""

    def __init__(self, model: bytes) -> None:
        """Load a serialized SentencePiece model.

        Raises:
            UserError: The bytes are no SentencePiece model, or its special ids are not nmt's.
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
        self.kind, symbols = kind_and_symbols(model)
        self._symbols = Symbols(symbols)
        self._user_defined = frozenset(symbols.values())
        self._veiled = _load(_veil(model, self._symbols)) if self._must_veil else self._processor

    @property
    def _must_veil(self) -> bool:
        """Whether symbols are hidden behind single characters while SentencePiece cuts.

        The unigram model takes the likeliest cut, which may go through a symbol: pieces that hold
        half of it each can be likelier than the symbol and its neighbours. It never cuts through a
        character. The other models cut at symbols first.
        """
        return bool(self._symbols) and self.kind == "unigram"

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
        """Return the piece ids of a sentence, without BOS or EOS.

        Symbols at the very beginning, with spaces between them, are tags: their ids come first, and
        then those of the rest as if it stood alone.
        """
        tags, text = self._symbols.split_tags(sentence)
        return tags + self._cut(text)

    def encode_all(self, sentences: Sequence[str], num_threads: int = 1) -> list[list[int]]:
        """Return the piece ids of many sentences."""
        tags, texts = self._prepare(sentences)
        encoded = list(self._veiled.encode(texts, num_threads=num_threads))
        for index, ids in tags.items():
            encoded[index] = ids + encoded[index]
        return encoded

    def encode_flat(
        self, sentences: Sequence[str], num_threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return the piece ids of many sentences in one row, and how many each sentence has."""
        encoded = self.encode_all(sentences, num_threads)
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        ids = np.fromiter(chain.from_iterable(encoded), np.int32, int(lengths.sum()))
        return ids, lengths

    def _prepare(self, sentences: Sequence[str]) -> tuple[dict[int, list[int]], list[str]]:
        """Return the tags of the sentences that have some, and what SentencePiece is to cut."""
        texts, tags = list(sentences), {}
        if self._symbols:
            for index, sentence in enumerate(texts):
                ids, text = self._symbols.split_tags(sentence)
                texts[index] = self._symbols.veil(text) if self._must_veil else text
                if ids:
                    tags[index] = ids
        return tags, texts

    def _cut(self, text: str) -> list[int]:
        """Return the piece ids of text without tags."""
        return list(self._veiled.encode(self._symbols.veil(text) if self._must_veil else text))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the detokenized text of piece ids, one line; special tokens vanish.

        No line of text has a line feed, but a model may spell one in bytes: it becomes a space.
        """
        specials = (PAD, BOS, EOS)
        wanted = [int(i) for i in ids if i not in specials]
        tags = self._symbols.leading(wanted)
        text = str(self._processor.decode(wanted[len(tags) :])).replace("\n", " ")
        return " ".join([*tags, text] if text else tags)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the surface of each id, ``▁`` marking the beginning of a word."""
        return [self._processor.id_to_piece(int(i)) for i in ids]

    def scores(self) -> list[float]:
        """Return the score of each piece: its log-probability, or its merge's rank below 0."""
        return [self._processor.get_score(i) for i in range(len(self))]

    def is_plain(self, piece: int) -> bool:
        """Whether a piece stands for its surface and may be cut: no symbol, byte or special."""
        asked = (self._processor.is_unknown, self._processor.is_control, self._processor.is_byte)
        unused = self._processor.is_unused(piece)
        return not unused and not any(of(piece) for of in asked) and piece not in self._user_defined

    def encode_words(self, sentence: str) -> tuple[list[int], list[int]]:
        """Return the piece ids of a sentence, and for each the number of its word, from 0.

        Words are what stands between spaces of the sentence as given, as in Pharaoh alignments; one
        whose every character the normalisation drops has no piece.
        """
        tags, text = self._symbols.split_tags(sentence)
        ids, numbers = self._cut_words(text)
        behind = len(tags)
        return tags + ids, [*range(behind), *(behind + number for number in numbers)]

    def _cut_words(self, text: str) -> tuple[list[int], list[int]]:
        ids = self._cut(text)
        groups = word_groups(self.pieces(ids))
        words = split_words(text)
        plain = text.isprintable() and WORD_START not in text
        if plain and groups and groups[-1] + 1 == len(words):
            return ids, groups
        # The normalisation may make several words of one, or none: ask what becomes of each.
        parts = [_count_groups(self.pieces(self._cut(word))) for word in words]
        owners = [number for number, count in enumerate(parts) for _ in range(count)]
        last = len(words) - 1
        return ids, [owners[group] if group < len(owners) else last for group in groups]


def _load(model: bytes) -> sentencepiece.SentencePieceProcessor:
    try:
        return sentencepiece.SentencePieceProcessor(model_proto=model)
    except (RuntimeError, OSError, TypeError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"the tokenizer is not a SentencePiece model: {reason}") from error


def _veil(model: bytes, symbols: Symbols) -> bytes:
    """Return the model with one character for every symbol."""
    veils = {place: symbols.veils[symbol] for symbol, place in symbols.ids.items()}
    return ModelFile.parse(model).rename(veils).to_bytes()


def split_words(sentence: str) -> list[str]:
    """Return what stands between spaces."""
    return [word for word in sentence.split(" ") if word]


def word_groups(pieces: Sequence[str]) -> list[int]:
    """Number the words that pieces belong to, from 0: a word begins with ``▁``.

    A ``▁`` alone belongs to the word behind it, however many there are.
    """
    groups: list[int] = []
    spelled = False  # whether the word under way has a character yet
    for piece in pieces:
        begins = spelled and piece.startswith(WORD_START)
        groups.append(groups[-1] + begins if groups else 0)
        spelled = (spelled and not begins) or piece != WORD_START
    return groups


def _count_groups(pieces: Sequence[str]) -> int:
    return word_groups(pieces)[-1] + 1 if pieces else 0


@dataclass(frozen=True)
class TokenizerPair:
    """The tokenizers of both sides; one object twice where the vocabulary is joint."""

    source: Tokenizer
    target: Tokenizer

    @property
    def joint(self) -> bool:
        """Whether both sides share one vocabulary."""
        return self.source is self.target

    @classmethod
    def from_bytes(cls, source: bytes, target: bytes) -> "TokenizerPair":
        """Load both sides; equal bytes make a joint pair."""
        first = Tokenizer(source)
        return cls(first, first if source == target else Tokenizer(target))


def train_tokenizers(
    config: TokenizerConfig, source: Iterable[str], target: Iterable[str]
) -> TokenizerPair:
    """Train SentencePiece on the training side of a corpus, or take the models that are given.

    Raises:
        UserError: The text cannot give as many pieces as ``tokenizer.vocab_size`` asks for, or a
            given model cannot be read.
    """
    if config.joint:
        both = _of_text(config, config.model, (source, target), "the corpus")
        return TokenizerPair(both, both)
    return TokenizerPair(
        _of_text(config, config.model, (source,), "the source side"),
        _of_text(config, config.target_model, (target,), "the target side"),
    )


def _of_text(
    config: TokenizerConfig, given: str | None, sides: Sequence[Iterable[str]], what: str
) -> Tokenizer:
    if given is not None:
        tokenizer = Tokenizer(given_model(given, config.symbols))
        if config.sampling and tokenizer.kind in ("char", "word"):
            raise UserError(
                f"tokenizer.sampling={config.sampling} needs several ways to cut a word, but "
                f"{given} is of kind {tokenizer.kind}: set it to 0"
            )
        return tokenizer
    kept = [side if isinstance(side, Collection) else list(side) for side in sides]
    return Tokenizer(train_model(config, kept, what))
