"""COMET by the program ``comet-score``, not by import: its package needs old libraries."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nmt.errors import UserError

_NUMBER = re.compile(r"score:\s*(-?\d+(?:\.\d+)?)\s*$", re.MULTILINE)


def comet_score(
    source: Sequence[str],
    translations: Sequence[str],
    reference: Sequence[str],
    *,
    model: str,
    program: str = "comet-score",
    on_gpu: bool = False,
) -> float:
    """Return the mean COMET score of translations (Rei et al. 2020), as ``comet-score`` prints it.

    Args:
        source: The sentences, without line breaks.
        translations: One per sentence.
        reference: One per sentence.
        model: Name or path of a COMET model, e.g. ``Unbabel/wmt22-comet-da``.
        program: The program, by name or path; it may belong to another Python environment.
        on_gpu: Whether the program may use one GPU.

    Raises:
        UserError: The program is missing, fails or prints no score.
    """
    found = shutil.which(program)
    if found is None:
        raise UserError(
            f"there is no program {program}; install unbabel-comet in a Python environment of its "
            "own and give --comet-program ENVIRONMENT/bin/comet-score"
        )
    with tempfile.TemporaryDirectory() as folder:
        command = [found, "--model", model, "--quiet", "--only_system"]
        command += ["--gpus", "1" if on_gpu else "0"]
        texts = (("-s", source), ("-t", translations), ("-r", reference))
        for option, lines in texts:
            path = Path(folder, f"text{option}")
            text = "".join(f"{line}\n" for line in lines)
            path.write_text(text, encoding="utf-8", newline="\n")
            command += [option, str(path)]
        ended = subprocess.run(command, capture_output=True, check=False)
    printed = ended.stdout.decode("utf-8", "replace")
    numbers = _NUMBER.findall(printed)
    if ended.returncode or not numbers:
        lines = ended.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit status {ended.returncode}, no score"
        raise UserError(f"{program} failed with the model {model}: {reason}")
    return float(numbers[-1])
