"""The text of `nmt train --help`: usage, groups with their choices, settings and flags."""

import textwrap
from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nmt.config.choices import CHOICES, GROUPS
from nmt.config.describe import describe
from nmt.config.folders import config_directory
from nmt.config.schema import Config
from nmt.config.store import SECTIONS, group_choices
from nmt.sweeps.composition_errors import explain
from nmt.sweeps.overrides import quote_value
from nmt.sweeps.registration import register_with_hydra
from nmt.sweeps.train_arguments import parse_arguments

WIDTH = 100

_HEAD = """nmt train: read a parallel corpus, train a translation model, test it, report.

Usage:  nmt train [GROUP=CHOICE ...] [KEY=VALUE ...] [flags]

  nmt train                                              the embedded phrasebook, Transformer
  nmt train model=rnn model/decoder/attention=luong_general
  nmt train experiment=multi30k_transformer data.root=FOLDER
  nmt train data=files data.train.source=a.en data.train.target=a.de ...
  nmt train run.dir=runs/mine seed=2                     the same command again resumes the run

Groups and their choices (GROUP=CHOICE):
"""
_FLAGS = """
Flags:
  -m, --multirun     one run per combination:  nmt train -m seed=1,2 model=transformer,rnn
  --cfg job          print the whole configuration and stop
  --info defaults    print the files from which the configuration is composed
  --config-dir DIR   add a folder with your own groups
  --hydra-help       print all flags of Hydra"""


def print_help(arguments: Sequence[str]) -> None:
    """Print the help for a command line that contains ``--help``.

    Raises:
        UserError: A flag is unknown, or the configuration cannot be composed.
    """
    overrides = parse_arguments(arguments).overrides
    register_with_hydra()
    print(help_text(list(map(quote_value, overrides))))


def help_text(overrides: Sequence[str]) -> str:
    """Return the help, with the settings of the configuration that the overrides compose.

    ``nmt train model=rnn --help`` shows the settings of RNNs.

    Raises:
        UserError: The configuration cannot be composed.
    """
    try:
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            composed = compose("train", overrides=list(overrides))
        return _text(composed)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise explain(error, overrides) from error


def _text(composed: DictConfig) -> str:
    lines = [_HEAD, *(_choices(group, names) for group, names in group_choices().items())]
    lines += [
        "",
        "Settings and their values now (KEY=VALUE); docs/settings.md has those of all choices:",
    ]
    for title, cls, prefix in _sections(composed):
        values = OmegaConf.select(composed, prefix.rstrip(".")) if prefix else composed
        lines += ["", title]
        plain: Any = OmegaConf.to_container(values, resolve=True)
        for row in describe(cls, prefix, plain):
            lines.append(f"  {row.key}={row.default}")
            unit = f", {row.unit}" if row.unit else ""
            lines.append(_wrapped(f"{row.values}{unit}. {row.sentence}", "      "))
    return "\n".join([*lines, _FLAGS])


def _sections(composed: DictConfig) -> list[tuple[str, Any, str]]:
    """Return title, dataclass and key prefix of each section of the configuration."""
    found: list[tuple[str, Any, str]] = [("the run", Config, "")]
    bases = {group: base for base, group in GROUPS.items()}
    for group in group_choices():
        key = group.replace("/", ".")
        if group in SECTIONS and group != "data/filters":  # `data` contains the filters
            found.append((group, SECTIONS[group], f"{key}."))
        elif group in bases and (name := OmegaConf.select(composed, f"{key}.name")) is not None:
            found.append((f"{group}={name}", CHOICES[bases[group]][name], f"{key}."))
    return found


def _choices(group: str, names: Sequence[str]) -> str:
    text = f"{group}: {', '.join(names)}"
    return textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent)
