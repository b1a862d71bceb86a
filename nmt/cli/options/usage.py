"""Errors of the command line: names the command or option that the user probably means."""

import difflib
import re
from collections.abc import Sequence
from typing import Any

from nmt.cli.completion.table import load_table
from nmt.cli.options.setting_flags import flag_remedy
from nmt.errors import UserError

_COMMANDS = {
    "translate": "predict decode infer generate inference interactive sample test_model trans",
    "evaluate": "eval test bleu validate",
    "score": "logprob log_prob perplexity ppl rescore force_decode",
    "train": "fit training run learn finetune resume",
    "prepare": "preprocess build_vocab tokenize binarize",
    "data check": "check lint validate_data",
    "attention": "plot heatmap visualize visualise show attn",
    "align": "alignment aligner aer",
    "average": "avg ensemble average_checkpoints",
    "bench": "benchmark profile speed",
    "--version": "version",
    "train --cfg job": "config settings show_config",
    "completion": "complete install_completion autocomplete",
}
_OPTIONS = {  # options of other tools, for commands with plain options
    "--model": "checkpoint path run ckpt m model_dir models",
    "--beam-size": "beam beams num_beams b",
    "--n-best": "nbest n",
    "--batch-size": "batch bs",
    "--length-penalty": "lenpen alpha",
    "--source": "src input i s hyp",
    "--reference": "ref tgt target trg r gold",
    "--target": "tgt trg t",
    "--input": "src source i",
    "--output": "out o output_file",
    "--device cuda": "gpu cuda",
    "--device cpu": "cpu",
    "--precision float16": "fp16 half",
    "--precision bfloat16": "bf16",
    "--precision int8": "compute_type quantize quantization i8",
    "--to": "format framework f",
    "--weights int8": "compute_type quantize quantization precision i8",
}


def usual_arguments(arguments: Sequence[str]) -> list[str]:
    """Return a command line with ``help COMMAND`` as ``COMMAND --help``.

    For a group of commands without a command, ``--help`` is added, too.
    """
    words = list(arguments) or ["--help"]
    if words[0] == "help":
        return [*words[1:], "--help"]
    groups = {name.split()[0] for name in load_table().commands if " " in name}
    return [*words, "--help"] if len(words) == 1 and words[0] in groups else words


def explain_usage(error: Any, arguments: Sequence[str]) -> UserError:
    """Return the error of a wrong command line, with a remedy.

    Args:
        error: A usage error of typer.
        arguments: The command line after ``nmt``.
    """
    path = error.ctx.command_path if error.ctx else "nmt"
    message = error.format_message().rstrip(".")
    command = path.removeprefix("nmt").strip()
    remedy = None
    if found := re.match(r"No such command '([^']*)'", message):
        message = f"there is no command nmt {f'{command} {found[1]}'.strip()}"
        remedy = _of_group(command, found[1]) if command else command_remedy(found[1])
    elif found := re.match(r"No such option:? '?(-[^ ']*)", message):
        message = f"nmt {command} has no option {found[1]}".replace("nmt  ", "nmt ")
        words = list(arguments)[len(command.split()) :]
        remedy = option_remedy(command, found[1], words)
    return UserError(f"{message}; {f'{remedy} ' if remedy else ''}see {path} --help")


def _of_group(group: str, name: str) -> str | None:
    names = [full.split()[1] for full in load_table().commands if full.startswith(f"{group} ")]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean nmt {group} {near[0]}?" if near else None


def command_remedy(name: str) -> str | None:
    """Return a question with the command that the user may mean; None: no name is similar."""
    plain = name.lower().lstrip("-").replace("-", "_")
    for command, others in _COMMANDS.items():
        if plain in others.split():
            return f"did you mean nmt {command}?"
    names = list(dict.fromkeys(full.split()[0] for full in load_table().commands if full))
    near = difflib.get_close_matches(plain, names, n=1, cutoff=0.5)
    return f"did you mean nmt {near[0]}?" if near else None


def option_remedy(command: str, flag: str, arguments: Sequence[str]) -> str | None:
    """Return what to write instead of an unknown option; None: no option is similar.

    Args:
        command: The name of the command, after ``nmt``.
        flag: The option.
        arguments: The words after the command.
    """
    known = load_table().commands.get(command)
    if known is None:
        return None
    plain = flag.partition("=")[0].lstrip("-").replace("-", "_").lower()
    for option, others in _OPTIONS.items():
        if plain in others.split() and option.split()[0] in known.options:
            return f"did you mean {option}?"
    of_settings = "overrides" in known.arguments.kind
    cutoff = 0.85 if of_settings else 0.7
    near = difflib.get_close_matches(flag, [*known.options], n=1, cutoff=cutoff)
    if near:
        return f"did you mean {near[0]}?"
    return flag_remedy(flag.partition("=")[0], arguments) if of_settings else None
