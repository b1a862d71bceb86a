"""Checks that a resumed run has the same text and the same pieces as at its start."""

import zlib
from typing import Any

import numpy as np

from nmt.checkpoint import Checkpoint
from nmt.data.encoded import EncodedCorpus
from nmt.data.preparation.prepared_corpus import PreparedCorpus
from nmt.errors import UserError
from nmt.run.folder import RunFolder
from nmt.text.tokenizer import TokenizerPair

_BLOCK = 1 << 22
_CHANGES = (
    "it has pairs of different lengths",
    "it has other words",
    "the validation or test text is different",
)
"""The change that each part of the fingerprint shows, after the number of pairs."""


def differing_tokenizer(one: TokenizerPair, other: TokenizerPair) -> str | None:
    """Return the first side, source or target, whose pieces differ; None: no side differs."""
    for side in ("source", "target"):
        pair = [getattr(tokenizers, side) for tokenizers in (one, other)]
        if pair[0].to_bytes() != pair[1].to_bytes():
            pieces = [tokenizer.pieces(range(len(tokenizer))) for tokenizer in pair]
            if pieces[0] != pieces[1]:
                return side
    return None


def fingerprint(train: EncodedCorpus) -> str:
    """Return a short fingerprint of training pairs: their number and a checksum of lengths."""
    checksum = 0
    for side in (train.source, train.target):
        checksum = zlib.crc32(np.ascontiguousarray(side.offsets).data, checksum)
    return f"{len(train):,} pairs, {checksum:08x}"


def text_fingerprint(corpus: PreparedCorpus) -> str:
    """Return `fingerprint` with checksums of the training pairs' content and of the other texts.

    The fingerprint does not depend on the names of files.
    """
    train = corpus.train
    arrays: list[Any] = [train.source.ids, train.target.ids]
    if train.links is not None:
        arrays += [train.links.links, train.links.offsets]
    content = 0
    for array in arrays:
        for start in range(0, len(array), _BLOCK):
            content = zlib.crc32(np.ascontiguousarray(array[start : start + _BLOCK]).data, content)
    if train.features is not None:
        content = zlib.crc32(train.features.fingerprint().encode(), content)
    held_out = 0
    for text in (corpus.text.valid, corpus.text.test):
        for line in () if text is None else (*text.source, "", *text.target, ""):
            held_out = zlib.crc32(f"{line}\n".encode(errors="surrogatepass"), held_out)
        if text is not None and text.features is not None:
            held_out = zlib.crc32(text.features.fingerprint().encode(), held_out)
    return f"{fingerprint(train)}, {content:08x}, {held_out:08x}"


def check_same_text(resumed: Checkpoint, corpus: PreparedCorpus, folder: RunFolder) -> None:
    """Refuse to resume on text that does not match a run's weights or its position in the data.

    Args:
        resumed: The checkpoint from which to resume; an old checkpoint has no fingerprint.
        corpus: The present text.
        folder: The run folder.

    Raises:
        UserError: The pieces of the tokenizers differ, or the training, validation or test text.
    """
    side = differing_tokenizer(resumed.tokenizers, corpus.tokenizers)
    if side is not None:
        raise _changed(folder, f"its tokenizer has different pieces on the {side} side")
    before = (resumed.training or {}).get("progress", {}).get("text", "")
    pairs = before.split(", "), text_fingerprint(corpus).split(", ")
    what = (f"it has {pairs[1][0]}, not {pairs[0][0]}", *_CHANGES)
    for then, now, change in zip(*pairs, what, strict=False):  # an old file has fewer parts
        if then not in ("", now):
            raise _changed(folder, change)


def _changed(folder: RunFolder, how: str) -> UserError:
    return UserError(
        f"the text has changed since {folder.path} began training: {how}; restore the text, or "
        "choose another run.dir"
    )
