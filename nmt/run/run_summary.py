"""The part of summary.json that does not come from the final test."""

import platform
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import torch

import nmt
from nmt import processes
from nmt.config.schema import Config
from nmt.model.seq2seq import TranslationModel
from nmt.run.machine import commit, processor
from nmt.training.stopping import StopReason
from nmt.training.training_progress import TrainingProgress


def run_summary(
    config: Config,
    model: TranslationModel,
    progress: TrainingProgress,
    precision: torch.dtype,
    reason: StopReason,
) -> dict[str, Any]:
    """Return versions, the machine, sizes, counts and times of a finished training.

    Args:
        config: The settings of the run.
        model: The model.
        progress: The progress at the end of the training.
        precision: Dtype of matrix products.
        reason: The reason why the training stopped.
    """
    return {
        "nmt": nmt.__version__,
        "commit": commit(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": device_name(model.output.weight.device),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "command": command_line(),
        "seed": config.seed,
        "model": model_name(config),
        "parameters": count_parameters(model),
        "processes": processes.world(),
        "updates": progress.update,
        "best_update": progress.best_update,
        "epochs": progress.epoch,
        "tokens": progress.tokens,
        "seconds": round(progress.seconds, 1),
        "text": progress.text,
        "tokens_per_second": round(progress.tokens_per_second, 1),
        "stopped_by": str(reason),
        "skipped_updates": progress.skipped_updates,
        "skipped_pairs": progress.skipped_pairs,
        "rewinds": progress.rewinds,
        "precision": dtype_name(precision),
        "beam_size": config.decoding.beam_size,
    }


def device_name(device: torch.device) -> str:
    """Return the name of a GPU, or the vector instructions that torch uses on the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"cpu, {torch.backends.cpu.get_cpu_capability()}"
    return str(device)


def command_line() -> str:
    """Return the training command of this process; empty for another program."""
    program, *arguments = sys.argv
    return shlex.join(["nmt", "train", *arguments]) if program == "nmt train" else ""


def final_scores(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the main scores of a summary's final test, such as ``test/bleu``.

    Their number is the number of scores that TensorBoard's page *HParams* shows by default.
    """
    shown = {"valid": ("bleu", "chrf", "loss"), "test": ("bleu", "chrf")}
    return {
        f"{split}/{name}": summary[split][name]
        for split, names in shown.items()
        for name in names
        if split in summary
    }


def count_parameters(model: TranslationModel) -> int:
    """Return the number of elements of all parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def dtype_name(dtype: torch.dtype) -> str:
    """Return the name of a dtype as settings write it, such as ``bfloat16``."""
    return str(dtype).removeprefix("torch.")


def model_name(config: Config) -> str:
    """Return the kinds of encoder, decoder and attention, such as ``rnn, attention bahdanau``."""
    encoder, decoder = config.model.encoder, config.model.decoder
    attention = getattr(decoder, "attention", None)
    name = encoder.name if encoder.name == decoder.name else f"{encoder.name} to {decoder.name}"
    return f"{name}, attention {attention.name}" if attention else name
