"""What the filters have to do with the findings: which they see to, and where they alarm."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from nmt.data_check.check_report import WARNING, Finding

_SEEN_TO = {
    "duplicate": "duplicate",
    "copy": "copy",
    "ratio": "max_ratio",
    "many_words": "max_words",
    "wrong_script": "script",
}
_OVERLAPS = ("overlap", "source_overlap")
_LANGUAGE = {"language": "data.filters.language=null", "script": "data.filters.scripts=false"}


def answered(finding: Finding, filters: Mapping[str, Any]) -> Finding:
    """Return a finding of pairs that the filters leave out with that in place of its remedy.

    Args:
        finding: Any.
        filters: Training pairs ``dropped`` by rule, as the report has it.
    """
    dropped = {row["rule"]: row["count"] for row in filters["dropped"]}
    if finding.rule in _OVERLAPS and (count := dropped.get("test_overlap")):
        remedy = (
            f"nothing has to be done: the filters leave {count:,} training pairs out for it; "
            "only sides under four words may stay"
        )
        return dataclasses.replace(finding, remedy=remedy)
    count = dropped.get(_SEEN_TO.get(finding.rule, ""), 0)
    if finding.split == "train" and count >= finding.count > 0:
        remedy = "nothing has to be done: the filters leave them out"
        return dataclasses.replace(finding, remedy=remedy)
    return finding


def other_language_findings(filters: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield that most training pairs are in other languages than they should be."""
    for row in filters["dropped"]:
        rule, count = row["rule"], row["count"]
        pairs = filters["kept"] + sum(other["count"] for other in filters["dropped"])
        if rule in _LANGUAGE and 2 * count > pairs:
            message = (
                f"{count:,} of {pairs:,} pairs are left out by the filter {rule}: most of the "
                "text is not in the languages it should be"
            )
            remedy = (
                "check that the two files are not swapped, and data.source_language and "
                f"data.target_language right; if the filter errs: {_LANGUAGE[rule]}"
            )
            yield Finding("other_languages", WARNING, "train", None, count, [], message, remedy)
