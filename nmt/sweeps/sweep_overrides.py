"""The overrides of a sweep: the name of the sweep from them, and their form for its jobs."""

import re
from collections.abc import Sequence

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode

from nmt.config.store import group_choices
from nmt.data.content_hash import content_hash
from nmt.errors import UserError

_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")
_QUOTED = re.compile(r"""'[^'"\\$()\[\]{}:=,\s]*'""")  # without characters that Hydra escapes
_SPECIAL = re.compile(r"""[,'"\\$()\[\]{}=]|[^ -~]""")
_NOT_IN_NAME = (  # overrides that may change while the sweep stays the same
    "hydra.launcher",
    "hydra/launcher",
    "hydra.sweep.",
    "hydra.sweeper.n_trials",
    "hydra.sweeper.n_jobs",
    "hydra.sweeper.max_failure_rate",
)


def is_sweep() -> bool:
    """Return whether the current job belongs to a sweep (``-m``)."""
    return HydraConfig.get().mode == RunMode.MULTIRUN


def rename_compare(override: str) -> str:
    """Return ``sweep=NAME`` for its synonym ``compare=NAME``; return other overrides unchanged."""
    key, equals, value = override.partition("=")
    return f"sweep={value}" if key == "compare" and equals else override


def defer_to_jobs(overrides: Sequence[str]) -> list[str]:
    """Rewrite simple overrides as sweeps over their one value; return others unchanged.

    Before the jobs, Hydra composes a configuration without the swept settings. That configuration
    may lack a setting that every job has, e.g. ``data.root`` if the swept experiments choose the
    data. Hydra applies swept overrides only in the jobs, so the rewritten override is accepted. A
    choice of a group is rewritten only below a swept group, e.g.
    ``model/decoder/attention=luong_dot`` with ``model=rnn,transformer``.
    """
    swept = [override.partition("=")[0] for override in overrides if _swept_keys(override)]
    return [_defer(override, swept) for override in overrides]


def _defer(override: str, swept: Sequence[str]) -> str:
    key, _, value = override.partition("=")
    is_group = key.lstrip("+") in group_choices()
    if key.startswith("hydra.") or (
        is_group and not any(key.startswith(f"{group}/") for group in swept)
    ):
        return override
    if _QUOTED.fullmatch(value):
        return f'{key}=choice("{value}")'  # choice() removes one pair of quotes
    if value == "null" or _SPECIAL.search(value):
        return override  # Hydra would change such a value before it reaches the jobs
    return f"{key}=choice({value if _PLAIN.fullmatch(value) else repr(value)})"


def sweep_name(overrides: Sequence[str]) -> str:
    """Return a name such as ``seed-1a2b3c``; it does not depend on the order of the overrides."""
    keys = dict.fromkeys(key for override in overrides for key in _swept_keys(override))
    label = "-".join([*keys][:3]) or "sweep"
    hashed = sorted(override for override in overrides if not override.startswith(_NOT_IN_NAME))
    return f"{label}-{content_hash(hashed)[:6]}"


def _swept_keys(override: str) -> list[str]:
    """Return the parts of the sweep's name from an override: the swept key, or the chosen sweep."""
    key, _, value = override.partition("=")
    if key == "sweep":
        return [value]
    try:
        parsed = OverridesParser.create().parse_override(override)
    except (HydraException, ValueError):
        return []  # Hydra reports it later
    return [re.split(r"[./]", key)[-1]] if parsed.is_sweep_override() else []


def refuse_one_folder(overrides: Sequence[str]) -> None:
    """Refuse a sweep whose jobs would all write to the same run folder.

    Args:
        overrides: The command line of the sweep.

    Raises:
        UserError: ``run.dir`` is a fixed text.
    """
    folders = [given for given in overrides if given.partition("=")[0].lstrip("+") == "run.dir"]
    if not folders or _swept_keys(folders[-1]):  # the last override of a setting counts
        return
    folder = folders[-1].partition("=")[2]
    if folder != "null" and "${" not in folder:
        raise fixed_folder(folder.strip("'"))


def fixed_folder(folder: str) -> UserError:
    """Return the error of a sweep whose jobs share a run folder."""
    return UserError(
        f"run.dir={folder} would be the folder of every job of this sweep: remove it, or add a "
        "setting that differs between the jobs, e.g. 'run.dir=runs/mine-${seed}'"
    )


def refuse_single_run() -> None:
    """Refuse options that only a sweep can use if the current job is a single run.

    Raises:
        UserError: A sweep, a launcher or a sweeper was chosen without ``-m``.
    """
    if is_sweep():
        return
    choices = HydraConfig.get().runtime.choices
    if (chosen := choices.get("sweep")) is not None:
        raise UserError(f"sweep={chosen} trains several models: add -m")
    for group in ("hydra/launcher", "hydra/sweeper"):
        if (chosen := choices.get(group, "basic")) != "basic":
            raise UserError(f"{group}={chosen} applies only to sweeps: add -m")
