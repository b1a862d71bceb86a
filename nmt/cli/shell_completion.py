"""`nmt completion`: prints the code with which a shell completes the words of `nmt`."""

from typing import Annotated

import typer

from nmt.cli.completion.shells import Shell, script
from nmt.errors import UserError

ShellName = Annotated[str, typer.Argument(metavar="bash | zsh | fish", show_default=False)]


def completion(shell: ShellName) -> None:
    """Print the code with which a shell completes commands, options, settings and run folders.

    Let the shell run it at each start:

    bash, in ~/.bashrc:  eval "$(nmt completion bash)"

    zsh, in ~/.zshrc:  eval "$(nmt completion zsh)"

    fish, in ~/.config/fish/config.fish:  nmt completion fish | source
    """
    if shell not in list(Shell):
        raise UserError(f"there is no completion for {shell}; choose from {', '.join(Shell)}")
    print(script(Shell(shell)), end="")
