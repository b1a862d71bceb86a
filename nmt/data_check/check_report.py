"""What the doctor says, as plain values: findings, the size of each split, tokens and cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import nmt
from nmt.data.locations import Place

ERROR, WARNING = "error", "warning"
_EXIT_CODES = {"clean": 0, "warnings": 1, "refused": 2}
_CHECK = "nmt data check --data, with these settings behind it"
_SHORT_FINDINGS = 6  # told at the head of a log


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or may be.

    Attributes:
        rule: What kind, as in docs/data.md.
        severity: ``error``, for which training is refused, or ``warning``.
        split: ``train``, ``valid`` or ``test``.
        side: ``source``, ``target``, or None for both together.
        count: How many lines or pairs.
        places: The first of them.
        message: What it is, where it begins and why it hurts.
        remedy: What to do or type.
    """

    rule: str
    severity: str
    split: str
    side: str | None
    count: int
    places: Sequence[Place]
    message: str
    remedy: str

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Finding":
        """Return what `to_mapping` wrote."""
        places = [Place(**place) for place in mapping["places"]]
        return cls(**{**mapping, "places": places})

    def to_mapping(self) -> dict[str, Any]:
        """Return it as plain values."""
        places = [{"file": p.file, "line": p.line, "text": p.text} for p in self.places]
        return {
            "rule": self.rule,
            "severity": self.severity,
            "split": self.split,
            "side": self.side,
            "count": self.count,
            "places": places,
            "message": self.message,
            "remedy": self.remedy,
        }


@dataclass(frozen=True)
class DataReport:
    """The whole report; ``findings`` begin with the most important.

    Attributes:
        corpus: Its ``name``, ``source_language`` and ``target_language``.
        splits: A row a split: pairs, both sides' sizes and histograms.
        findings: What is wrong.
        filters: Pairs ``kept`` and ``dropped`` by rule; None where nothing was filtered.
        tokens: By side, what the tokenizer makes of it; None without a tokenizer.
        cost: What an epoch will take; None without a tokenizer.
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
        """Return the report that `to_mapping` wrote.

        Raises:
            KeyError: Something is missing.
            TypeError: Something is of another kind.
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
    def status(self) -> str:
        """``clean``, ``warnings``, or ``refused`` where training would be."""
        if any(finding.severity == ERROR for finding in self.findings):
            return "refused"
        return "warnings" if self.findings else "clean"

    @property
    def exit_code(self) -> int:
        """0 clean, 1 warnings, 2 refused."""
        return _EXIT_CODES[self.status]

    @property
    def errors(self) -> list[Finding]:
        """The findings for which training is refused."""
        return [finding for finding in self.findings if finding.severity == ERROR]

    def to_mapping(self) -> dict[str, Any]:
        """Return the report as plain values, as JSON and the HTML page show it."""
        return {
            "nmt": self.version,
            "corpus": dict(self.corpus),
            "status": self.status,
            "splits": [dict(split) for split in self.splits],
            "findings": [finding.to_mapping() for finding in self.findings],
            "filters": None if self.filters is None else dict(self.filters),
            "tokens": None if self.tokens is None else dict(self.tokens),
            "cost": None if self.cost is None else dict(self.cost),
        }


def short_lines(report: DataReport) -> list[str]:
    """Return at most 8 lines for the head of a training's log, the most important first."""
    corpus = report.corpus
    pairs = ", ".join(f"{split['name']} {split['pairs']:,} pairs" for split in report.splits)
    name = f"{corpus['source_language']}-{corpus['target_language']}"
    lines = [f"data {name}: {pairs}; {_verdict(report)}"]
    lines += [_short(finding) for finding in report.findings[:_SHORT_FINDINGS]]
    if (more := len(report.findings) - _SHORT_FINDINGS) > 0:
        lines.append(f"  and {more} more kinds; all, and what to do: {_CHECK}")
    elif report.findings:
        lines.append(f"  what to do: {_CHECK}")
    return lines


def _verdict(report: DataReport) -> str:
    if not report.findings:
        return "nothing to complain about"
    errors = len(report.errors)
    warnings = len(report.findings) - errors
    parts = [
        f"{count} {word}{'s' if count > 1 else ''}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    ]
    return " and ".join(parts)


def _short(finding: Finding) -> str:
    where = f"first {finding.places[0]}" if finding.places else finding.split
    side = f" ({finding.side})" if finding.side else ""
    label = finding.rule.replace("_", " ")
    return f"  {finding.severity}: {label}{side} {finding.count:,} x, {where}"
