"""Checks combinations of the recipes in ``training``: fine-tuning, distillation, averaging."""

from collections.abc import Iterator

from nmt.config.numbering import attention_layers, number_fault
from nmt.config.schema import Config


def check_recipes(config: Config) -> Iterator[str]:
    """Yield a message for each impossible combination."""
    training = config.training
    for name in ("l2_sp", "ewc"):
        strength = getattr(training, name)
        if strength > 0 and training.init_from is None:
            yield (
                f"training.{name}={strength} penalizes the distance from the weights of an earlier "
                "run: set training.init_from=RUN"
            )
    if training.average_last > training.keep_last:
        yield (
            f"training.average_last={training.average_last} averages this number of checkpoints, "
            f"but training.keep_last is {training.keep_last}: set "
            f"training.keep_last={training.average_last}"
        )
    yield from _distillation(config)


def _distillation(config: Config) -> Iterator[str]:
    distillation, key = config.training.distillation, "training.distillation"
    if distillation.teacher is None or not distillation.attention_weight:
        return
    layers, _ = attention_layers(config.model.decoder)
    if not layers:
        yield (
            f"{key}.attention_weight={distillation.attention_weight} needs a decoder with "
            "attention, but model.decoder.attention is none: choose another attention, or set "
            f"{key}.attention_weight=0"
        )
    elif fault := number_fault(f"{key}.attention_layer", distillation.attention_layer, layers):
        yield fault
