"""`nmt evaluate`: scores of systems on a test set, and whether they differ."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt import loading_phase
from nmt.cli.options.common_options import (
    BatchSize,
    BeamSize,
    Device,
    EnsembleMean,
    JsonOutput,
    LengthPenalty,
    ShortlistFile,
    Threads,
)
from nmt.cli.options.evaluation_options import MeasureOptions, TestSetOptions
from nmt.cli.options.option_groups import with_groups
from nmt.cli.options.search_settings import SearchSettings
from nmt.config.ensemble_mean import Mean
from nmt.errors import UserError
from nmt.printable import printable_json
from nmt.reporting.command_progress import CommandProgress

if TYPE_CHECKING:
    from nmt.config.data import DataConfig
    from nmt.config.schema import Config
    from nmt.decoding.translator import Translator
    from nmt.evaluation.evaluation_report import EvaluationReport
    from nmt.evaluation.system_output import SystemOutput
    from nmt.evaluation.test_set import TestSet

Systems = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[SYSTEM]...",
        help="Runs, checkpoints, or files with one translation per line. Each is compared with "
        "the first.",
        show_default=False,
    ),
]
Ensembled = Annotated[
    list[Path] | None,
    typer.Option(
        "--model",
        metavar="<path>",
        help="The first system: a run folder, a checkpoint, or a packed model. If it is repeated, "
        "the models translate together; their vocabularies must be the same.",
        show_default=False,
    ),
]
Language = Annotated[
    str | None,
    typer.Option(
        help=(
            "Code of the target language, which determines BLEU's tokenizer. [the run's language]"
        )
    ),
]
SaveTo = Annotated[
    Path | None,
    typer.Option(help="A folder for the translations and references, as sacrebleu reads them."),
]


@dataclass(frozen=True)
class _System:
    """A system on the command line.

    Attributes:
        paths: The models of an ensemble, or one model, or a file with translations.
        is_model: Whether the paths are models.
    """

    paths: tuple[Path, ...]
    is_model: bool

    @property
    def path(self) -> str:
        """The paths as they were given."""
        return " + ".join(map(str, self.paths))


@dataclass(frozen=True)
class _Search:
    """How models translate; None selects the run's setting."""

    beam_size: int | None
    length_penalty: float | None
    batch_size: int | None
    settings: SearchSettings
    mean: Mean
    device: str
    threads: int | None
    shortlist: Path | None

    def on_gpu(self) -> bool:
        """Return whether models run on a GPU."""
        from nmt.runtime import pick_device

        return pick_device(self.device).type == "cuda"

    def load(self, system: _System) -> "tuple[list[Config], Translator]":
        """Load a model or an ensemble; return the settings of each model and the translator.

        Raises:
            UserError: There is no such model, or an option does not fit it.
        """
        from nmt import runtime
        from nmt.decoding.ensemble import load_models

        runtime.set_threads(self.threads)
        runtime.keep_freed_memory()
        checkpoints, translator = load_models(
            list(system.paths),
            mean=self.mean,
            device=self.device,
            beam_size=self.beam_size,
            length_penalty=self.length_penalty,
            batch_size=self.batch_size,
            changes=self.settings.changes(),
            shortlist=self.shortlist,
        )
        return [checkpoint.config for checkpoint in checkpoints], translator


@with_groups
def evaluate(
    systems: Systems = None,
    model: Ensembled = None,
    test: TestSetOptions = TestSetOptions(),  # noqa: B008
    measures: MeasureOptions = MeasureOptions(),  # noqa: B008
    language: Language = None,
    save: SaveTo = None,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    settings: SearchSettings = SearchSettings(),  # noqa: B008
    ensemble: EnsembleMean = Mean.LOG_PROBS,
    shortlist: ShortlistFile = None,
    device: Device = "auto",
    threads: Threads = None,
    as_json: JsonOutput = False,
) -> None:
    """Score runs or files of translations: BLEU, chrF and TER with their sacreBLEU signatures.

    Several systems are compared with the first one by a paired test of significance.
    """
    from nmt.reporting.evaluation_text import evaluation_lines

    test.check()
    measures.check()
    if test.groups is not None and not measures.detail:
        raise UserError("--groups needs --detail, which scores the sentences of each label")
    named = _named(systems or [], model or [])
    places = device, threads, shortlist
    search = _Search(beam_size, length_penalty, batch_size, settings, ensemble, *places)
    with CommandProgress() as progress:
        report = _evaluate(named, test, measures, language, search, save, progress).plain()
    print(printable_json(report) if as_json else "\n".join(evaluation_lines(report)))


