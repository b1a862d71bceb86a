"""Records of measured runs: made from run folders, and stored as JSON in data/results/.

A record is a row of docs/results.md: one configuration, with the runs of its seeds.

    title, section    the names of the row and of its table
    command           the command that trains it; FOLDER and FILE replace paths of one machine
    experiments       the files of configs/experiment that it uses
    settings          the settings that differ from their defaults
    digest            a hash of all settings except the seed; null: a carried-over record
    runs              one run per seed
    earlier           runs that were replaced: of an earlier version, or of another machine
    notes             sentences below the table

A carried-over run has the key `carried_over`, which names the earlier place of its figures. It
lacks the values that were not recorded at that time.
"""

import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nmt.config.plain import flatten
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.evaluation.metrics import DEFAULT_METRICS, ScoreOptions, bleu_tokenizer, corpus_score
from nmt.evaluation.older_papers import tokenized_lowercase_bleu
from nmt.evaluation.test_set import of_run
from nmt.run.comparison.tested_runs import settings_without_seed
from nmt.run.machine import processor
from nmt.run.reports.run_report import changed_settings
from nmt.run.run_record import RunRecord, RunStatus
from nmt.sweeps.overrides import compose_config

Record = dict[str, Any]

_RESAMPLES = 1000
_OF_THE_MACHINE = ("run.dir", "seed", "training.threads", "data.cache_dir")
"""Settings that a row's command leaves out: they differ between runs of a row."""
_FOLDERS = ("root", "dir", "teacher", "init_from")
"""The last parts of settings that name folders; others name files."""
_KEPT_FIGURES = (
    *("parameters", "updates", "best_update", "tokens", "seconds", "tokens_per_second"),
    *("stopped_by", "precision", "beam_size", "device", "processor", "threads", "processes"),
    *("torch", "python"),
)


def check_finished(record: RunRecord) -> None:
    """Refuse a run that is not finished.

    Raises:
        UserError: The run is not finished.
    """
    if record.status is not RunStatus.FINISHED:
        raise UserError(f"{record.path} is {record.status}; only finished runs have figures")


def run_entry(record: RunRecord, commit: str | None, *, here: bool) -> dict[str, Any]:
    """Return the figures of a finished run.

    Args:
        record: The run.
        commit: The commit of the program that trained it, if its summary does not name one.
        here: Whether this machine trained it, if its summary does not name the processor.

    Raises:
        UserError: Its test text cannot be read, or has other scores.
    """
    summary = dict(record.summary)
    summary.setdefault("processor", processor() if here else None)
    entry = {
        "seed": record.config.seed,
        "version": summary.get("nmt"),
        "commit": summary.get("commit") or commit,
        "date": _date(record),
        **{name: summary.get(name) for name in _KEPT_FIGURES},
        "valid": _plain_scores(summary.get("valid")),
        "test": _test_scores(record),
        "aer": record.figures()["aer"],
    }
    return {key: value for key, value in entry.items() if value is not None}


def _date(record: RunRecord) -> str | None:
    finished = record.summary.get("finished")
    if finished is not None:
        return str(finished)[:10]
    times = [line["time"] for line in record.metrics if "time" in line]  # seconds since 1970
    return datetime.fromtimestamp(times[-1], UTC).date().isoformat() if times else None


