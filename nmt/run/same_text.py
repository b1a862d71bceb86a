"""Whether a run goes on with the text that it began with."""

import zlib

import numpy as np

from nmt.checkpoint import Checkpoint
from nmt.data.encoded import EncodedCorpus
from nmt.data.prepared_corpus import PreparedCorpus
from nmt.errors import UserError
from nmt.run.folder import RunFolder


def fingerprint(train: EncodedCorpus) -> str:
    """Tell training pairs from others in a few words: how many, and a checksum of their lengths."""
    checksum = 0
    for side in (train.source, train.target):
        checksum = zlib.crc32(np.ascontiguousarray(side.offsets).data, checksum)
    return f"{len(train):,} pairs, {checksum:08x}"


def check_same_text(resumed: Checkpoint, corpus: PreparedCorpus, folder: RunFolder) -> None:
    """Refuse to go on with text of which a run's weights or its place in the data know nothing.

    Args:
        resumed: What the run goes on from; an old one does not tell the pairs.
        corpus: What there is to learn from now.
        folder: Of the run.

    Raises:
        UserError: The ids that the model has learned mean other pieces now, or there are other
            training pairs.
    """
    for side in ("source", "target"):
        before, now = getattr(resumed.tokenizers, side), getattr(corpus.tokenizers, side)
        if before.pieces(range(len(before))) != now.pieces(range(len(now))):
            raise _changed(folder, f"the tokenizer made of it has other pieces on the {side} side")
    begun = (resumed.training or {}).get("progress", {}).get("text", "")
    if begun not in ("", found := fingerprint(corpus.train)):
        pairs, there = begun.split(",")[0], found.split(",")[0]
        what = "pairs of other lengths" if pairs == there else f"{there}, not {pairs}"
        raise _changed(folder, f"it gives {what}")


def _changed(folder: RunFolder, how: str) -> UserError:
    return UserError(
        f"the text is no longer what {folder.path} began to learn from: {how}; restore the text, "
        "or choose another run.dir"
    )
