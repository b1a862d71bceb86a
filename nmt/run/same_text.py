"""Checks that a resumed run trains on the text and the pieces that it started with."""

import zlib

import numpy as np

from nmt.checkpoint import Checkpoint
from nmt.data.encoded import EncodedCorpus
from nmt.data.prepared_corpus import PreparedCorpus
from nmt.errors import UserError
from nmt.run.folder import RunFolder
from nmt.text.tokenizer import TokenizerPair


def differing_tokenizer(one: TokenizerPair, other: TokenizerPair) -> str | None:
    """Return the first side, source or target, whose pieces differ; None: they are the same."""
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


def check_same_text(resumed: Checkpoint, corpus: PreparedCorpus, folder: RunFolder) -> None:
    """Refuse to resume on text that does not match a run's weights or its position in the data.

    Args:
        resumed: The checkpoint to resume from; an old one has no fingerprint.
        corpus: The text as it is now.
        folder: Of the run.

    Raises:
        UserError: The piece ids of the model mean other pieces now, or the training pairs differ.
    """
    side = differing_tokenizer(resumed.tokenizers, corpus.tokenizers)
    if side is not None:
        raise _changed(folder, f"its tokenizer has different pieces on the {side} side")
    before = (resumed.training or {}).get("progress", {}).get("text", "")
    if before not in ("", now := fingerprint(corpus.train)):
        pairs_before, pairs_now = before.split(",")[0], now.split(",")[0]
        same = pairs_before == pairs_now
        what = "pairs of different lengths" if same else f"{pairs_now}, not {pairs_before}"
        raise _changed(folder, f"it has {what}")


def _changed(folder: RunFolder, how: str) -> UserError:
    return UserError(
        f"the text has changed since {folder.path} began training: {how}; restore the text, or "
        "choose another run.dir"
    )
