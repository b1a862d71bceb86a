"""Compares runs: settings that differ, figures, and tests of the differences in BLEU."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nmt.config.plain import flatten, to_mapping, to_naming_mapping
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.evaluation.metrics import MetricName, bleu_tokenizer
from nmt.evaluation.seed_significance import compare_configurations
from nmt.evaluation.significance import PairedScores, PairedTestName, paired_scores
from nmt.evaluation.test_set import of_run
from nmt.run.run_record import RunRecord

ABSENT = "-"
AVERAGED = ("valid_bleu", "bleu", "chrf", "ter", "aer")
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
    tested = _Tested([], "", [])
    if test is not None:
        tested = _add_significance(rows, records, test)
    seeds = _over_seeds(rows, records, settings)
    return Comparison(settings, rows, seeds, tested.configurations, tested.signature, tested.notes)


def differing_settings(records: Sequence[RunRecord]) -> list[str]:
    """Return the keys of settings whose values differ between runs, without ``run.dir``.

    If a part, e.g. attention, has different kinds, its kinds have different settings. A setting of
    the part is then listed only if it differs between runs with the same kind. Kinds of a part
    within a part, such as the attention of an RNN decoder, are compared in the settings that they
    share, such as the window.
    """
    flat = [_flat(record) for record in records]
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


def _flat(record: RunRecord) -> dict[str, Any]:
    mapping = to_naming_mapping(record.config)
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


class _Tested(NamedTuple):
    """The results of a significance test, except those in the rows."""

    configurations: list[dict[str, Any]]
    signature: str
    notes: list[str]


def _add_significance(
    rows: Sequence[dict[str, Any]], records: Sequence[RunRecord], test: PairedTestName
) -> _Tested:
    """Add intervals and p-values of BLEU to the rows; compare configurations over their seeds."""
    tested = [n for n, record in enumerate(records) if record.translations is not None]
    if len(tested) < 2:
        why = "fewer than two runs have translations of a test text, so none is compared"
        return _Tested([], "", [why])
    first = records[tested[0]]
    try:
        text = of_run(first.config.data, "test")
        words = bleu_tokenizer(
            first.config.data.target_language, first.config.training.bleu_tokenizer
        )
    except UserError as error:
        return _Tested([], "", [f"no test of significance: {error}"])
    equal, notes = [], []
    for n in tested:
        if _same_test(records[n], first) and len(records[n].translations or []) == len(text):
            equal.append(n)
        else:
            notes.append(f"{rows[n]['name']} and {rows[tested[0]]['name']} differ in the test text")
    if len(equal) < 2:
        return _Tested([], "", notes)
    systems = {rows[n]["name"]: records[n].translations or [] for n in equal}
    found = paired_scores(systems, text.references, [MetricName.BLEU], test, tokenizer=words)
    groups = _by_configuration(records, equal)
    configurations = _configurations(groups, rows, records, text.references, words)
    return _Tested(configurations, _fill(rows, equal, found[MetricName.BLEU], groups[0]), notes)


def _configurations(
    groups: Sequence[Sequence[int]],
    rows: Sequence[dict[str, Any]],
    records: Sequence[RunRecord],
    references: Sequence[Sequence[str]],
    words: str,
) -> list[dict[str, Any]]:
    """Return the differences of configurations; empty if each configuration has one run."""
    if all(len(members) == 1 for members in groups):
        return []
    translations = [[records[n].translations or [] for n in members] for members in groups]
    scores = compare_configurations(translations, references, words)
    return [
        {
            "runs": [rows[n]["name"] for n in members],
            "bleu": score.mean,
            "bleu_difference": score.difference,
            "bleu_p_value": score.p_value,
        }
        for members, score in zip(groups, scores, strict=True)
    ]


def _same_test(record: RunRecord, first: RunRecord) -> bool:
    """Return whether two runs have the same settings of their test text."""
    return _test_text(record) == _test_text(first)


def _test_text(record: RunRecord) -> Any:
    data = to_mapping(record.config.data)
    keys = ("source_language", "target_language", "test", "splits", "stems", "root", "path", "name")
    return {key: data.get(key) for key in keys}


def _fill(
    rows: Sequence[dict[str, Any]],
    tested: Sequence[int],
    found: PairedScores,
    like_first: Sequence[int],
) -> str:
    """Write intervals and p-values into rows and return the signature of BLEU.

    Runs that differ from the first run only in their seed get no p-value.
    """
    for n, score in zip(tested, found.scores, strict=True):
        p_value = None if n in like_first else score.p_value
        rows[n] |= {"bleu_interval": score.interval, "bleu_p_value": p_value}
    return found.signature


def _by_configuration(records: Sequence[RunRecord], chosen: Sequence[int]) -> list[list[int]]:
    """Return groups of runs that differ at most in their seed, in the order of their first runs."""
    groups: dict[str, list[int]] = {}
    for n in chosen:
        mapping = settings_without_seed(records[n].config)
        groups.setdefault(json.dumps(mapping, sort_keys=True), []).append(n)
    return list(groups.values())


def _over_seeds(
    rows: Sequence[dict[str, Any]], records: Sequence[RunRecord], settings: Sequence[str]
) -> list[dict[str, Any]]:
    """Return mean and standard deviation of finished runs that differ only in their seed."""
    finished = [n for n, record in enumerate(records) if record.summary]
    found = []
    for members in _by_configuration(records, finished):
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


def settings_without_seed(config: Config) -> dict[str, Any]:
    """Return the settings that change the model, without the seed; runs of one group share them.

    The number of threads is left out, because it changes a model only by rounding.

    Args:
        config: The settings of a run.
    """
    mapping = to_naming_mapping(config)
    mapping.pop("seed", None)
    mapping["training"].pop("threads", None)
    return mapping


def spread(values: Sequence[float | None]) -> dict[str, float] | None:
    """Return mean and standard deviation over seeds; None: a value is unknown or the only one.

    Args:
        values: One per seed.
    """
    known = [value for value in values if value is not None]
    if len(known) < max(2, len(values)):
        return None
    return {"mean": statistics.mean(known), "deviation": statistics.stdev(known)}
