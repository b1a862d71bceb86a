"""Relates the findings to the filters: problems that these solve, and problems that they show."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from nmt.data.filters import FilterRule
from nmt.data.preparation.split_problems import nothing_left_problem
from nmt.data_check.check_report import Finding, Severity
from nmt.data_check.findings import problem_finding
from nmt.data_check.inspection import Inspection

_SOLVED_BY = {
    "duplicate": FilterRule.DUPLICATE,
    "copy": FilterRule.COPY,
    "number_only": FilterRule.NUMBER,
    "ratio": FilterRule.MAX_RATIO,
    "many_words": FilterRule.MAX_WORDS,
    "wrong_script": FilterRule.SCRIPT,
}
_OVERLAPS = ("overlap", "source_overlap")
_SWITCHED_OFF = {
    FilterRule.LANGUAGE: "data.filters.language=null",
    FilterRule.SCRIPT: "data.filters.scripts=false",
}


def explain_filters(finding: Finding, filters: Mapping[str, Any]) -> Finding:
    """Return a finding; if the filters drop its pairs, its remedy says so.

    Args:
        finding: Any finding.
        filters: Numbers of training pairs ``dropped`` by rule, as in the report.
    """
    dropped = {row["rule"]: row["count"] for row in filters["dropped"]}
    if finding.rule in _OVERLAPS and (count := dropped.get(FilterRule.TEST_OVERLAP)):
        remedy = (
            f"nothing has to be done: the filters drop {count:,} training pairs with a held-out "
            "side; only sides with fewer than four words may remain"
        )
        return dataclasses.replace(finding, remedy=remedy)
    count = dropped.get(_SOLVED_BY.get(finding.rule, ""), 0)
    if finding.split == "train" and count >= finding.count > 0:
        remedy = "nothing has to be done: the filters drop them"
        return dataclasses.replace(finding, remedy=remedy)
    return finding


def other_language_findings(filters: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield a finding if most training pairs are in other languages than configured."""
    for row in filters["dropped"]:
        rule, count = row["rule"], row["count"]
        pairs = filters["kept"] + sum(other["count"] for other in filters["dropped"])
        if rule in _SWITCHED_OFF and 2 * count > pairs:
            message = (
                f"the filter {rule} drops {count:,} of {pairs:,} pairs: most of the text is not in "
                "the languages that are set"
            )
            remedy = (
                "check that the two files are not swapped, and that data.source_language and "
                f"data.target_language are right; if the filter is wrong: {_SWITCHED_OFF[rule]}"
            )
            severity = Severity.WARNING
            yield Finding("other_languages", severity, "train", None, count, [], message, remedy)


def nothing_left(filters: Mapping[str, Any], train: Inspection) -> Finding:
    """Return the finding that the filters drop all training pairs."""
    counts = [(FilterRule(row["rule"]), row["count"]) for row in filters["dropped"]]
    return problem_finding(nothing_left_problem(train.outline, counts))