def _evaluate(
    named: Sequence[_System],
    test: TestSetOptions,
    measures: MeasureOptions,
    language: str | None,
    search: _Search,
    save: Path | None,
    progress: CommandProgress,
) -> "EvaluationReport":
    """Read the test set, translate it with each model and score all systems."""
    first = next((system for system in named if system.is_model), None)
    progress.show("loading", named[0].path)
    from nmt.evaluation.evaluation_report import evaluate_systems

    data = None if first is None else search.load(first)[0][0].data
    known = language or ("" if data is None else data.target_language)
    measure = measures.measure(known, on_gpu=measures.comet is not None and search.on_gpu())
    test_set = test.read(data)
    if first is not None and test_set.source is None:
        raise UserError(f"{first.path} is a model: give the sentences it translates as --source")
    read = [
        _output(system, name, test_set, search, progress)
        for system, name in zip(named, _names(named), strict=True)
    ]
    outputs = [output for output, _ in read]
    if save is not None:
        _save(save, outputs, test_set)
    progress.show("scoring")
    training = _training_text(data) if measure.detail and data is not None else None
    report = evaluate_systems(outputs, test_set, measure, training)
    return replace(report, notes=[*_languages(read, known), *report.notes])


def _languages(
    read: "Sequence[tuple[SystemOutput, Sequence[Config]]]", target: str
) -> Iterator[str]:
    """Yield notes about models that translate into another language than the references'."""
    for output, configs in read:
        for data in (config.data for config in configs):
            if _primary(data.target_language) != _primary(target):
                yield (
                    f"{output.name} translates {data.source_language} into "
                    f"{data.target_language}, but the references are in {target}"
                )


def _named(systems: Sequence[Path], models: Sequence[Path]) -> list[_System]:
    """Return the systems in order; the system of --model is the first.

    Raises:
        UserError: There is no system, one is named twice, or a file cannot be read.
    """
    found = [_System(tuple(models), True)] if models else []
    found += [_System((path,), _is_model(path)) for path in systems]
    if not found:
        raise UserError(
            "name at least one system: a run as --model RUN, or runs and files with translations "
            "as arguments"
        )
    for system in found:
        if found.count(system) > 1:
            raise UserError(f"{system.path} is named twice; systems are compared with each other")
    return found


def _names(systems: Sequence[_System]) -> list[str]:
    """Return the names of the systems in reports: the last part of each path if these differ."""
    short = [" + ".join(path.name or str(path) for path in one.paths) for one in systems]
    return short if len(set(short)) == len(short) else [one.path for one in systems]


def _is_model(path: Path) -> bool:
    """Return whether a path is a run or a checkpoint, rather than a text of translations."""
    if not os.path.isfile(path):
        return True  # opening it reports a path that does not exist
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _primary(language: str) -> str:
    """Return ``de`` for ``de-AT``."""
    return language.replace("_", "-").casefold().partition("-")[0]


def _output(
    system: _System, name: str, test_set: "TestSet", search: _Search, progress: CommandProgress
) -> "tuple[SystemOutput, Sequence[Config]]":
    """Return the translations of a system and the settings of its models."""
    from nmt.decoding.document_search import common_context
    from nmt.evaluation.system_output import read_output, translate_test_set

    if not system.is_model:
        return read_output(system.paths[0], name, test_set), []
    progress.show("loading", system.path)
    configs, translator = search.load(system)
    loading_phase.end()
    advance = progress.stage("translating", len(test_set))
    context = common_context(configs)
    return translate_test_set(name, translator, test_set, advance, context), configs


def _training_text(data: "DataConfig") -> Iterator[str]:
    """Yield the source sentences of the training text, if it can still be read."""
    from nmt.data.corpus import split_sources

    for chunk in split_sources(data)["train"].chunks(20_000):
        yield from chunk.sources


def _save(folder: Path, outputs: "Sequence[SystemOutput]", test_set: "TestSet") -> None:
    """Write translations, references and sources as files that the sacrebleu command reads."""
    from nmt.durable_file import atomic_write
    from nmt.written_file import written_file

    texts = {f"system-{n}.txt": one.translations for n, one in enumerate(outputs, start=1)}
    texts |= {f"reference-{n}.txt": one for n, one in enumerate(test_set.references, start=1)}
    if test_set.source is not None:
        texts["source.txt"] = test_set.source
    for name, lines in texts.items():
        path = folder / name
        with written_file(f"--save {path}", path), atomic_write(path) as partial:
            text = "".join(f"{line}\n" for line in lines)
            partial.write_text(text, encoding="utf-8", newline="\n")
