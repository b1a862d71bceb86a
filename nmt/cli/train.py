"""`nmt train`: Hydra composes, everything after is plain typed Python."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nmt.cli.composition_errors import explain
from nmt.config.schema import Config
from nmt.config.store import config_directory, register_schemas

RESUME_ME = 75  # EX_TEMPFAIL: interrupted, saved, the same command goes on


def run(arguments: Sequence[str]) -> None:
    """Run the Hydra application with these arguments.

    Raises:
        UserError: The configuration cannot be composed, or what it asks for is at fault.
    """
    register_schemas()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us as exceptions, not as Hydra's prints
    sys.argv = ["nmt train", *arguments]
    application = hydra.main(
        version_base="1.3", config_path=str(config_directory()), config_name="train"
    )(_train)
    try:
        application()
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, arguments) from error


def _train(composed: DictConfig) -> float | None:
    from nmt import pipeline

    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    config_yaml = OmegaConf.to_yaml(composed, resolve=True)
    with _interruption() as interrupted:
        outcome = pipeline.train(config, config_yaml, lambda: bool(interrupted))
    if outcome.summary is None:
        sys.exit(RESUME_ME)
    _report(outcome)
    score: float = outcome.summary["valid"]["bleu"]
    return score


def _report(outcome: "object") -> None:
    from nmt.pipeline import Outcome

    assert isinstance(outcome, Outcome)
    assert outcome.summary is not None
    path = outcome.folder.path
    if outcome.already_finished:
        print(f"{path} is finished; nothing was changed. For another run, choose another run.dir.")
    split = "test" if "test" in outcome.summary else "valid"
    scores = outcome.summary[split]
    print(f"{split} BLEU {scores['bleu']:.2f}  {scores['signature']}")
    print(f"{split} chrF {scores['chrf']:.2f}  {scores['chrf_signature']}")
    print(f"run folder {path}")
    print(f'translate with: nmt translate --model {path} "..."')


@contextmanager
def _interruption() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM, so that the update under way can be finished and saved.

    A second one ends the process at once.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        print("\nnmt: stopping after this update; once more to stop at once", file=sys.stderr)

    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, note) for number in signals]
    try:
        yield received
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
