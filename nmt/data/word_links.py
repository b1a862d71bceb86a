"""Word alignments in Pharaoh format: ``0-0 1-2 2p1``, source word then target word, from 0."""

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
        sure: What every annotator would draw (S of Och & Ney 2003).
        possible: What one may draw, the sure ones among them (P).
    """

    sure: frozenset[Link]
    possible: frozenset[Link]

    def flipped(self) -> "Links":
        """Return the links of the same pair with source and target exchanged."""
        return Links(_flip(self.sure), _flip(self.possible))

    def behind_tag(self) -> "Links":
        """Return the links of the same pair with one more word before its source."""
        return Links(_shift(self.sure), _shift(self.possible))


def parse_links(line: str) -> Links:
    """Read one line: ``i-j`` is a sure link, ``ipj`` or ``i?j`` a possible one.

    Raises:
        ValueError: A word of the line is no link.
    """
    sure, possible = set(), set()
    for word in line.split():
        found = _LINK.fullmatch(word)
        if found is None:
            raise ValueError(f"{word!r} is no link; write 0-1 (sure) or 0p1 (possible)")
        link = int(found[1]), int(found[3])
        possible.add(link)
        if found[2] == "-":
            sure.add(link)
    return Links(frozenset(sure), frozenset(possible))


def format_links(links: Iterable[Link]) -> str:
    """Write links as a line, in the order of their source words."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))


def check_links(links: Links, source_words: int, target_words: int, place: str) -> None:
    """Refuse links that point outside their pair, as those of another text would.

    Args:
        links: The pair's links.
        source_words: How many words its source has.
        target_words: How many its target has.
        place: What the message calls the pair, as in ``train.align, line 3``.

    Raises:
        UserError: The source or target word of a link does not exist.
    """
    for source, target in sorted(links.possible):
        if source >= source_words or target >= target_words:
            raise UserError(
                f"{place}: the link {source}-{target} points outside its pair of "
                f"{source_words} source and {target_words} target words, counted from 0; is it "
                "the alignment of these sentences, and in this direction?"
            )


def _flip(links: frozenset[Link]) -> frozenset[Link]:
    return frozenset((target, source) for source, target in links)


def _shift(links: frozenset[Link]) -> frozenset[Link]:
    return frozenset((source + 1, target) for source, target in links)
