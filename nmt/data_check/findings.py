"""Makes findings of inspections: about one split, and about two splits."""

from collections.abc import Iterator, Mapping

from nmt.config.data import SPLITS
from nmt.data.locations import SHOWN, Location
from nmt.data.pair_outlines import SIDES
from nmt.data.preparation.split_problems import (
    SplitProblem,
    describe_shift,
    no_pairs_problem,
    shift_locations,
    shifted_sides_problem,
    swapped_sides_problem,
)
from nmt.data.shell_commands import has_both_sides, with_show_commands
from nmt.data.shifted_sides import are_related, first_shift, first_unrelated
from nmt.data.sources.pair_source import DataFault, FaultKind
from nmt.data_check.check_report import Finding, Severity
from nmt.data_check.collected_faults import CollectedFaults
from nmt.data_check.duplicates import Repeats, find_overlap
from nmt.data_check.even_sample import EvenSample
from nmt.data_check.exchanged_sides import exchanged_pairs
from nmt.data_check.inspection import Inspection
from nmt.data_check.occurrences import Occurrences
from nmt.data_check.remedies import with_command
from nmt.data_check.rule_texts import (
    DEFAULT_REMEDY,
    FAULT_REMEDIES,
    OF_RECORDS,
    ORDER,
    OWN_REMEDY,
    RULES,
)

_LISTED = 40  # line numbers in the message about exchanged sides
_REMEDY_STARTS = (
    "; if that is right",
    "; convert it",
    ": find the line",
    ": fix the formula",
)  # where the remedy begins in the message of a fault


def fault_findings(
    split: str, faults: CollectedFaults, inspection: Inspection
) -> Iterator[Finding]:
    """Yield the faults of the files of a split; for unequal files, also the likely position."""
    for rule, first in faults.first.items():
        locations = [Location(fault.file, fault.line) for fault in first]
        remedy = FAULT_REMEDIES.get(rule, DEFAULT_REMEDY)
        message = first[0].message
        for start in _REMEDY_STARTS:
            message, found, rest = message.partition(start)
            remedy = f"{start.removeprefix('; ')}{rest}" if found and rule in OWN_REMEDY else remedy
        if rule == "unequal_lines":
            suspects, explanation = _where_unequal(first[0], inspection)
            locations, message = [*suspects, *locations], f"{message}. {explanation}"
            remedy = with_show_commands(remedy, suspects)
        count = faults.counts[rule]
        refused = any(fault.is_refused for fault in first)
        severity = Severity.ERROR if refused else Severity.WARNING
        left_out = not refused and first[0].kind == FaultKind.LEFT_OUT
        if left_out:
            unit = locations[0].unit
            message = f"{count:,} {unit}{' is' if count == 1 else 's are'} left out: {message}"
        yield Finding(rule, severity, split, None, count, locations, message, remedy, left_out)


def _where_unequal(fault: DataFault, inspection: Inspection) -> tuple[list[Location], str]:
    """Return where two files of unequal length may begin to differ, and an explanation."""
    for (rule, _), occurrences in inspection.found.items():
        if rule == "line_break_inside":
            location = occurrences.locations[0]
            return [location], (
                f"Some lines contain another kind of line break, first {location}, where other "
                "tools see more lines than nmt; for an old Macintosh file: "
                f"tr '\\r' '\\n' < '{location.file}'"
            )
    outline = inspection.outline
    pairs = outline.pairs_of(fault.file)
    sides = [outline.side(side).part(pairs) for side in SIDES]
    shift = first_shift(*sides, unequal=True)
    if shift is not None:
        locations = shift_locations(outline, pairs.start + shift.index)
        line = f"From about line {locations[0].line:,} on"
        return locations, f"{line} they look shifted: {describe_shift(shift)}"
    if are_related(*sides):
        return [], "The lines match as far as both files go: the missing ones are likely at the end"
    return [], "The lengths of the lines do not show where the difference begins"


def problem_findings(
    split: str,
    inspection: Inspection,
    faults: CollectedFaults,
    languages: tuple[str, str],
    *,
    stop: bool,
) -> Iterator[Finding]:
    """Yield the problems of a whole split, for example that its sides look shifted.

    Args:
        split: Name of the split.
        inspection: Its pairs.
        faults: The faults of its files. A split without text is reported only if there are none.
        languages: Codes of the source and the target language.
        stop: Whether shifted or swapped sides are refused (``data.on_doubt=stop``).
    """
    outline = inspection.outline
    empty = None if faults else no_pairs_problem(split, outline)
    if empty is not None:
        yield problem_finding(empty)
    severity = Severity.ERROR if stop else Severity.WARNING
    if empty is None and "unequal_lines" not in faults.counts:
        shifted = shifted_sides_problem(split, outline)
        if shifted is not None:
            yield problem_finding(shifted, severity)
        index = None if shifted else first_unrelated(*(outline.side(name) for name in SIDES))
        if index is not None:
            yield _unrelated_finding(split, inspection, index)
    swapped = swapped_sides_problem(split, outline, languages)
    if swapped is not None:
        yield problem_finding(swapped, severity)


