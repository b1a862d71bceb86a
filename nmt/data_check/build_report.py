"""Makes a report of the inspections of all splits."""

from collections.abc import Iterable, Mapping
from typing import Any

from nmt.data_check import findings as found_in
from nmt.data_check.check_report import DataReport, Finding, Severity
from nmt.data_check.chunk_inspection import SideInspection
from nmt.data_check.collected_faults import CollectedFaults
from nmt.data_check.duplicates import find_repeats
from nmt.data_check.filter_findings import explain_filters, nothing_left, other_language_findings
from nmt.data_check.histograms import rows_of_counts, rows_of_ratios
from nmt.data_check.inspection import Inspection


def build_report(
    corpus: Mapping[str, str],
    inspections: Mapping[str, Inspection],
    faults: Mapping[str, CollectedFaults],
    *,
    stop: bool = True,
    filters: Mapping[str, Any] | None = None,
    tokens: Mapping[str, Any] | None = None,
    cost: Mapping[str, Any] | None = None,
    extra: Iterable[Finding] = (),
) -> DataReport:
    """Return the report on inspected text.

    Args:
        corpus: The ``name``, ``source_language`` and ``target_language`` of the corpus.
        inspections: The pairs of each split.
        faults: The faults of the files of each split.
        stop: Whether training is refused if the sides look shifted or swapped.
        filters: Numbers of training pairs ``kept``, and ``dropped`` by rule; None: not filtered.
        tokens: Statistics of pieces by side; see `side_tokens`.
        cost: See `cost_of_lengths`.
        extra: Further findings, e.g. about the vocabulary.
    """
    languages = corpus["source_language"], corpus["target_language"]
    found, splits = list(extra), []
    for split, inspection in inspections.items():
        of_files = faults.get(split, CollectedFaults())
        found += found_in.fault_findings(split, of_files, inspection)
        found += found_in.problem_findings(split, inspection, of_files, languages, stop=stop)
        found += found_in.rule_findings(split, inspection, languages)
        row = _split_row(split, inspection)
        if split == "train":
            repeats = find_repeats(inspection)
            found += found_in.repeat_findings(split, repeats, languages)
            row["repeated_sources"] = repeats.sources
        splits.append(row)
    found += found_in.overlap_findings(inspections, languages)
    if filters is not None:
        refused = any(finding.severity == Severity.ERROR for finding in found)
        if not filters["kept"] and not refused:
            found.append(nothing_left(filters, inspections["train"]))
        else:
            found = [explain_filters(finding, filters) for finding in found]
            found += other_language_findings(filters)
    return DataReport(
        corpus, splits, sorted(found, key=found_in.by_importance), filters, tokens, cost
    )


def _split_row(name: str, inspection: Inspection) -> dict[str, Any]:
    return {
        "name": name,
        "pairs": inspection.pairs,
        "source": _side_row(inspection.side("source"), inspection.pairs),
        "target": _side_row(inspection.side("target"), inspection.pairs),
        "ratio_histogram": rows_of_ratios(inspection.ratio_histogram, inspection.highest_ratio),
    }


def _side_row(side: SideInspection, lines: int) -> dict[str, Any]:
    return {
        "lines": lines,
        "words": side.words,
        "characters": side.characters,
        "longest_words": side.longest_words,
        "words_histogram": rows_of_counts(side.words_histogram, side.longest_words),
    }
