"""Runs `nmt bench`: measures, prints tables and writes the numbers to a file."""

import json
import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

import nmt
from nmt import processes, runtime
from nmt.bench.decoding import bench_decoding
from nmt.bench.length_cost import length_cost
from nmt.bench.measured_run import MeasuredRun
from nmt.bench.shortlist_gain import shortlist_gain
from nmt.bench.text_report import (
    comparison_lines,
    decoding_table,
    length_cost_table,
    profile_table,
    shortlist_gain_table,
    training_table,
    unquiet,
)
from nmt.bench.training import Plan, bench_training, compare_trainings
from nmt.checkpoint import find_checkpoint, load_checkpoint
from nmt.config.schema import DecodingConfig
from nmt.data.text_files import read_lines
from nmt.decoding.translator import Translator
from nmt.durable_file import atomic_write
from nmt.errors import UserError
from nmt.reporting.console import Console, open_console
from nmt.run.machine import processor
from nmt.run.preparation import prepare_corpus
from nmt.sweeps.overrides import compose_config
from nmt.written_file import written_file


def bench_train(
    overrides: Sequence[str], against: str | None, plan: Plan, json_file: Path | None
) -> None:
    """Measure a configuration, or compare two.

    Args:
        overrides: Overrides as of `nmt train`.
        against: Further overrides of a second configuration, quoted as in a shell; None: one
            configuration is measured.
        plan: Numbers of updates, and options.
        json_file: The file for all numbers; None: none is written.

    Raises:
        UserError: A configuration is invalid, or the file cannot be written.
    """
    _refuse_flags(overrides)
    config = compose_config(overrides, {})
    result: dict[str, Any]
    with open_console(silent=not processes.is_first()) as console:
        if against is None:
            single = bench_training(config, overrides, plan, console)
            results = [single]
        else:
            others = [*overrides, *_split(against)]
            _refuse_flags(others)
            configs = config, compose_config(others, {})
            compared = compare_trainings(configs, (overrides, others), plan, console)
            results = [compared.first, compared.second]
    if not processes.is_first():
        return
    result = {"runs": [one.to_mapping() for one in results]}
    if against is None:
        print(training_table(results))
        if single.profile is not None:
            print(f"\n{profile_table(single.profile)}")
    else:
        print("\n".join(comparison_lines(compared)))
        result["ratio"] = asdict(compared.ratio)
    if unquiet(results):
        print("warning: other processes were busy the whole time, so these numbers are unreliable")
    _write(json_file, result)


def _split(against: str) -> list[str]:
    try:
        return shlex.split(against)
    except ValueError as error:
        raise UserError(f"--against {against}: {error}") from error


@dataclass(frozen=True)
class DecodeOptions:
    """The options of `nmt bench decode`; see `nmt.cli.bench`."""

    overrides: Sequence[str]
    model: Path | None
    source: Path | None
    sentences: int | None
    beam_size: int | None
    batch_size: int | None
    exact: int | None
    longer: int | None
    shortlist: Path | None
    rounds: int
    device: str
    json_file: Path | None
    precision: str = "auto"


def bench_decode(options: DecodeOptions) -> None:
    """Measure the translation speed of a model.

    Raises:
        UserError: The model, a setting or a file is invalid.
    """
    _refuse_flags(options.overrides)
    if options.model is not None and options.overrides:
        raise UserError(
            f"{options.overrides[0]} configures a new model, and --model names a trained one: "
            "give only one of them"
        )
    if options.longer is not None and options.exact is None:
        raise UserError("--longer compares with the length of --exact: give both")
    if options.shortlist is not None and options.model is None:
        raise UserError("--shortlist fits a trained model: add --model RUN")
    runtime.keep_freed_memory()  # as `nmt translate` does
    with open_console(silent=not processes.is_first()) as console:
        prepare = _trained_model if options.model else _new_model
        translator, text = prepare(options, console)
    if translator.model.feature_size is not None:
        raise UserError(
            "nmt bench decode measures models of text alone, but this model reads features: time "
            "nmt translate --features FILE instead"
        )
    sentences = text[: options.sentences]
    name = "new, random weights" if options.model is None else str(options.model)
    result = bench_decoding(name, translator, sentences, options.rounds, options.exact)
    print(decoding_table(result))
    if not result.quiet_rounds:
        print("warning: other processes were busy the whole time, so these numbers are unreliable")
    figures = {"decoding": result.to_mapping()}
    if options.longer is not None and options.exact is not None:
        lengths = options.exact, options.longer
        cost = length_cost(translator, sentences, lengths, options.rounds)
        print(length_cost_table(cost))
        figures["length_cost"] = cost.to_mapping()
    if options.shortlist is not None:
        gain = shortlist_gain(translator, sentences, options.rounds, options.exact)
        print(shortlist_gain_table(gain))
        figures["shortlist_gain"] = gain.to_mapping()
    _write(options.json_file, figures)


def _trained_model(options: DecodeOptions, console: Console) -> tuple[Translator, Sequence[str]]:
    """Return a run's model, and the requested text or the run's validation text."""
    assert options.model is not None
    checkpoint = load_checkpoint(find_checkpoint(options.model))
    translator = Translator.from_loaded_checkpoint(
        checkpoint,
        device=options.device,
        beam_size=options.beam_size,
        batch_size=options.batch_size,
        precision=options.precision,
        shortlist=options.shortlist,
    )
    if options.source is not None:
        return translator, read_lines(options.source)
    return translator, prepare_corpus(checkpoint.config, console, lambda: False).text.valid.source


def _new_model(options: DecodeOptions, console: Console) -> tuple[Translator, Sequence[str]]:
    """Return a model with random weights, and the validation text of its corpus."""
    settings = {} if options.device == "auto" else {"training.device": options.device}
    config = compose_config(options.overrides, settings)
    bench = MeasuredRun(config, console, planned=1).bench
    translator = bench.translator
    if options.precision != "auto":
        device = translator.model.output.weight.device
        translator.precision = runtime.pick_search_precision(options.precision, device)
    translator.prepare_weights()
    translator.decoding = _decoding_config(config.decoding, options)
    translator.by_sentences = options.batch_size is not None
    text = bench.corpus.text.valid.source
    return translator, text if options.source is None else read_lines(options.source)


def _decoding_config(decoding: DecodingConfig, options: DecodeOptions) -> DecodingConfig:
    return replace(
        decoding,
        beam_size=options.beam_size or decoding.beam_size,
        batch_size=options.batch_size or decoding.batch_size,
    )


def _refuse_flags(overrides: Sequence[str]) -> None:
    for override in overrides:
        if override.startswith("-"):
            raise UserError(f"nmt bench has no option {override}; see nmt bench train --help")


def _write(file: Path | None, result: Mapping[str, Any]) -> None:
    """Write numbers and a description of the machine.

    Raises:
        UserError: The file cannot be written.
    """
    if file is None:
        return
    content = json.dumps({"machine": describe_machine(), **result}, indent=2) + "\n"
    with written_file(f"--json {file}", file), atomic_write(file) as partial:
        partial.write_text(content, encoding="utf-8", newline="\n")


def describe_machine() -> dict[str, Any]:
    """Return the versions and the hardware on which figures depend."""
    return {
        "nmt": nmt.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "gpus": torch.cuda.device_count(),
        "cuda": torch.version.cuda,
    }
