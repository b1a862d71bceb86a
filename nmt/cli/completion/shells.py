"""The scripts that connect bash, zsh and fish to the candidates, and the form of their replies."""

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum


class Shell(StrEnum):
    """The shells that are supported."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_BASH = """\
# Completion of nmt for bash: put  eval "$(nmt completion bash)"  into ~/.bashrc
_nmt_completion() {
    local line word
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <(
        export COMP_WORDBREAKS
        COMMAND bash "${COMP_LINE:0:COMP_POINT}" 2>/dev/null
    )
    for word in "${COMPREPLY[@]}"; do
        case $word in *[=/.]) compopt -o nospace 2>/dev/null;; esac
    done
}
complete -o nosort -F _nmt_completion nmt 2>/dev/null || complete -F _nmt_completion nmt
"""
_ZSH = """\
#compdef nmt
# Completion of nmt for zsh: put  eval "$(nmt completion zsh)"  into ~/.zshrc
_nmt_completion() {
    local -a found open whole
    found=("${(@f)$(COMMAND zsh "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    open=(${(M)found:#*[=/.]})
    whole=(${found:#*[=/.]})
    (( $#open )) && compadd -Q -U -S '' -- "${open[@]}"
    (( $#whole )) && compadd -Q -U -- "${whole[@]}"
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u; }
compdef _nmt_completion nmt
"""
_FISH = """\
# Completion of nmt for fish: put  nmt completion fish | source  into ~/.config/fish/config.fish
function __nmt_completion
    set -l words (commandline -opc) (commandline -ct)
    COMMAND fish $words[2..-1] 2>/dev/null
end
complete -c nmt -e
complete -c nmt -f -a '(__nmt_completion)'
"""
_SCRIPTS = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}
_SPECIAL = re.compile(r"""([\\\s'"`$&;|<>()\[\]{}*?!#])""")


def script(shell: Shell) -> str:
    """Return the code that a shell runs when it starts."""
    command = f"{shlex.quote(sys.executable)} -P -m nmt.cli.completion"
    return _SCRIPTS[shell].replace("COMMAND", command)


def split_line(line: str) -> list[str]:
    """Return the words after ``nmt`` of an unfinished command line; the last is being typed."""
    for end in ("", "'", '"', "\\"):  # a quote that is still open
        try:
            words = shlex.split(line + end)
        except ValueError:
            continue
        typed = words if not line or not line[-1].isspace() or end else [*words, ""]
        return typed[1:] or [""]
    return line.split(" ")[1:] or [""]


def reply(shell: str, word: str, found: Sequence[str], breaks: str) -> Iterator[str]:
    """Yield the candidates in the form that a shell expects.

    Args:
        shell: The name of the shell.
        word: The typed beginning of the word.
        found: The candidates, each a whole word.
        breaks: The characters at which bash splits words; it replaces only the part after the last
            of them.
    """
    cut = 0
    if shell == Shell.BASH:
        cut = max((word.rfind(mark) + 1 for mark in breaks if mark in "=:"), default=0)
    for candidate in found:
        text = candidate[cut:]
        yield text if shell == Shell.FISH else _SPECIAL.sub(r"\\\1", text)
