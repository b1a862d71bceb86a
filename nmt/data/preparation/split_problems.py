"""Problems of a whole split because of which preparation refuses a corpus."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.config.data import SPLITS, DataConfig, OnDoubt
from nmt.data.filters import FilterRule
from nmt.data.locations import Location
from nmt.data.pair_outlines import SIDES, TextOutline
from nmt.data.preparation.dropped_pairs import DropTable
from nmt.data.shell_commands import with_show_commands
from nmt.data.shifted_sides import Shift, first_shift
from nmt.data.sources.file_patterns import format_suffix
from nmt.errors import UserError

SHIFT_REMEDY = (
    "find the line that is missing or doubled, and fix that file; if both sides are correct, train "
    "with data.on_doubt=warn"
)
SWAP_REMEDY = (
    "swap the two files, or data.source_language and data.target_language; if only the names are "
    "wrong, rename the files, or train with data.on_doubt=warn"
)
_FILTER_REMEDIES = {
    FilterRule.TOO_LONG: "raise data.max_length",
    FilterRule.MAX_WORDS: "raise data.filters.max_words",
    FilterRule.MAX_RATIO: "raise data.filters.max_ratio",
    FilterRule.COPY: "set data.filters.copies=false",
    FilterRule.NUMBER: "set data.filters.numbers=false",
    FilterRule.SCRIPT: "set data.filters.scripts=false",
    FilterRule.LANGUAGE: "set data.filters.language=null",
    FilterRule.TEST_OVERLAP: "set data.filters.test_overlap=false",
}


@dataclass(frozen=True)
class SplitProblem:
    """A problem of a whole split.

    Attributes:
        rule: Name of the problem, e.g. ``looks_shifted``; docs/data.md lists all of them.
        split: ``train``, ``valid`` or ``test``.
        count: Number of affected pairs or files.
        locations: Where the problem begins.
        message: The problem and its location.
        remedy: What to do; further lines are shell commands.
    """

    rule: str
    split: str
    count: int
    locations: list[Location]
    message: str
    remedy: str


def refuse_unusable(
    data: DataConfig, outlines: Mapping[str, TextOutline], dropped: DropTable
) -> None:
    """Check that a corpus can be used for training.

    Args:
        data: The settings. ``data.on_doubt=warn`` accepts shifted and swapped sides.
        outlines: The pairs of each split.
        dropped: The training pairs that the filters drop.

    Raises:
        UserError: A split has no pair with text on both sides, its sides look shifted or swapped,
            or no training pair is left.
    """
    problems = [
        problem
        for split in SPLITS
        if split in outlines
        for problem in _problems(split, outlines[split], data)
    ]
    if not problems and not dropped.kept:
        problems.append(nothing_left_problem(outlines["train"], dropped.by_count()))
    if problems:
        raise UserError("; ".join(f"{found.message}: {found.remedy}" for found in problems))


def _problems(split: str, outline: TextOutline, data: DataConfig) -> Iterator[SplitProblem]:
    empty = no_pairs_problem(split, outline)
    if empty is not None:
        yield empty
    if data.on_doubt == OnDoubt.STOP:
        shifted = None if empty else shifted_sides_problem(split, outline)
        swapped = swapped_sides_problem(
            split, outline, (data.source_language, data.target_language)
        )
        yield from (found for found in (shifted, swapped) if found is not None)


def no_pairs_problem(split: str, outline: TextOutline) -> SplitProblem | None:
    """Return the problem of a split in which no pair has text on both sides, or None."""
    if len(outline.with_text()):
        return None
    locations = [outline.location(0)] if outline.pairs else []
    where = f" ({locations[0]} on)" if locations else ""
    message = f"no pair of {split} has text on both sides{where}: there is nothing to read"
    remedy = "give files with text, where line i of both files is a pair"
    return SplitProblem("no_pairs", split, outline.pairs, locations, message, remedy)


def shifted_sides_problem(split: str, outline: TextOutline) -> SplitProblem | None:
    """Return the problem of a split whose equally long sides look shifted, or None."""
    shift = first_shift(*(outline.side(name) for name in SIDES))
    if shift is None:
        return None
    locations = shift_locations(outline, shift.index)
    message = (
        f"from about {locations[0]} on, the two sides look shifted: {describe_shift(shift)}; "
        "shifted pairs teach the model nothing"
    )
    remedy = with_show_commands(SHIFT_REMEDY, locations)
    return SplitProblem("looks_shifted", split, 1, locations, message, remedy)


def shift_locations(outline: TextOutline, index: int) -> list[Location]:
    """Return the locations of a pair in the target file and in the source file."""
    return [outline.location(index), outline.location(index, "source")]


def describe_shift(shift: Shift) -> str:
    """Return the direction and the size of a shift in words."""
    lines = "a line" if abs(shift.lag) == 1 else f"{abs(shift.lag)} lines"
    direction = "further up" if shift.lag < 0 else "further down"
    return f"sources fit the targets {lines} {direction} better"


def swapped_sides_problem(
    split: str, outline: TextOutline, languages: tuple[str, str]
) -> SplitProblem | None:
    """Return the problem of the first two files whose suffixes are the other side's language."""
    for files in outline.files():
        if languages[0] != languages[1] and _language_suffixes(files) == languages[::-1]:
            message = (
                f"the source file is {files[0]} and the target file {files[1]}, but the model is "
                f"to translate from {languages[0]} to {languages[1]}: the files look swapped"
            )
            locations = [Location(file, None) for file in files]
            return SplitProblem("looks_swapped", split, 1, locations, message, SWAP_REMEDY)
    return None


def _language_suffixes(files: tuple[str, str]) -> tuple[str, ...]:
    """Return the last suffix of each name except that of compression: de for a.de.gz."""
    return tuple(format_suffix(Path(file)).removeprefix(".") for file in files)


def nothing_left_problem(
    train: TextOutline, counts: Sequence[tuple[FilterRule, int]]
) -> SplitProblem:
    """Return the problem of training text of which the filters drop every pair.

    Args:
        train: The training pairs.
        counts: The rules that dropped them and their counts, the largest count first.
    """
    rules = ", ".join(f"{rule} {count:,}" for rule, count in counts)
    location = train.location(0)
    cause = _FILTER_REMEDIES.get(counts[0][0], "give text of both sides")
    return SplitProblem(
        "nothing_left",
        "train",
        train.pairs,
        [location],
        f"no training pair of {location.file} is left: all {train.pairs:,} are dropped ({rules})",
        f"{cause}, and check that the languages are right",
    )