def _plain_scores(scores: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not scores:
        return None
    found: dict[str, Any] = {"perplexity": scores.get("perplexity")}
    for metric in DEFAULT_METRICS:
        key = "signature" if metric.value == "bleu" else f"{metric}_signature"
        if scores.get(metric.value) is not None:
            found[metric.value] = {"value": scores[metric.value], "signature": scores.get(key)}
    return found


def _test_scores(record: RunRecord) -> dict[str, Any] | None:
    """Return the test scores of the summary with the confidence of the run's translations.

    Raises:
        UserError: The translations do not have the scores of the summary.
    """
    found = _plain_scores(record.summary.get("test"))
    if found is None or record.translations is None:
        return found
    data, training = record.config.data, record.config.training
    references = of_run(data, "test").references
    words = bleu_tokenizer(data.target_language, training.bleu_tokenizer)
    for metric in DEFAULT_METRICS:
        options = ScoreOptions(words, _RESAMPLES)
        score = corpus_score(metric, record.translations, references, options)
        known = found.setdefault(metric.value, {"value": score.value})
        if abs(known["value"] - score.value) > 0.005:
            raise UserError(
                f"{record.path}: the {metric.label} of test.translations.txt is {score.value:.2f}, "
                f"that of summary.json {known['value']:.2f}; the folder or the text was changed"
            )
        found[metric.value] = {
            "value": known["value"],
            "interval": score.interval,
            "signature": score.signature,
        }
    try:
        older = tokenized_lowercase_bleu(record.translations, references, data.target_language)
        found["tokenized_lowercase"] = {"value": older.value, "signature": older.signature}
    except UserError:  # its package is not installed
        pass
    return found


def general_command(command: str) -> str:
    """Return a command of nmt train without what concerns one machine or one seed."""
    return shlex.join(["nmt", "train", *_general_overrides(command)])


def _general_overrides(command: str) -> Iterator[str]:
    words = shlex.split(command)
    if words[:2] != ["nmt", "train"]:
        raise UserError(f"the command is {command!r}; it must begin with nmt train")
    for word in words[2:]:
        key, equals, value = word.partition("=")
        if key.lstrip("+") not in _OF_THE_MACHINE:
            yield f"{key}{equals}{_general(value, key)}"


def _general(value: Any, key: str = "") -> Any:
    """Return a value in which a path of one machine is FOLDER or FILE, by what the key names."""
    if isinstance(value, Mapping):
        return {name: _general(part, f"{key}.{name}") for name, part in value.items()}
    if not isinstance(value, str) or not re.match(r"(/|~|\.\.?/)", value):
        return value
    return "FOLDER" if key.rpartition(".")[2] in _FOLDERS else "FILE"


def experiments_of(command: str) -> list[str]:
    """Return the experiments that a command of nmt train chooses."""
    words = [word.partition("=") for word in shlex.split(command)]
    chosen = [value.strip("[]").split(",") for key, _, value in words if key == "experiment"]
    return [name for names in chosen for name in names if name]


def check_command(command: str, config: Config, path: Path) -> None:
    """Refuse a command that does not give the settings of a run.

    Raises:
        UserError: A setting differs, or the command cannot be composed; the message names it.
    """
    list(_general_overrides(command))  # refuses another program
    given = flatten(settings_without_seed(compose_config(shlex.split(command)[2:], {})))
    known = flatten(settings_without_seed(config))
    for key in {**given, **known}:
        mine, other = _general(known.get(key), key), _general(given.get(key), key)
        if not isinstance(mine, Mapping) and mine != other:
            raise UserError(
                f"{path} has {key}={json.dumps(known.get(key))}, but the command gives "
                f"{json.dumps(given.get(key))}: {command}; give --command"
            )


def digest(config: Config, *, all_updates: bool) -> str:
    """Return the settings that are equal for runs that differ only in seed and folders.

    Args:
        config: The configuration of a run.
        all_updates: Whether the run made all of its `training.max_updates`. If so, its time limit
            had no effect and is left out.
    """
    settings = settings_without_seed(config)
    if all_updates:
        settings["training"].pop("max_minutes")
    text = json.dumps(_general(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def new_record(config: Config, command: str, model: str, *, all_updates: bool) -> Record:
    """Return a record without runs, with a title and a section made of the settings."""
    return {
        "title": _title(command, model),
        "section": _section(config),
        "command": command,
        "experiments": experiments_of(command),
        "settings": {key: _general(json.loads(value), key) for key, value, _ in _changed(config)},
        "digest": digest(config, all_updates=all_updates),
        "runs": [],
        "earlier": [],
        "notes": [],
    }


def _changed(config: Config) -> list[tuple[str, str, str]]:
    unnamed = ("run.", "logging.", *_OF_THE_MACHINE)
    return [row for row in changed_settings(config) if not row[0].startswith(unnamed)]


def _title(command: str, model: str) -> str:
    unnamed = ("experiment=", "data", "++data", "training.max_minutes=")
    more = [word for word in shlex.split(command)[2:] if not word.startswith(unnamed)]
    return ", ".join([model[:1].upper() + model[1:], *(f"`{word}`" for word in more)])


def _section(config: Config) -> str:
    data: Any = config.data
    corpus = str(getattr(data, "path", None) or data.name).rpartition("/")[2].capitalize()
    test = data.stems.test if getattr(data, "root", None) else None
    languages = f"{data.source_language}-{data.target_language}"
    return f"{corpus} {languages}" + (f", {test}" if test and test != "test" else "")


def add_run(record: Record, entry: dict[str, Any]) -> None:
    """Add a run to its record; a previous run of the same seed becomes an earlier one."""
    entry = _rounded(entry)  # as in the file
    replaced = [run for run in record["runs"] if run["seed"] == entry["seed"]]
    record["earlier"] += [run for run in replaced if run != entry]
    kept = [run for run in record["runs"] if run["seed"] != entry["seed"]]
    record["runs"] = sorted([*kept, entry], key=lambda run: run["seed"])


def matching(records: Mapping[Path, Record], record: Record) -> Path | None:
    """Return the file of the record with the same settings, or a carried-over one's command."""
    for path, other in records.items():
        if other.get("digest") == record["digest"]:
            return path
    for path, other in records.items():
        carried = "runs" in other and other["digest"] is None
        if carried and _untimed(other["command"]) == _untimed(record["command"]):
            return path
    return None


def _untimed(command: str) -> list[str]:
    words = shlex.split(general_command(command))
    return [word for word in words if not word.startswith("training.max_minutes=")]


def read_records(folder: Path) -> dict[Path, Record]:
    """Return the records of a folder by file, in the order of their names.

    Raises:
        UserError: A file is not a record.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path} is not JSON: {error}") from error
    return found


def write_record(path: Path, record: Record) -> None:
    """Write a record as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_rounded(record), indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {key: _rounded(part) for key, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value


def file_name(record: Record, taken: Sequence[Path]) -> str:
    """Return the file name of a new record, from its section and title."""
    text = f"{record['section']} {record['title']}".lower()
    name = re.sub(r"[^a-z0-9]+", "-", text).strip("-")[:80]
    names = {path.stem for path in taken}
    number = next(n for n in range(1, 1000) if (f"{name}-{n}" if n > 1 else name) not in names)
    return f"{name}-{number}.json" if number > 1 else f"{name}.json"
