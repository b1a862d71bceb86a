"""Compares runs: settings that differ, figures, and tests of the differences in BLEU."""

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.config.plain import flatten, to_mapping
from nmt.evaluation.significance import PairedTestName
from nmt.run.comparison.same_files import (
    by_configuration,
    real_names,
    same_text,
    without_names,
)
from nmt.run.comparison.tested_runs import (
    ComparedScores,
    compare_scores,
    first_of_each_seed,
)
from nmt.run.run_record import RunRecord

ABSENT = "-"
AVERAGED = ("valid_bleu", "bleu", "chrf", "ter", "perplexity", "aer")
"""Figures with a mean and a standard deviation over seeds."""


@dataclass(frozen=True)
class Comparison:
    """A comparison of runs, as JSON values.

    Attributes:
        settings: Full keys of the settings that differ.
        rows: One per run: ``name``, ``folder``, ``status``, ``settings``, the figures of
            `RunRecord.figures`, and ``bleu_interval`` and ``bleu_p_value`` if BLEU was tested.
        seeds: One per group of finished runs that differ only in their seed: ``runs``,
            ``settings``, and mean and standard deviation of each figure.
        configurations: One per group of tested runs that differ at most in their seed: ``runs``,
            the mean ``bleu``, and ``bleu_difference`` and ``bleu_p_value`` against the first
            group, which has the first run. Empty: no group has several runs.
        signature: The signature of BLEU; empty: nothing was compared.
        notes: What could not be compared, and why.
    """

    settings: list[str]
    rows: list[dict[str, Any]]
    seeds: list[dict[str, Any]]
    configurations: list[dict[str, Any]]
    signature: str
    notes: list[str]


def compare_runs(records: Sequence[RunRecord], test: PairedTestName | None) -> Comparison:
    """Compare runs. Significance tests compare with the first run that has test translations.

    Args:
        records: At least one.
        test: The test of significance; None: no test.
    """
    names = _names([record.path for record in records])
    settings = differing_settings(records)
    rows = [
        {
            "name": name,
            "folder": str(record.path),
            "status": str(record.status),
            "settings": _values(record, settings),
            **record.figures(),
        }
        for name, record in zip(names, records, strict=True)
    ]
    tested = ComparedScores() if test is None else compare_scores(names, records, test)
    for n, score in tested.scores.items():
        rows[n] |= {"bleu_interval": score.interval, "bleu_p_value": score.p_value}
    notes = [*tested.notes, *_notes(names, records), *_without_perplexity(rows, records)]
    seeds = _over_seeds(rows, records, settings)
    return Comparison(settings, rows, seeds, tested.configurations, tested.signature, notes)


def differing_settings(records: Sequence[RunRecord]) -> list[str]:
    """Return the keys of settings whose values differ between runs, without ``run.dir``.

    If a part, e.g. attention, has different kinds, its kinds have different settings. A setting of
    the part is then listed only if it differs between runs with the same kind. Kinds of a part
    within a part, such as the attention of an RNN decoder, are compared in the settings that they
    share, such as the window. A file may have several names; see `nmt.run.comparison.same_files`.
    """
    configs = [record.config for record in records]
    mappings = map(without_names if same_text(records) else real_names, configs)
    flat = [_values_of(mapping) for mapping in mappings]
    keys = dict.fromkeys(key for mapping in flat for key in mapping)
    return [key for key in keys if _differs(key, flat)]


def _differs(key: str, flat: Sequence[dict[str, Any]]) -> bool:
    """Return whether a setting differs between runs that have the same kinds of its parts."""
    parts = key.split(".")
    names = [".".join([*parts[:n], "name"]) for n in range(1, len(parts))]
    kinds = [name for name in names if name != key and any(name in mapping for mapping in flat)]
    if len(kinds) > 1:
        kinds, flat = kinds[:-1], [mapping for mapping in flat if key in mapping]
    found: dict[tuple[str, ...], set[str]] = {}
    for mapping in flat:
        same = tuple(_shown(mapping, kind) for kind in kinds)
        found.setdefault(same, set()).add(_shown(mapping, key))
    return any(len(values) > 1 for values in found.values())


