"""A shortlist as CTranslate2's vocabulary map, which its Translator uses with ``use_vmap=True``."""

from pathlib import Path

from nmt.decoding.constrained.shortlist import Shortlist
from nmt.text.tokenizer import TokenizerPair

FILE = "vmap.txt"
"""The name of the file in the folder of the model, as CTranslate2 expects it."""


def save_vocabulary_map(shortlist: Shortlist, tokenizers: TokenizerPair, folder: Path) -> None:
    """Write a line per source piece: the piece, a tab, and its candidates, separated by spaces.

    The piece of the first line is empty; its candidates are candidates of every sentence.
    """
    source, target = (
        side.pieces(range(len(side))) for side in (tokenizers.source, tokenizers.target)
    )
    lists = [("", shortlist.always)]
    for piece, name in enumerate(source):
        first, last = shortlist.offsets[piece : piece + 2]
        lists.append((name, shortlist.candidates[first:last]))
    with (folder / FILE).open("w", encoding="utf-8", newline="\n") as file:
        for name, pieces in lists:
            found = [target[piece] for piece in pieces]
            words = [word for word in found if _is_word(word)]
            if words and (not name or _is_word(name)):
                file.write(f"{name}\t{' '.join(words)}\n")


def _is_word(name: str) -> bool:
    """Return whether a piece has no white space, because that separates the words of the file."""
    return len(name.split()) == 1 and name == name.strip()