def _unrelated_finding(split: str, inspection: Inspection, index: int) -> Finding:
    locations = shift_locations(inspection.outline, index)
    return Finding(
        "looks_reordered",
        Severity.WARNING,
        split,
        None,
        inspection.pairs - index,
        locations,
        f"from about {locations[0]} on, the two sides do not fit together: their lengths and final "
        "punctuation agree no better than by chance, as if the rows of one side were in another "
        "order",
        with_show_commands(
            "compare the two sides there; if one column of a sheet was sorted alone, export an "
            "earlier version of it",
            locations,
        ),
    )


def problem_finding(problem: SplitProblem, severity: Severity = Severity.ERROR) -> Finding:
    """Return a problem of a whole split as a finding."""
    return Finding(
        problem.rule,
        severity,
        problem.split,
        None,
        problem.count,
        problem.locations,
        problem.message,
        problem.remedy,
    )


def rule_findings(
    split: str, inspection: Inspection, languages: tuple[str, str]
) -> Iterator[Finding]:
    """Yield a finding for each rule that pairs of a split break.

    Args:
        split: Name of the split.
        inspection: Its pairs.
        languages: Codes of the source and the target language.
    """
    for (rule, side), occurrences in inspection.found.items():
        yield rule_finding(rule, split, side, occurrences, languages)


def repeat_findings(split: str, repeats: Repeats, languages: tuple[str, str]) -> Iterator[Finding]:
    """Yield a finding if pairs of a split repeat earlier pairs."""
    if repeats.pairs.count:
        yield rule_finding("duplicate", split, None, repeats.pairs, languages)


def overlap_findings(
    inspections: Mapping[str, Inspection], languages: tuple[str, str]
) -> Iterator[Finding]:
    """Yield findings about pairs of validation and test that are in the training pairs."""
    for split in ("valid", "test"):
        if split in inspections and "train" in inspections:
            overlap = find_overlap(inspections["train"], inspections[split])
            if overlap.pairs.count:
                yield rule_finding("overlap", split, None, overlap.pairs, languages)
            if overlap.sources.count:
                yield rule_finding("source_overlap", split, "source", overlap.sources, languages)


def rule_finding(
    rule: str,
    split: str,
    side: str | None,
    occurrences: Occurrences,
    languages: tuple[str, str],
) -> Finding:
    """Return the finding for the occurrences of a rule."""
    text = RULES[rule]
    count, locations = occurrences.count, occurrences.locations
    location = locations[0] if locations else None
    number = f"{count:,} {text.unit}{'' if count == 1 else 's'}"
    of_side = f" of the {side} side ({languages[SIDES.index(side)]})" if side else ""
    first = f", {'at' if count == 1 else 'first'} {location}" if location else ""
    predicate = text.one if count == 1 else text.many
    if rule in OF_RECORDS and location is not None and has_both_sides(location.file):
        why, remedy = OF_RECORDS[rule]
    else:
        why = text.why
        remedy = with_command(text.remedy, text.command, location.file if location else "FILE")
    message = f"{number}{of_side} {predicate}{first}: {why}"
    return Finding(rule, Severity.WARNING, split, side, count, locations, message, remedy)


def exchanged_findings(sample: EvenSample) -> Iterator[Finding]:
    """Yield a finding if sides of training pairs look exchanged.

    Args:
        sample: The sample of the training pairs. If it has tags, which may choose a direction of
            translation, the pairs are not judged.
    """
    found = [] if sample.tagged else exchanged_pairs(sample.sources, sample.targets)
    if not found:
        return
    locations = [sample.pair_location(index) for index in found]
    lines = [f"{location.line:,}" for location in locations]
    more = f" and {len(lines) - _LISTED:,} more" if len(lines) > _LISTED else ""
    unit = f"{locations[0].unit}{'' if len(lines) == 1 else 's'}"
    of_sample = f"{len(sample):,} evenly spaced pairs of {sample.seen:,} were compared"
    yield Finding(
        "looks_exchanged",
        Severity.WARNING,
        "train",
        None,
        len(found),
        locations[:SHOWN],
        f"in {len(found):,} pair{'' if len(found) == 1 else 's'} the two sides look exchanged: the "
        "source resembles the other targets, and the target resembles the other sources; "
        f"{locations[0].file}, {unit} {', '.join(lines[:_LISTED])}{more}"
        + (f" ({of_sample})" if sample.seen > len(sample) else ""),
        "look at these pairs; if they are exchanged, exchange their texts in the file",
    )


def by_importance(finding: Finding) -> tuple[bool, int, int, int]:
    """Return a sort key: errors first, then by harm, then training before validation and test."""
    rank = ORDER.index(finding.rule) if finding.rule in ORDER else -1
    is_warning = finding.severity != Severity.ERROR
    return is_warning, rank, SPLITS.index(finding.split), -finding.count