def _values_of(mapping: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in flatten(mapping).items() if not isinstance(value, dict)}


def _shown(mapping: dict[str, Any], key: str) -> str:
    return json.dumps(mapping[key]) if key in mapping else ABSENT


def _values(record: RunRecord, settings: Sequence[str]) -> dict[str, Any]:
    """Return the values of settings, also of those that the naming mapping leaves out."""
    known = flatten(to_mapping(record.config))
    return {key: known.get(key) for key in settings}


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the last part of each path, or the whole paths if last parts are equal."""
    short = [path.resolve().name for path in paths]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def _over_seeds(
    rows: Sequence[dict[str, Any]], records: Sequence[RunRecord], settings: Sequence[str]
) -> list[dict[str, Any]]:
    """Return mean and standard deviation of finished runs that differ only in their seed."""
    finished = [n for n, record in enumerate(records) if record.summary]
    found = []
    for group in by_configuration([records[n] for n in finished]):
        members = first_of_each_seed(records, [finished[index] for index in group])
        if len(members) < 2:
            continue
        chosen = [rows[n] for n in members]
        values = chosen[0]["settings"]
        found.append(
            {
                "runs": [row["name"] for row in chosen],
                "settings": {key: values[key] for key in settings if key != "seed"},
                **{name: spread([row[name] for row in chosen]) for name in AVERAGED},
            }
        )
    return found


def _notes(names: Sequence[str], records: Sequence[RunRecord]) -> Iterator[str]:
    """Yield what a reader should know of finished runs that are copies or ended early."""
    finished = [n for n, record in enumerate(records) if record.summary]
    copies = []
    for group in by_configuration([records[n] for n in finished]):
        members = [finished[index] for index in group]
        kept = first_of_each_seed(records, members)
        first = {records[n].config.seed: names[n] for n in kept}
        copies += [
            f"{names[n]} of {first[records[n].config.seed]}" for n in members if n not in kept
        ]
    if copies:
        yield (
            "means and tests of settings leave out runs that repeat the settings and the seed of "
            f"another run: {', '.join(copies)}"
        )
    early = [
        f"{names[n]} at update {records[n].summary.get('updates', 0):,} of "
        f"{records[n].config.training.max_updates:,}"
        for n in finished
        if records[n].summary.get("stopped_by") == "max_minutes"
    ]
    if early:
        yield f"training.max_minutes stopped runs early: {', '.join(early)}"


def _without_perplexity(
    rows: Sequence[dict[str, Any]], records: Sequence[RunRecord]
) -> Iterator[str]:
    """Remove perplexities that cannot be compared; yield why."""
    pairs = zip(records, rows, strict=True)
    known = [record for record, row in pairs if row["perplexity"] is not None]
    hashes = {record.summary["test"].get("target_pieces") for record in known}
    recorded = None not in hashes
    if len(hashes if recorded else {_pieces_settings(record) for record in known}) > 1:
        for row in rows:
            row["perplexity"] = None
        why = (
            "the pieces of the test text differ"
            if recorded
            else "the settings of the data or the tokenizer differ, so the pieces may differ"
        )
        yield f"perplexity is left out: it is an average per piece, and {why}"


def _pieces_settings(record: RunRecord) -> str:
    """Return the settings that decide into which pieces the test text is divided.

    They are compared if an earlier version made a summary, without the hash of the pieces.
    """
    mapping = real_names(record.config)
    tokenizer = {key: value for key, value in mapping["tokenizer"].items() if key != "sampling"}
    return json.dumps([mapping["data"], tokenizer], sort_keys=True)


def spread(values: Sequence[float | None]) -> dict[str, float] | None:
    """Return mean and standard deviation over seeds; None: a value is unknown or the only one.

    Args:
        values: One per seed.
    """
    known = [value for value in values if value is not None]
    if len(known) < max(2, len(values)):
        return None
    return {"mean": statistics.mean(known), "deviation": statistics.stdev(known)}
