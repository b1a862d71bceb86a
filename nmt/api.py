"""The Python interface: load a model, translate, score translations, show attention, train.

Example::

    import nmt

    model = nmt.load("runs/demo")
    model.translate("Where is the station?")

The package `nmt` has all these names as attributes. It imports this module when one is first used.
"""

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

from nmt import runtime
from nmt.api_model import Model
from nmt.api_records import Attention, Candidate, Translation
from nmt.config.ensemble_mean import Mean
from nmt.decoding.constrained.constraints import Constraints
from nmt.decoding.ensemble import load_models
from nmt.decoding.scoring import ScoredTranslation
from nmt.errors import UserError
from nmt.user_path import user_path

if TYPE_CHECKING:
    from nmt.pipeline import Outcome

__all__ = [
    "Attention",
    "Candidate",
    "Constraints",
    "Model",
    "ScoredTranslation",
    "Translation",
    "load",
    "train",
]


def load(
    model: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    ensemble: str = Mean.LOG_PROBS,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    shortlist: str | PathLike[str] | None = None,
) -> Model:
    """Load the best model of a run folder, or a checkpoint file.

    Args:
        model: The run folder or the file. A list is an ensemble: its models must have the same
            vocabularies. It has the tokenizers, the settings and the attention of the first model.
        ensemble: ``log_probs`` averages the logarithms of the models' probabilities, ``probs``
            averages the probabilities.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``float32``, ``bfloat16``, ``float16`` on a GPU, ``int8`` on a CPU, or ``auto``.
            ``auto`` searches in bfloat16 on a GPU that supports it, otherwise in float32. It scores
            and samples in float32.
        threads: CPU threads of this process; None keeps PyTorch's setting.
        shortlist: A file of `nmt shortlist`, or a run folder with such a file. Translations then
            have only the candidate pieces of the shortlist, which is faster. None: every piece is
            possible.

    Raises:
        UserError: There is no such model or shortlist, or it does not fit this machine.
    """
    runtime.set_threads(threads)
    if ensemble not in list(Mean):
        raise UserError(f"ensemble is {ensemble}; choose from {', '.join(Mean)}")
    models = [model] if isinstance(model, str | PathLike) else list(model)
    if not models:
        raise UserError("load takes a model, or a list of at least one")
    paths = [user_path(str(one)) for one in models]
    checkpoints, translator = load_models(
        paths,
        mean=Mean(ensemble),
        device=device,
        precision=precision,
        shortlist=None if shortlist is None else user_path(str(shortlist)),
    )
    exact = translator.in_float32() if precision == "auto" else None
    return Model(translator, checkpoints[0].config, exact)


def train(overrides: Sequence[str] = ()) -> "Outcome":
    """Train a configuration as `nmt train` does, in this process.

    Progress and messages go to standard error; nothing is printed to standard output. In the main
    thread, Ctrl-C stops the training after an update, and the same call resumes it. In a script
    that torchrun starts, the processes train together; if one fails, all of them end.

    Args:
        overrides: Settings and choices of one training, as for `nmt train`, e.g.
            ``["model=rnn", "run.dir=runs/rnn"]``. Options that begin with ``-`` are not allowed.

    Returns:
        The `nmt.pipeline.Outcome`: the run folder, and the summary with the scores. The summary is
        None if the training was stopped.

    Raises:
        UserError: The configuration, the corpus or the run folder is faulty.
    """
    from nmt import pipeline
    from nmt.cli.stop_signals import collect_stop_signals
    from nmt.process_exit import exit_together, join_processes
    from nmt.sweeps.overrides import compose_config, to_yaml
    from nmt.sweeps.repeated_overrides import warn_of_repeated

    if isinstance(overrides, str):
        raise UserError("train takes a list of settings: put the text into a list")
    if flags := [override for override in overrides if override.startswith("-")]:
        raise UserError(f"train takes settings, but {flags[0]} is an option of the command")
    with exit_together():
        join_processes()
        config = compose_config(list(overrides), {})
        warn_of_repeated(overrides)
        with collect_stop_signals() as requests:
            return pipeline.train(config, to_yaml(config), requests, requests.saved)
