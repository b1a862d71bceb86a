"""From text to piece ids, once: tokenizers and encoded training pairs, cached by content."""

import dataclasses
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nmt.config.data import DataConfig, TokenizerConfig
from nmt.data.corpus import Corpus, ParallelText, read_corpus
from nmt.data.encoded import (
    EncodedCorpus,
    LeftOut,
    PieceSequences,
    content_hash,
    keep_trainable,
)
from nmt.data.links import format_links
from nmt.data.piece_links import PieceLinks
from nmt.errors import UserError
from nmt.text.tokenizer import TokenizerPair, train_tokenizers

_FORMAT = "1"  # of the cache; a change makes new entries


@dataclass(frozen=True)
class PreparedCorpus:
    """Everything that training reads: text of every split, tokenizers, encoded training pairs."""

    text: Corpus
    tokenizers: TokenizerPair
    train: EncodedCorpus
    left_out: LeftOut
    from_cache: bool


def prepare(
    data: DataConfig, tokenizer: TokenizerConfig, *, with_links: bool = False
) -> PreparedCorpus:
    """Read and check the corpus, train the tokenizers on its training side, encode it.

    The result is kept under a hash of text and settings, so a second run, or a sweep, finds it.

    Args:
        data: Where the corpus is.
        tokenizer: How its words are cut.
        with_links: Whether the encoded training pairs have links, for guided alignment.

    Raises:
        UserError: The corpus is at fault, or nothing of it is left to train on.
    """
    corpus = read_corpus(data, with_training_links=with_links)
    if with_links and corpus.train.alignment is None:
        raise UserError(
            "guided alignment needs the word links of the training pairs: "
            "set data.alignments.train=FILE"
        )
    folder = _cache_directory(data) / _key(corpus.train, data, tokenizer)
    from_cache = folder.is_dir()
    if not from_cache:
        _build(folder, corpus.train, data, tokenizer)
    return _load(folder, corpus, from_cache)


def _cache_directory(data: DataConfig) -> Path:
    if data.cache_dir is not None:
        return Path(data.cache_dir)
    if "NMT_CACHE" in os.environ:
        return Path(os.environ["NMT_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nmt"


def _key(train: ParallelText, data: DataConfig, tokenizer: TokenizerConfig) -> str:
    settings = {"format": _FORMAT, "max_length": data.max_length, **dataclasses.asdict(tokenizer)}
    parts = [
        json.dumps(settings, sort_keys=True),
        "\n".join(train.source),
        "\n".join(train.target),
    ]
    if train.alignment is not None:
        parts.append("\n".join(format_links(links.sure) for links in train.alignment))
    return content_hash(parts)


def _build(folder: Path, train: ParallelText, data: DataConfig, tokenizer: TokenizerConfig) -> None:
    tokenizers = train_tokenizers(tokenizer, train.source, train.target)
    whole = EncodedCorpus.encode(tokenizers, train)
    if train.alignment is not None:
        whole = dataclasses.replace(whole, links=PieceLinks.of_text(tokenizers, train))
    encoded, left_out = keep_trainable(whole, data.max_length)
    if not len(encoded):
        raise UserError(
            f"no training pair is left: {left_out.blank:,} have a blank side, "
            f"{left_out.too_long:,} have more than data.max_length={data.max_length} pieces"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    except OSError as error:
        raise UserError(
            f"cannot write the cache {folder.parent}: {error.strerror}; set data.cache_dir=FOLDER"
        ) from error
    try:
        (partial / "source.model").write_bytes(tokenizers.source.to_bytes())
        (partial / "target.model").write_bytes(tokenizers.target.to_bytes())
        encoded.source.save(partial / "train.source")
        encoded.target.save(partial / "train.target")
        if encoded.links is not None:
            encoded.links.save(partial / "train")
        (partial / "left_out.json").write_text(json.dumps(dataclasses.asdict(left_out)))
        if not folder.is_dir():  # another run may have been faster; its work is the same
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _load(folder: Path, corpus: Corpus, from_cache: bool) -> PreparedCorpus:
    try:
        tokenizers = TokenizerPair.from_bytes(
            (folder / "source.model").read_bytes(), (folder / "target.model").read_bytes()
        )
        train = EncodedCorpus(
            PieceSequences.load(folder / "train.source"),
            PieceSequences.load(folder / "train.target"),
            None if corpus.train.alignment is None else PieceLinks.load(folder / "train"),
        )
        left_out = LeftOut(**json.loads((folder / "left_out.json").read_text()))
    except (OSError, ValueError, TypeError, EOFError, UserError) as error:
        raise UserError(f"the cache {folder} is damaged ({error}); delete that folder") from error
    return PreparedCorpus(corpus, tokenizers, train, left_out, from_cache)
