"""`nmt train`: trains, tests and reports; its options are Hydra's."""

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

import nmt
from nmt import loading_phase
from nmt.cli.options.setting_flags import refuse_setting_flags
from nmt.cli.text_streams import print_safely
from nmt.process_exit import exit_together, is_printing_process, join_processes
from nmt.reporting import start_line

if TYPE_CHECKING:
    from nmt.config.schema import Config
    from nmt.pipeline import Outcome
    from nmt.training.services import Hopeless


_ANSWERS = {"--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i"}
"""Options that print information instead of training."""


def train(context: typer.Context) -> None:
    """Train a model, test it and report the scores; see nmt train --help."""
    with ExitStack() as stack:
        if not _ANSWERS & {argument.partition("=")[0] for argument in context.args}:
            stack.enter_context(start_line.started("nmt train"))
        if {"--help", "-h"} & set(context.args):
            from nmt.sweeps.train_help import print_help

            print_help(context.args)
            return
        from nmt.sweeps.train_application import run_application

        stack.enter_context(exit_together())
        join_processes()
        refuse_setting_flags("train", context.args)
        if "--version" in context.args:
            print(f"nmt {nmt.__version__}")
            return
        run_application(context.args, train_config)


def train_config(
    config: "Config", config_yaml: str, hopeless: "Hopeless | None" = None
) -> "Outcome":
    """Train one configuration until it ends or a signal stops it; print the scores.

    Args:
        config: What to train.
        config_yaml: The configuration as YAML, which is stored in the run folder.
        hopeless: Returns whether the run has to stop, given an update and its validation score.

    Raises:
        UserError: The configuration, the corpus or the run folder is faulty.
    """
    from nmt.cli.stop_signals import collect_stop_signals

    if "torch" not in sys.modules:
        start_line.show("loading", "PyTorch")
    from nmt import pipeline  # imported late because it loads torch

    loading_phase.end()
    start_line.end()
    judge = () if hopeless is None else (hopeless,)
    with collect_stop_signals() as requests:
        outcome = pipeline.train(config, config_yaml, requests, requests.saved, *judge)
    if outcome.summary is not None and is_printing_process():
        _print_scores(
            outcome.folder.path, outcome.summary, already_finished=outcome.already_finished
        )
    return outcome


def _print_scores(path: Path, summary: Mapping[str, Any], *, already_finished: bool) -> None:
    if already_finished:
        print_safely(
            f"{path} is finished; nothing was changed, and its text was not read again. To train "
            f"it further, e.g. with more text: training.init_from={path} and another run.dir. For "
            "a new run: another run.dir."
        )
    split = "test" if "test" in summary else "valid"
    scores = summary[split]
    print(f"{split} BLEU {scores['bleu']:.2f}  {scores['signature']}")
    print(f"{split} chrF {scores['chrf']:.2f}  {scores['chrf_signature']}")
    print_safely(f"run folder {path}")
    print_safely(f'translate with: nmt translate --model {path} "..."')
