"""The report on a corpus: findings, sizes of the splits, statistics of pieces, and cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import nmt
from nmt.data.locations import Location

_SHORT_FINDINGS = 6  # findings in the short report
_IN_FULL = ("changed_characters", "read_as", "read_with_quotes", "looks_reordered")
"""Rules whose whole message is in the short report."""


class Severity(StrEnum):
    """How serious a finding is; training is refused if there is an error."""

    ERROR = "error"
    WARNING = "warning"


class Status(StrEnum):
    """The result of a check; the exit code is its index, from 0."""

    CLEAN = "clean"
    WARNINGS = "warnings"
    REFUSED = "refused"


@dataclass(frozen=True)
class Finding:
    """Something in a corpus that is wrong or may be wrong.

    Attributes:
        rule: Name of the rule; docs/data.md lists all of them.
        severity: Whether training is refused because of it.
        split: ``train``, ``valid`` or ``test``.
        side: ``source`` or ``target``; None for both together.
        count: Number of lines, pairs, files, characters or pieces; the configured size if the rule
            is about the size of the vocabulary.
        locations: The first locations.
        message: What is wrong, where it begins and why it is harmful.
        remedy: What to do; further lines are shell commands.
        left_out: Whether these rows are left out of the corpus, because they are few.
    """

    rule: str
    severity: Severity
    split: str
    side: str | None
    count: int
    locations: Sequence[Location]
    message: str
    remedy: str
    left_out: bool = False

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Finding":
        """Return the finding with the values of `to_mapping`."""
        return cls(
            mapping["rule"],
            Severity(mapping["severity"]),
            mapping["split"],
            mapping["side"],
            mapping["count"],
            [Location(at["file"], at["line"], at["text"]) for at in mapping["places"]],
            mapping["message"],
            mapping["remedy"],
            mapping.get("left_out", False),  # missing in reports of earlier versions
        )

    def to_mapping(self) -> dict[str, Any]:
        """Return the finding as plain values."""
        places = [
            {"file": p.file, "unit": p.unit, "line": p.line, "text": p.text} for p in self.locations
        ]
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "split": self.split,
            "side": self.side,
            "count": self.count,
            "places": places,
            "message": self.message,
            "remedy": self.remedy,
            "left_out": self.left_out,
        }


@dataclass(frozen=True)
class DataReport:
    """The whole report.

    Attributes:
        corpus: The ``name``, ``source_language`` and ``target_language`` of the corpus.
        splits: One row per split: number of pairs, sizes and histograms of both sides.
        findings: The findings, the most important first.
        filters: Numbers of pairs ``kept``, and ``dropped`` by rule; None: not filtered.
        tokens: Statistics of pieces by side; None without a tokenizer.
        cost: Updates, padding and bytes of an epoch; None without a tokenizer.
        version: The version of nmt that made the report.
    """

    corpus: Mapping[str, str]
    splits: Sequence[Mapping[str, Any]]
    findings: Sequence[Finding]
    filters: Mapping[str, Any] | None = None
    tokens: Mapping[str, Any] | None = None
    cost: Mapping[str, Any] | None = None
    version: str = field(default=nmt.__version__)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "DataReport":
        """Return the report with the values of `to_mapping`.

        Raises:
            KeyError: A value is missing.
            TypeError: A value has a wrong type.
            ValueError: A value is unknown.
        """
        return cls(
            mapping["corpus"],
            mapping["splits"],
            [Finding.from_mapping(finding) for finding in mapping["findings"]],
            mapping["filters"],
            mapping["tokens"],
            mapping["cost"],
            mapping["nmt"],
        )

    @property
    def status(self) -> Status:
        """The result of the check."""
        if self.errors:
            return Status.REFUSED
        return Status.WARNINGS if self.findings else Status.CLEAN

    @property
    def exit_code(self) -> int:
        """0 for clean, 1 for warnings, 2 for refused."""
        return list(Status).index(self.status)

    @property
    def errors(self) -> list[Finding]:
        """The findings because of which training is refused."""
        return [finding for finding in self.findings if finding.severity == Severity.ERROR]

    @property
    def is_partly_read(self) -> bool:
        """Whether a file has text that could not be decoded or decompressed."""
        return any(finding.rule in ("not_utf8", "unreadable") for finding in self.errors)

    def to_mapping(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON and the HTML page."""
        return {
            "nmt": self.version,
            "corpus": dict(self.corpus),
            "status": self.status.value,
            "splits": [dict(split) for split in self.splits],
            "findings": [finding.to_mapping() for finding in self.findings],
            "filters": None if self.filters is None else dict(self.filters),
            "tokens": None if self.tokens is None else dict(self.tokens),
            "cost": None if self.cost is None else dict(self.cost),
        }

    def short_lines(self) -> list[str]:
        """Return at most 9 lines for the head of a training log: a summary, then findings."""
        corpus = self.corpus
        pairs = ", ".join(f"{split['name']} {split['pairs']:,} pairs" for split in self.splits)
        name = f"{corpus['source_language']}-{corpus['target_language']}"
        first = f"data {name}: {pairs}; {self._summary()}"
        return [first, *self._left_out(), *self._short_findings()]

    def _check(self) -> str:
        """Return the command that prints the whole report."""
        name = self.corpus["name"]
        return f"nmt data check --data {name} and all settings data.… of this command"

    def _left_out(self) -> Iterator[str]:
        """Yield a line with the faulty rows that are left out, if there are any."""
        kinds = [finding for finding in self.findings if finding.left_out]
        if not kinds:
            return
        total = sum(finding.count for finding in kinds)
        parts = [
            f"{finding.count:,} x {finding.rule.replace('_', ' ')} ({_rows(finding)})"
            for finding in kinds
        ]
        units = {location.unit for finding in kinds for location in finding.locations}
        unit = units.pop() if len(units) == 1 else "row"
        yield f"  left out: {total:,} faulty {unit}{'' if total == 1 else 's'}: {', '.join(parts)}"

    def _summary(self) -> str:
        if not self.findings:
            return "no problems found"
        errors = len(self.errors)
        counts = ((errors, "error"), (len(self.findings) - errors, "warning"))
        return " and ".join(
            f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count
        )

    def _short_findings(self) -> Iterator[str]:
        others = [finding for finding in self.findings if not finding.left_out]
        for finding in others[:_SHORT_FINDINGS]:
            first = finding.locations[0] if finding.locations else None
            where = finding.split if first is None else f"first {first}"
            side = f" ({finding.side})" if finding.side else ""
            rule = finding.rule.replace("_", " ")
            if finding.rule in _IN_FULL:
                yield f"  {finding.severity}: {finding.message}; {finding.remedy}"
                continue
            yield f"  {finding.severity}: {rule}{side} {finding.count:,} x, {where}"
        if (more := len(others) - _SHORT_FINDINGS) > 0:
            yield f"  and {more} more kinds; for all of them and their remedies: {self._check()}"
        elif self.findings:
            yield f"  for the remedies: {self._check()}"


def _rows(finding: Finding) -> str:
    """Return the file of the first row of a finding, and the numbers of the first rows."""
    lines = [f"{location.line:,}" for location in finding.locations if location.line is not None]
    more = ", …" if finding.count > len(lines) else ""
    if not lines:
        return finding.split
    first = finding.locations[0]
    unit = f"{first.unit}{'s' if finding.count > 1 else ''}"
    return f"{first.file}, {unit} {', '.join(lines)}{more}"
