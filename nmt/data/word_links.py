"""Word alignments in Pharaoh format, ``0-0 1-2 2p1``: source word, target word, from 0."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nmt.errors import UserError

Link = tuple[int, int]

LEAST_PAIRS = 10  # with links; some of them should link a first word
EXCHANGE = "exchange the two words of every link"
SUBTRACT_ONE = "subtract 1, e.g. with: perl -pe 's/\\d+/$&-1/ge' FILE"

_LINK = re.compile(r"(\d+)([-p?])(\d+)")


@dataclass(frozen=True)
class Links:
    """The links of one sentence pair, each (source word, target word).

    Attributes:
        sure: Unambiguous links (S of Och & Ney 2003).
        possible: Sure and ambiguous links (P of Och & Ney 2003).
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
    """Parse a line: ``i-j`` is a sure link, ``ipj`` or ``i?j`` a possible one.

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


def check_links(
    links: Links, source_words: int, target_words: int, where: str, exchange: str = EXCHANGE
) -> None:
    """Check that the words of all links exist, as is unlikely for links of another text.

    Args:
        links: The pair's links.
        source_words: Number of words of its source.
        target_words: Number of words of its target.
        where: The location for the message, e.g. ``train.align, line 3``.
        exchange: What the user does if the links name the target word first, e.g.
            ``add --flip-gold``.

    Raises:
        UserError: The source or target word of a link does not exist.
    """
    for source, target in sorted(links.possible):
        if source >= source_words or target >= target_words:
            reasons = _reasons((source, target), (source_words, target_words), exchange)
            raise UserError(
                f"{where}: the link {source}-{target} points outside its pair of "
                f"{source_words} source and {target_words} target words, counted from 0; "
                f"{'; or '.join(reasons)}"
            )


def _reasons(link: Link, words: tuple[int, int], exchange: str) -> list[str]:
    """Return the possible reasons for a link to a word that does not exist, with remedies."""
    reasons = []
    if min(link) > 0 and link[0] <= words[0] and link[1] <= words[1]:
        reasons.append(f"the file may count from 1: {SUBTRACT_ONE}")
    if link[1] < words[0] and link[0] < words[1]:
        reasons.append(f"it may name the target word first: {exchange}")
    reasons.append("it may align other sentences, or words that a tab or a space splits elsewhere")
    return reasons


class FirstWordCheck:
    """Finds links that count words from 1, even if the words of all links exist."""

    def __init__(self, file: str) -> None:
        """Check the links of this file."""
        self._file, self._lines, self._zero = file, 0, False

    def add(self, links: Links) -> None:
        """Add the links of the next pair."""
        self._lines += bool(links.possible)
        self._zero = self._zero or any(0 in link for link in links.possible)

    def finish(self) -> None:
        """Check all links.

        Raises:
            UserError: At least 10 pairs have links, and none of them links word 0.
        """
        if self._lines >= LEAST_PAIRS and not self._zero:
            raise UserError(
                f"{self._file}: no link of {self._lines:,} pairs has word 0, so that words seem to "
                f"be counted from 1; {SUBTRACT_ONE}"
            )


def _flip(links: frozenset[Link]) -> frozenset[Link]:
    return frozenset((target, source) for source, target in links)


def _shift(links: frozenset[Link]) -> frozenset[Link]:
    return frozenset((source + 1, target) for source, target in links)
