"""Word alignments in Pharaoh format, ``0-0 1-2 2p1``: source word, target word, from 0."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nmt.errors import UserError

Link = tuple[int, int]

_LINK = re.compile(r"(\d+)([-p?])(\d+)")


@dataclass(frozen=True)
class Links:
    """The links of one sentence pair, each (source word, target word).

    Attributes:
        sure: Unambiguous links (S of Och & Ney 2003).
        possible: Ambiguous links as well as the sure ones (P).
    """

    sure: frozenset[Link]
    possible: frozenset[Link]

    def flipped(self) -> "Links":
        """Return the links of the same pair with source and target exchanged."""
        return Links(_flip(self.sure), _flip(self.possible))

    def after_tag(self) -> "Links":
        """Return the links of the same pair with one more word, a tag, before its source."""
        return Links(_shift(self.sure), _shift(self.possible))


def parse_links(line: str) -> Links:
    """Read one line: ``i-j`` is a sure link, ``ipj`` or ``i?j`` a possible one.

    Raises:
        ValueError: A word of the line is not a link.
    """
    sure, possible = set(), set()
    for word in line.split():
        found = _LINK.fullmatch(word)
        if found is None:
            raise ValueError(f"{word!r} is not a link; write 0-1 (sure) or 0p1 (possible)")
        link = int(found[1]), int(found[3])
        possible.add(link)
        if found[2] == "-":
            sure.add(link)
    return Links(frozenset(sure), frozenset(possible))


def format_links(links: Iterable[Link]) -> str:
    """Write links as a line, in the order of their source words."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))


def check_links(links: Links, source_words: int, target_words: int, where: str) -> None:
    """Check that links point into their pair, which links of another text would not.

    Args:
        links: The pair's links.
        source_words: Number of words of its source.
        target_words: Number of words of its target.
        where: The location for the message, e.g. ``train.align, line 3``.

    Raises:
        UserError: The source or target word of a link does not exist.
    """
    for source, target in sorted(links.possible):
        if source >= source_words or target >= target_words:
            raise UserError(
                f"{where}: the link {source}-{target} points outside its pair of "
                f"{source_words} source and {target_words} target words, counted from 0; check "
                "that the file aligns these sentences, in this direction"
            )


def _flip(links: frozenset[Link]) -> frozenset[Link]:
    return frozenset((target, source) for source, target in links)


def _shift(links: frozenset[Link]) -> frozenset[Link]:
    return frozenset((source + 1, target) for source, target in links)
