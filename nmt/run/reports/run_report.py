"""The content of the page of a run, collected from its folder."""

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import nmt
from nmt.config.plain import flatten, to_mapping
from nmt.config.schema import Config
from nmt.config.setting import declared
from nmt.errors import UserError
from nmt.evaluation.metrics import (
    DEFAULT_METRICS,
    Score,
    ScoreOptions,
    bleu_tokenizer,
    corpus_score,
)
from nmt.evaluation.test_set import of_run
from nmt.reporting.attention_json import FORMAT
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.pages.line_chart import Line
from nmt.reporting.pages.run_page import RunPage, SampleHistory
from nmt.reporting.sample_log import read_samples
from nmt.run.folder import RunFolder
from nmt.run.run_record import RunRecord

_CURVES = {  # heading: metrics in one chart
    "loss per target piece, in nats": ("train/loss", "valid/loss"),
    "BLEU of the validation text": ("valid/bleu",),
    "learning rate": ("train/learning_rate",),
    "target pieces per second": ("train/tokens_per_second",),
}
_RESAMPLES = 1000
_ROUNDING = 0.005  # larger differences show that a text has changed since the training
_MOST_POINTS = 500  # of a curve in a page


def run_page(record: RunRecord) -> RunPage:
    """Return the content of a run's page.

    Args:
        record: The run, finished or not.
    """
    folder, config, summary = RunFolder(record.path), record.config, record.summary
    languages = f"{config.data.source_language} to {config.data.target_language}"
    return RunPage(
        name=record.path.resolve().name,
        subtitle=f"{summary.get('model', _kind(config))}; {languages}; {record.status}",
        scores=list(_scores(record)),
        figures=list(_figures(record)),
        charts=[
            (title, lines) for title, names in _CURVES.items() if (lines := _lines(record, names))
        ],
        heatmaps=latest_heatmaps(folder.attention),
        samples=sample_histories(folder.samples),
        corpus=_corpus_lines(folder.log),
        settings=changed_settings(config),
        command=summary.get("command", ""),
        environment={
            title: str(summary[key])
            for key, title in (
                ("nmt", "nmt"),
                ("commit", "commit"),
                ("torch", "torch"),
                ("python", "Python"),
                ("device", "device"),
                ("processor", "processor"),
                ("threads", "threads"),
                ("precision", "precision of products"),
                ("processes", "processes"),
            )
            if summary.get(key) is not None
        },
        version=nmt.__version__,
    )


def _kind(config: Config) -> str:
    encoder, decoder = config.model.encoder.name, config.model.decoder.name
    return encoder if encoder == decoder else f"{encoder} to {decoder}"


def _scores(record: RunRecord) -> Iterator[tuple[str, str, str, str]]:
    """Yield text, score, value and signature of each final score; with intervals if possible."""
    measured = _with_confidence(record)
    for split, name in (("test", "test"), ("valid", "validation")):
        scores = record.summary.get(split) or {}
        for metric in DEFAULT_METRICS:
            value = scores.get(metric.value)
            if value is None:
                continue
            key = "signature" if metric.value == "bleu" else f"{metric}_signature"
            signature, shown = scores.get(key, ""), f"{value:.2f}"
            found = measured.get(metric.value) if split == "test" else None
            if found is not None and abs(found.value - value) <= _ROUNDING:
                shown += f" ± {found.interval:.2f}"
                signature = found.signature
            yield name, metric.label, shown, signature


def _with_confidence(record: RunRecord) -> dict[str, Score]:
    """Return the scores of the test text as it is now; empty if it cannot be read."""
    if record.translations is None:
        return {}
    data, training = record.config.data, record.config.training
    try:
        text = of_run(data, "test")
        words = bleu_tokenizer(data.target_language, training.bleu_tokenizer)
    except UserError:
        return {}
    if len(text) != len(record.translations):
        return {}
    options = ScoreOptions(words, _RESAMPLES)
    return {
        metric.value: corpus_score(metric, record.translations, text.references, options)
        for metric in DEFAULT_METRICS
    }


def _figures(record: RunRecord) -> Iterator[tuple[str, str]]:
    found, summary = record.figures(), record.summary
    perplexity = (summary.get("valid") or {}).get("perplexity")
    rows = {
        "parameters": _number(found["parameters"]),
        "updates": _number(found["updates"]),
        "best update": _number(summary.get("best_update")),
        "epochs": _number(summary.get("epochs")),
        "target pieces": _number(summary.get("tokens")),
        "minutes of training, with validations": _number(found["minutes"]),
        "target pieces per second, without validations": _number(found["tokens_per_second"]),
        "validation perplexity": _number(perplexity),
        "alignment error rate": None if found["aer"] is None else f"{found['aer']:.1f} %",
        "stopped by": summary.get("stopped_by"),
    }
    yield from ((name, text) for name, text in rows.items() if text is not None)


def _number(value: float | None) -> str | None:
    if value is None:
        return None
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _lines(record: RunRecord, names: Sequence[str]) -> list[Line]:
    found = []
    for name in names:
        points = record.curve(name)
        step = max(1, math.ceil(len(points) / _MOST_POINTS))
        if len(points) > 1:
            found.append(Line(name.partition("/")[0], [*points[:-1:step], points[-1]]))
    return found


def latest_heatmaps(folder: Path) -> list[Heatmap]:
    """Return the latest heatmaps of the validation sentences; a damaged file is left out."""
    found = []
    for path in sorted(folder.glob("sample-*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            (one,) = content["sentences"]
            weights = np.array(one["weights"][0][0], dtype=float)
            texts = [*one["source"], *one["target"], one["title"]]
            if content["format"] == FORMAT and all(isinstance(text, str) for text in texts):
                found.append(Heatmap(weights, one["source"], one["target"], one["title"]))
        except (OSError, ValueError, KeyError, TypeError, IndexError):  # damaged or another format
            continue
    return found


def sample_histories(path: Path) -> list[SampleHistory]:
    """Return the translations of each sample, with the updates at which they changed."""
    try:
        lines = read_samples(path) if os.path.exists(path) else []
    except OSError:
        return []
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for line in lines:
        for source, reference, translation in line["rows"]:
            history = found.setdefault((source, reference), [])
            if not history or history[-1][1] != translation:
                history.append((line["step"], translation))
    return [SampleHistory(*texts, history) for texts, history in found.items()]


def _corpus_lines(log: Path) -> list[str]:
    """Return the lines about the preparation of the corpus from the start of the run's log."""
    found: list[str] = []
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    for line in lines:
        message = line.partition(" nmt: ")[2]
        if message.startswith("model "):
            break
        if message and not message.startswith("run folder "):
            found.append(message)
    return found


def changed_settings(config: Config) -> list[tuple[str, str, str]]:
    """Return the settings that differ from their defaults: full key, value, default."""
    values = flatten(to_mapping(config))
    found = []
    for key, default in _defaults(config):
        value = values.get(key)
        if value != default and not isinstance(value, Mapping):
            found.append((key, _shown(value), _shown(default)))
    return found


def _shown(value: Any) -> str:
    plain = to_mapping(value) if dataclasses.is_dataclass(value) else value
    return json.dumps(plain, ensure_ascii=False)


def _defaults(section: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield full key and default of every declared setting."""
    for field in dataclasses.fields(section):
        key, value = f"{prefix}{field.name}", getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            yield from _defaults(value, f"{key}.")
        elif declared(field) is not None:
            yield key, _default_of(field)


def _default_of(field: "dataclasses.Field[Any]") -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None
