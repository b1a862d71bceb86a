"""`nmt train`: Hydra composes, everything after is plain typed Python."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nmt.cli.error_messages import USER_ERROR, print_error
from nmt.cli.together import join, launched, one_end, speaks
from nmt.config.check_config import check_config
from nmt.config.folders import config_directory
from nmt.config.plain import flatten, to_mapping
from nmt.config.schema import Config
from nmt.config.store import register_schemas
from nmt.errors import UserError
from nmt.sweeps.composition_errors import composed_from, explain, readable, setting_paths
from nmt.sweeps.optuna_sweeper import register_sweeper
from nmt.sweeps.sweep import (
    SweepRecord,
    is_sweep,
    left_to_the_jobs,
    refuse_single_run,
    sweep_name,
)
from nmt.sweeps.train_help import help_text

if TYPE_CHECKING:
    from nmt.pipeline import Outcome

RESUME_ME = 75  # EX_TEMPFAIL: interrupted, saved, the same command goes on


def run(arguments: Sequence[str]) -> None:
    """Run the Hydra application with these arguments.

    A sweep's jobs run one after another in this process, or where a launcher takes them; one that
    fails is told at once and the others go on. However the sweep ends, a table of the jobs so far
    is the last that it says.

    Raises:
        UserError: The configuration cannot be composed.
    """
    with one_end():
        join()
        _run(arguments)


def _run(arguments: Sequence[str]) -> None:
    arguments = _overrides_first(arguments)
    register_schemas()
    register_sweeper()
    if {"--help", "-h"} & set(arguments):
        print(_help(arguments))
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us as exceptions, not as Hydra's prints
    sys.argv = ["nmt train", *arguments]
    started, failed = False, False
    sweep = SweepRecord()

    def job(composed: DictConfig) -> float | None:
        nonlocal started, failed
        started = True
        sweep.begin()
        try:
            with one_end():  # before Hydra says that a job has failed, in each process
                try:
                    outcome = _train(composed)
                except OmegaConfBaseException as error:
                    raise explain(error, arguments) from error
        except UserError as error:
            print_error(error)
            failed = not is_sweep()
            sweep.note("failed", reason=_one_line(error))
            return None
        except KeyboardInterrupt:
            sweep.note("interrupted")
            raise
        except BaseException as error:
            sweep.note("failed", reason=_one_line(error))
            raise
        if outcome.rehearsal:
            sweep.forget()
            if speaks():
                print("\n".join(outcome.rehearsal))
            return None
        if outcome.summary is None:
            sweep.note("interrupted", outcome.folder.path)
            sys.exit(RESUME_ME)
        score, metric = _score(outcome.summary, composed.training.best_metric)
        sweep.note("finished", outcome.folder.path, outcome.summary, score=score, metric=metric)
        return score

    application = hydra.main(
        version_base="1.3", config_path=str(config_directory()), config_name="train"
    )(job)
    try:
        application()
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        if isinstance(error, ValueError) and (started or sweep.rows()):
            raise  # no fault of the command line
        raise explain(error, arguments) from error
    finally:
        sweep.report()
    if failed or sweep.failed():
        sys.exit(USER_ERROR)


def _help(arguments: Sequence[str]) -> str:
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    try:
        return help_text(overrides, composed_from)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise explain(error, arguments) from error


def _score(summary: Mapping[str, Any], metric: str) -> tuple[float, str]:
    """Return how good a finished run is on validation, larger is better, and by what."""
    from nmt.training.kept_checkpoints import score  # only now: it loads torch

    return score(summary["valid"], metric), metric


def _one_line(error: BaseException) -> str:
    told = " ".join(str(error).split())
    return told if isinstance(error, UserError) else f"{type(error).__name__}: {told}"


def _overrides_first(arguments: Sequence[str]) -> list[str]:
    """Put flags last, for Hydra takes none in the midst of overrides; refuse unknown ones."""

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; see nmt train --help")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    parsed = parser.parse_intermixed_args(arguments)
    if parsed.multirun and launched():
        raise UserError("torchrun starts the processes of one training: start a sweep without it")
    flags = [argument for argument in arguments if argument not in parsed.overrides]
    overrides = list(map(readable, parsed.overrides))
    if not parsed.multirun:
        return [*overrides, *flags]
    named = any(override.startswith("hydra.job.name=") for override in overrides)
    name = [] if named else [f"hydra.job.name={sweep_name(overrides)}"]
    return [*map(left_to_the_jobs, overrides), *name, *flags]


def _train(composed: DictConfig) -> "Outcome":
    refuse_single_run()
    if missing := sorted(OmegaConf.missing_keys(composed)):
        raise UserError(
            f"{', '.join(missing)} {'are' if len(missing) > 1 else 'is'} not set; "
            f"give values on the command line, as in {missing[0]}=..."
        )
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    if added := sorted(set(setting_paths(composed)) - set(flatten(to_mapping(config)))):
        raise UserError(f"there is no setting {', '.join(added)}; + cannot add one")
    check_config(config)
    from nmt import pipeline  # only now: it loads torch

    config_yaml = OmegaConf.to_yaml(composed, resolve=True)
    with _interruption() as interrupted:
        outcome = pipeline.train(config, config_yaml, lambda: bool(interrupted))
    if outcome.summary is not None and speaks():
        _report(outcome.folder.path, outcome.summary, already_finished=outcome.already_finished)
    return outcome


def _report(path: Path, summary: Mapping[str, Any], *, already_finished: bool) -> None:
    if already_finished:
        print(f"{path} is finished; nothing was changed. For another run, choose another run.dir.")
    split = "test" if "test" in summary else "valid"
    scores = summary[split]
    print(f"{split} BLEU {scores['bleu']:.2f}  {scores['signature']}")
    print(f"{split} chrF {scores['chrf']:.2f}  {scores['chrf_signature']}")
    print(f"run folder {path}")
    print(f'translate with: nmt translate --model {path} "..."')


@contextmanager
def _interruption() -> Iterator[list[int]]:
    """Collect what asks a run to stop, so that the update under way can be finished and saved.

    That is Ctrl-C, SIGTERM, and SIGUSR1, of which Slurm warns before a job's time is over
    (``sbatch --signal=USR1@120``; B:USR1 would reach the script alone). Ctrl-C after any of them
    ends the process at once; more warnings, of which Slurm sends several, change nothing. Under
    torchrun nothing does, to the end: it repeats Ctrl-C, and warns those that end after others.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received and number == signal.SIGINT and not launched():
            raise KeyboardInterrupt
        received.append(number)
        if len(received) == 1 and not launched():
            print("\nnmt: stopping after this update; Ctrl-C to stop at once", file=sys.stderr)

    names = ("SIGINT", "SIGTERM", "SIGUSR1")  # the last is unknown to Windows
    signals = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = [signal.signal(number, note) for number in signals]
    try:
        yield received
    finally:
        for number, handler in zip(signals, before, strict=True):
            if not launched():
                signal.signal(number, handler)
