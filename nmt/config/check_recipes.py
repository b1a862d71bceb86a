"""What is impossible among the recipes of ``training``: starting from a run, distillation, more."""

from collections.abc import Iterator

from nmt.config.check_training import attending
from nmt.config.ranges import Fault, at_least, not_negative, one_of, positive
from nmt.config.schema import Config


def check_recipes(config: Config) -> Iterator[Fault]:
    """Yield what is wrong with where a run starts, what pulls it and whom it learns from."""
    training = config.training
    yield from not_negative("training.r_drop", training.r_drop)
    yield from at_least("training.average_last", training.average_last, 0)
    yield from one_of("training.init_vocabulary", training.init_vocabulary, "keep", "new")
    for name in ("l2_sp", "ewc"):
        strength = getattr(training, name)
        yield from not_negative(f"training.{name}", strength)
        if strength > 0 and training.init_from is None:
            yield (
                f"training.{name}={strength} pulls toward the weights that a run starts from: "
                "set training.init_from=RUN"
            )
    if training.average_last > training.keep_last:
        yield (
            f"training.average_last={training.average_last} needs as many checkpoints, but "
            f"training.keep_last is {training.keep_last}: set "
            f"training.keep_last={training.average_last}"
        )
    yield from _distillation(config)


def _distillation(config: Config) -> Iterator[Fault]:
    distillation, key = config.training.distillation, "training.distillation"
    if not 0 <= distillation.weight <= 1:
        yield f"{key}.weight is {distillation.weight}, not in [0, 1]"
    yield from positive(f"{key}.temperature", distillation.temperature)
    yield from not_negative(f"{key}.attention_weight", distillation.attention_weight)
    yield from one_of(f"{key}.attention_measure", distillation.attention_measure, "kl", "mse")
    if distillation.teacher is None or not distillation.attention_weight:
        return
    layers, _ = attending(config.model.decoder)
    if not layers:
        yield (
            f"{key}.attention_weight={distillation.attention_weight} needs a decoder with "
            "attention, but model.decoder.attention is none: choose another attention, or set it "
            "to 0"
        )
    elif not -layers <= distillation.attention_layer < layers:
        yield (
            f"{key}.attention_layer is {distillation.attention_layer}, "
            f"but the decoder attends in {layers} {'layer' if layers == 1 else 'layers'}"
        )
