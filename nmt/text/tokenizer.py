"""SentencePiece subword tokenization (Kudo & Richardson 2018): train, encode, decode."""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sentencepiece

from nmt.config.data import TokenizerConfig
from nmt.errors import UserError
from nmt.text.special_tokens import BOS, EOS, PAD, UNK, WORD_START


class Tokenizer:
    """One language's pieces."""

    def __init__(self, model: bytes) -> None:
        """Load a serialized SentencePiece model.

        Raises:
            UserError: The bytes are no SentencePiece model, or its special ids are not nmt's.
        """
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except (RuntimeError, OSError, TypeError) as error:
            reason = str(error).split("\n")[0]
            raise UserError(f"the tokenizer is not a SentencePiece model: {reason}") from error
        found = tuple(
            getattr(self._processor, f"{name}_id")() for name in ("pad", "unk", "bos", "eos")
        )
        if found != (PAD, UNK, BOS, EOS):
            raise UserError(
                f"the tokenizer's pad, unk, bos, eos ids are {found}, not {(PAD, UNK, BOS, EOS)}; "
                "train it with nmt, or with these ids"
            )
        self._model = model

    def to_bytes(self) -> bytes:
        """Return the serialized SentencePiece model."""
        return self._model

    def __len__(self) -> int:
        """Return the number of pieces, special tokens included."""
        return int(self._processor.get_piece_size())

    def encode(self, sentence: str) -> list[int]:
        """Return the piece ids of a sentence, without BOS or EOS."""
        return list(self._processor.encode(sentence))

    def encode_all(self, sentences: Sequence[str]) -> list[list[int]]:
        """Return the piece ids of many sentences."""
        return list(self._processor.encode(list(sentences)))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the detokenized text of piece ids, one line; special tokens vanish.

        No line of text has a line feed, but a model may spell one in bytes: it becomes a space.
        """
        specials = (PAD, BOS, EOS)
        text = str(self._processor.decode([int(i) for i in ids if i not in specials]))
        return text.replace("\n", " ")

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the surface of each id, ``▁`` marking the beginning of a word."""
        return [self._processor.id_to_piece(int(i)) for i in ids]

    def encode_words(self, sentence: str) -> tuple[list[int], list[int]]:
        """Return the piece ids of a sentence, and for each the number of its word, from 0.

        Words are what stands between spaces of the sentence as given, as in Pharaoh alignments; one
        whose every character the normalisation drops has no piece.
        """
        ids = self.encode(sentence)
        groups = word_groups(self.pieces(ids))
        words = split_words(sentence)
        plain = sentence.isprintable() and WORD_START not in sentence
        if plain and groups and groups[-1] + 1 == len(words):
            return ids, groups
        # The normalisation may make several words of one, or none: ask what becomes of each.
        parts = [_count_groups(self.pieces(self.encode(word))) for word in words]
        owners = [number for number, count in enumerate(parts) for _ in range(count)]
        last = len(words) - 1
        return ids, [owners[group] if group < len(owners) else last for group in groups]


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
    """Train SentencePiece on the training side of a corpus.

    Raises:
        UserError: The text cannot give as many pieces as ``tokenizer.vocab_size`` asks for.
    """
    if config.joint:
        both = _train(config, _chain(source, target), "the corpus")
        return TokenizerPair(both, both)
    return TokenizerPair(
        _train(config, source, "the source side"), _train(config, target, "the target side")
    )


def _chain(*sides: Iterable[str]) -> Iterable[str]:
    for side in sides:
        yield from side


def _train(config: TokenizerConfig, sentences: Iterable[str], what: str) -> Tokenizer:
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            model_type=config.name,
            vocab_size=config.vocab_size,
            character_coverage=config.character_coverage,
            byte_fallback=config.byte_fallback,
            normalization_rule_name=config.normalization,
            pad_id=PAD,
            unk_id=UNK,
            bos_id=BOS,
            eos_id=EOS,
            max_sentence_length=1 << 16,
            num_threads=1,  # sums in one order: the same text gives the same model
            minloglevel=2,
        )
    except RuntimeError as error:
        raise _explain(error, config, what) from error
    return Tokenizer(model.getvalue())


def _explain(error: RuntimeError, config: TokenizerConfig, what: str) -> UserError:
    asked = f"tokenizer.vocab_size={config.vocab_size}"
    message = str(error)
    if limit := re.search(r"value <= (\d+)", message):
        return UserError(f"{asked} is more than {what} can give: set it to {limit[1]} or less")
    if need := re.search(r"smaller than required_chars\D*\d+ vs (\d+)", message):
        return UserError(
            f"{asked} is too small for the characters of {what}: set it to {need[1]} or more, "
            "or lower tokenizer.character_coverage"
        )
    return UserError(f"SentencePiece could not train on {what}: {' '.join(message.split())}")
