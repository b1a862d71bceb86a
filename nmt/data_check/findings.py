"""From what was seen to what is said: the findings of a split, and those between splits."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from nmt.config.data import SPLITS
from nmt.data.locations import Place, Tally
from nmt.data.shifted_sides import Shift, first_shift, tell_of_each_other
from nmt.data.sources.pair_source import DataFault
from nmt.data.sources.paths import format_suffix
from nmt.data_check.check_report import ERROR, WARNING, Finding
from nmt.data_check.collected_faults import CollectedFaults
from nmt.data_check.duplicates import Repeats, find_overlap
from nmt.data_check.inspection import SIDES, Inspection
from nmt.data_check.remedies import to_compare, with_command
from nmt.data_check.rule_texts import FAULT_COMMANDS, FAULT_REMEDIES, MEND, ORDER, RULES

_TOLD_BELOW = ("; convert it", ": find the line")  # where a message begins to say the remedy, too


def fault_findings(split: str, faults: CollectedFaults, seen: Inspection) -> Iterator[Finding]:
    """Yield what is wrong with the files of a split; unequal ones with the place it begins at."""
    for rule, first in faults.first.items():
        places = [Place(fault.file, fault.line) for fault in first]
        words = FAULT_REMEDIES.get(rule, MEND)
        remedy = with_command(words, FAULT_COMMANDS.get(rule, ""), first[0].file)
        message = first[0].message
        for told in _TOLD_BELOW:
            message = message.partition(told)[0]
        if rule == "unequal_lines":
            suspect, said = _where_unequal(first[0], seen)
            places, message = [*suspect, *places], f"{message}. {said}"
            remedy = _looking_at(suspect, remedy)
        yield Finding(rule, ERROR, split, None, faults.counts[rule], places, message, remedy)


def _where_unequal(fault: DataFault, seen: Inspection) -> tuple[list[Place], str]:
    """Return the first suspicious place, and what to say of it."""
    for (rule, _), tally in seen.found.items():
        if rule == "line_break_inside":
            place = tally.places[0]
            return [place], (
                f"Line breaks of another kind stand inside lines, first {place}, where other tools "
                f"see more lines than nmt; an old Macintosh file: tr '\\r' '\\n' < '{place.file}'"
            )
    pairs = seen.pairs_of(fault.file)
    sides = seen.outlines(pairs)
    shift = first_shift(*sides, unequal=True)
    if shift is not None:
        place, other = _both_places(seen, pairs.start + shift.index)
        return [
            place,
            other,
        ], f"From about line {place.line:,} on they look shifted: {_direction(shift)}"
    if tell_of_each_other(*sides):
        return [], "As far as both go they look paired: what is missing is likely at the end"
    return [], "Lengths alone do not tell where it begins"


def _both_places(seen: Inspection, index: int) -> tuple[Place, Place]:
    return seen.place(index), seen.place(index, "source")


def _looking_at(places: list[Place], remedy: str) -> str:
    """Say how to see the lines first, where there is a place to look at on both sides."""
    commands = to_compare(places) if len(places) > 1 else []
    return "\n".join([f"{remedy}; to see both sides there:", *commands]) if commands else remedy


def _direction(shift: Shift) -> str:
    lines = "a line" if abs(shift.lag) == 1 else f"{abs(shift.lag)} lines"
    where = "further up" if shift.lag < 0 else "further down"
    return f"sources fit the targets {lines} {where} better"


def shift_findings(split: str, seen: Inspection, *, stop: bool) -> Iterator[Finding]:
    """Yield the place from which the sides look shifted, although they are as long, if any.

    Args:
        split: Its name.
        seen: Its pairs.
        stop: Whether training is refused for it, as ``data.on_doubt=stop`` says.
    """
    shift = first_shift(*seen.outlines(range(seen.pairs)))
    if shift is None:
        return
    shown = list(_both_places(seen, shift.index))
    place = shown[0]
    message = (
        f"from about {place} on, the two sides look shifted: {_direction(shift)}; "
        "shifted pairs teach the model nothing"
    )
    remedy = _looking_at(shown, FAULT_REMEDIES["looks_shifted"])
    severity = ERROR if stop else WARNING
    yield Finding("looks_shifted", severity, split, None, 1, shown, message, remedy)


def swap_findings(
    split: str, seen: Inspection, languages: tuple[str, str], *, stop: bool
) -> Iterator[Finding]:
    """Yield the first two files of a split whose names are of each other's language, if any."""
    for files in seen.files():
        if languages[0] != languages[1] and _named_for(files) == languages[::-1]:
            message = (
                f"the source file is {files[0]}, the target file {files[1]}, but it is "
                f"{languages[0]} that is to be translated to {languages[1]}: they look swapped"
            )
            severity = ERROR if stop else WARNING
            places = [Place(file, None) for file in files]
            remedy = FAULT_REMEDIES["looks_swapped"]
            yield Finding("looks_swapped", severity, split, None, 1, places, message, remedy)
            return


