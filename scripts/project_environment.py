"""Makes a script of this folder use the environment of scripts/setup and the nmt of this checkout.

A script imports this module before all packages that do not belong to Python. If the packages of
nmt are missing, the script starts again with ``.venv/bin/python``.
"""

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_NEEDED = ("torch", "hydra", "sacrebleu", "sentencepiece", "typer")


def use_project_environment() -> None:
    """Return if the packages are here, start again in ``.venv``, or exit with status 2."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if not missing:
        sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
        return
    folder = ROOT / ".venv"
    python = folder / "bin" / "python"
    if python.exists() and Path(sys.prefix).resolve() != folder.resolve():
        os.execv(python, [str(python), *sys.argv])
    print(
        f"{Path(sys.argv[0]).name}: this Python ({sys.executable}) has no {missing[0]}: "
        "create the project's environment with scripts/setup",
        file=sys.stderr,
    )
    sys.exit(2)


use_project_environment()
