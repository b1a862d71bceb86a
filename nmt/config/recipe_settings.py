"""Settings of recipes that modify the training and have several settings each."""

from dataclasses import dataclass
from enum import StrEnum

from nmt.config.setting import setting


class AttentionMeasure(StrEnum):
    """The distance between the attention weights of a student and its teacher."""

    KL = "kl"
    MSE = "mse"


@dataclass(kw_only=True)
class GuidedAlignmentConfig:
    """Trains one attention head of the decoder on given word links (Garg et al. 2019)."""

    weight: float = setting(
        0.0,
        "Weight of the extra loss per target piece; 0.05 (Garg et al. 2019) or more is usual, 0: "
        "off.",
        at_least=0,
    )
    layer: int | None = setting(
        None,
        "Decoder layer, counted from 1; negative numbers count from the last. null: the "
        "second to last, or the only one.",
        numbered=True,
    )
    head: int = setting(
        1, "Head of this layer, from 1; negative numbers count from the last.", numbered=True
    )
    shift: bool = setting(
        False,
        "Whether the weights of step t + 1 are trained on the links of target piece t, which is "
        "the decoder's input in this step (Chen et al. 2020). Use it with several heads: a single "
        "head also has to attend to the source of the next piece.",
    )


@dataclass(kw_only=True)
class DistillationConfig:
    """Training on the output distribution and the attention of a finished run, the teacher."""

    teacher: str | None = setting(
        None, "Run folder or checkpoint with the same tokenizers; null: off."
    )
    weight: float = setting(
        0.5,
        "Share of the teacher's distribution in the loss (Kim & Rush 2016); the reference has "
        "the rest. If weight and attention_weight are 0, only the teacher's tokenizers are used.",
        at_least=0,
        at_most=1,
    )
    temperature: float = setting(
        1.0, "Temperature that softens both distributions (Hinton et al. 2015).", above=0
    )
    attention_weight: float = setting(
        0.0,
        "Weight of the distance to the teacher's attention in the loss, per target piece; 0: off.",
        at_least=0,
    )
    attention_layer: int = setting(
        -1,
        "Decoder layer whose attention is compared, in student and teacher, counted from 1; "
        "negative numbers count from the last.",
        numbered=True,
    )
    attention_measure: str = setting(
        AttentionMeasure.KL, "Distance between attention weights.", choices=AttentionMeasure
    )