def _named_for(files: tuple[str, str]) -> tuple[str, ...]:
    """Return the last part of either name, below what tells compression: de of a.de.gz."""
    return tuple(format_suffix(Path(file)).removeprefix(".") for file in files)


def rule_findings(
    split: str, seen: Inspection, languages: tuple[str, str], *, told: CollectedFaults
) -> Iterator[Finding]:
    """Yield the rules that pairs of a split break, each on its own.

    Args:
        split: Its name.
        seen: Its pairs.
        languages: Codes of source and target.
        told: Faults that are told anyway: what could not be decoded is not told twice.
    """
    for (rule, side), tally in seen.found.items():
        if rule == "replacement_character" and "not_utf8" in told.counts:
            continue
        yield tally_finding(rule, split, side, tally, languages)


def repeat_findings(split: str, repeats: Repeats, languages: tuple[str, str]) -> Iterator[Finding]:
    """Yield the pairs of a split that were there before."""
    if repeats.pairs.count:
        yield tally_finding("duplicate", split, None, repeats.pairs, languages)


def overlap_findings(
    inspections: Mapping[str, Inspection], languages: tuple[str, str]
) -> Iterator[Finding]:
    """Yield what validation and test share with the training pairs."""
    for split in ("valid", "test"):
        if split in inspections and "train" in inspections:
            overlap = find_overlap(inspections["train"], inspections[split])
            if overlap.pairs.count:
                yield tally_finding("overlap", split, None, overlap.pairs, languages)
            if overlap.sources.count:
                yield tally_finding("source_overlap", split, "source", overlap.sources, languages)


def empty_findings(split: str, seen: Inspection, faults: CollectedFaults) -> Iterator[Finding]:
    """Yield that a split holds no pair with text on both sides, unless a fault says why."""
    left = seen.pairs - sum(
        tally.count for (rule, _), tally in seen.found.items() if rule in ("blank", "both_blank")
    )
    if left <= 0 and not faults:
        places = [seen.place(0)] if seen.pairs else []
        where = f" ({places[0]} on)" if places else ""
        message = f"no pair of {split} has text on both sides{where}: there is nothing to read"
        remedy = "give files that hold text, line i of both a pair"
        yield Finding("no_pairs", ERROR, split, None, seen.pairs, places, message, remedy)


def tally_finding(
    rule: str, split: str, side: str | None, tally: Tally, languages: tuple[str, str]
) -> Finding:
    """Put a count and its places into words."""
    told = RULES[rule]
    place = tally.places[0] if tally.places else None
    number = f"{tally.count:,} {told.unit}{'' if tally.count == 1 else 's'}"
    whose = f" of the {side} side ({languages[SIDES.index(side)]})" if side else ""
    first = f", {'at' if tally.count == 1 else 'first'} {place}" if place else ""
    does = told.one if tally.count == 1 else told.many
    message = f"{number}{whose} {does}{first}: {told.why}"
    remedy = with_command(told.remedy, told.command, place.file if place else "FILE")
    return Finding(rule, WARNING, split, side, tally.count, tally.places, message, remedy)


def by_importance(finding: Finding) -> tuple[bool, int, int, int]:
    """Sort errors first, then what hurts most, then training before the other splits."""
    rank = ORDER.index(finding.rule) if finding.rule in ORDER else -1
    return finding.severity != ERROR, rank, SPLITS.index(finding.split), -finding.count
