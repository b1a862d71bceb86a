"""Prints the candidates of an unfinished command line; the scripts of the shells call this.

    python -P -m nmt.cli.completion SHELL WORD...

The words follow `nmt`; the last one is being typed. Bash gives the whole line as one word. Each
line of output is a candidate.
"""

import os
import sys

from nmt.cli.completion.candidates import candidates
from nmt.cli.completion.shells import Shell, reply, split_line
from nmt.cli.completion.table import load_table


def main() -> None:
    """Print one candidate per line, as the shell takes it."""
    if len(sys.argv) < 2:
        return
    shell, words = sys.argv[1], sys.argv[2:] or [""]
    if shell == Shell.BASH:
        words = split_line(words[0])
    found = candidates(load_table(), words)
    sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    for line in reply(shell, words[-1], found, os.environ.get("COMP_WORDBREAKS", "")):
        print(line)


if __name__ == "__main__":
    main()
