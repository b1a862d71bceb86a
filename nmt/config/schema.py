"""The whole configuration of a run, and its smaller sections."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from enum import StrEnum

from nmt.config.data import DataConfig
from nmt.config.model import ModelConfig
from nmt.config.setting import group, section, setting
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.config.training_settings import TrainingConfig


@dataclass(kw_only=True)
class OptimizerConfig:
    """Base of the optimizers."""

    name: str
    learning_rate: float = setting(
        0.002, "Peak learning rate; the schedule multiplies it by a factor from 0 to 1.", above=0
    )
    weight_decay: float = setting(
        0.0,
        "Strength of the weight decay. In AdamW it is a separate step; in the other optimizers, "
        "the gradient of an L2 penalty.",
        at_least=0,
    )


@dataclass(kw_only=True)
class AdamConfig(OptimizerConfig):
    """Adam (Kingma & Ba 2015), with the betas of Vaswani et al. 2017."""

    name: str = "adam"
    beta1: float = setting(0.9, "Decay of the average gradient.", at_least=0, below=1)
    beta2: float = setting(0.98, "Decay of the average squared gradient.", at_least=0, below=1)
    epsilon: float = setting(1e-9, "Term that is added to the divisor.", above=0)


@dataclass(kw_only=True)
class AdamWConfig(AdamConfig):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: str = "adamw"


@dataclass(kw_only=True)
class SgdConfig(OptimizerConfig):
    """Stochastic gradient descent, plain or with momentum (Sutskever et al. 2013)."""

    name: str = "sgd"
    momentum: float = setting(0.0, "Decay of the velocity; 0: plain.", at_least=0, below=1)


@dataclass(kw_only=True)
class AdadeltaConfig(OptimizerConfig):
    """Adadelta (Zeiler 2012); it scales steps by root mean squares of steps and gradients."""

    name: str = "adadelta"
    rho: float = setting(0.95, "Decay of both averages of squares.", at_least=0, below=1)
    epsilon: float = setting(1e-6, "Term inside both root mean squares.", above=0)


@dataclass(kw_only=True)
class ScheduleConfig(ABC):
    """Base of the learning-rate schedules, which are in `nmt.training.schedule`."""

    name: str
    warmup: int = setting(
        100, "Updates from 0 to the peak learning rate; 0: none.", unit="updates", at_least=0
    )

    @abstractmethod
    def factor_after_warmup(self, update: int, max_updates: int, reductions: int) -> float:
        """Return the factor of the peak rate at an update that is not in the warm-up."""


DEFAULT_BATCH_SIZE = 64
"""Sentences of a batch of search; on a GPU, only this value is replaced (`batch_tokens`)."""


class EarlyStopping(StrEnum):
    """When the search of a sentence ends before ``beam_size`` hypotheses are finished."""

    FULL = "full"
    """Never."""
    CERTAIN = "certain"
    """When no other hypothesis can become better than the wanted ones."""
    LIKELY = "likely"
    """When no other hypothesis would be better if it ended with its next piece."""


class LengthNormalization(StrEnum):
    """The divisor of the log-probability of a translation of T pieces, which gives its score."""

    GNMT = "gnmt"
    """((5 + T) / 6) ^ length_penalty (Wu et al. 2016, eq. 14)."""
    AVERAGE = "average"
    """T."""
    NONE = "none"
    """1."""


@dataclass(kw_only=True)
class DecodingConfig:
    """The search of the final test, and the default search of ``nmt translate``."""

    beam_size: int = setting(
        5,
        "Hypotheses that the search keeps; 1: greedy.",
        unit="hypotheses",
        at_least=1,
        at_most=1000,
    )
    length_penalty: float = setting(
        1.0,
        "Alpha of the length normalization (Wu et al. 2016, eq. 14); higher favors longer "
        "translations, 0: none.",
        at_least=0,
        at_most=10,
    )
    early_stopping: str = setting(
        EarlyStopping.CERTAIN,
        "When the search for the best translation may end before beam_size hypotheses are "
        "finished. full: never; certain: when no other hypothesis can become better; likely: "
        "when no other hypothesis would be better if it ended with its next piece, which is "
        "faster.",
        choices=EarlyStopping,
        neutral=EarlyStopping.CERTAIN,
    )
    length_normalization: str = setting(
        LengthNormalization.GNMT,
        "Translations are ranked by their log-probability, divided by a number. For T pieces, this "
        "is ((5 + T) / 6) ^ length_penalty (gnmt), T (average) or 1 (none).",
        choices=LengthNormalization,
        neutral=LengthNormalization.GNMT,
    )
    coverage_penalty: float = setting(
        0.0,
        "Beta of the coverage penalty (Wu et al. 2016, eq. 14); higher favors translations that "
        "attend to every source piece, 0: none.",
        at_least=0,
        at_most=100,
        neutral=0.0,
    )
    min_length_ratio: float = setting(
        0.0,
        "Shortest translation: this ratio times the source pieces, plus min_length_extra, at most "
        "the longest translation.",
        unit="pieces per source piece",
        at_least=0,
        at_most=1000,
        neutral=0.0,
    )
    min_length_extra: int = setting(
        0,
        "Pieces added to the shortest translation.",
        unit="pieces",
        at_least=0,
        at_most=100_000,
        neutral=0,
    )
    max_length_ratio: float = setting(
        2.0,
        "Longest translation: this ratio times the source pieces, plus max_length_extra.",
        unit="pieces per source piece",
        at_least=0,
        at_most=1000,
    )
    max_length_extra: int = setting(
        20, "Pieces added to the longest translation.", unit="pieces", at_least=1, at_most=100_000
    )
    batch_size: int = setting(
        DEFAULT_BATCH_SIZE,
        "Sentences that are translated together.",
        unit="sentences",
        at_least=1,
        at_most=100_000,
    )
    batch_tokens: int | None = setting(
        None,
        "Source pieces that are translated together, including padding; replaces batch_size. "
        "null: batch_size applies, but on a GPU 40,960 pieces divided by beam_size replace its "
        "default of 64 sentences.",
        unit="pieces",
        at_least=1,
        at_most=100_000_000,
        neutral=None,
    )
    no_repeat_ngram: int = setting(
        0,
        "No translation repeats a sequence of this number of pieces; 0: repetitions are allowed.",
        unit="pieces",
        at_least=0,
        at_most=1000,
        neutral=0,
    )
    repetition_penalty: float = setting(
        1.0,
        "Factor of the log-probability of a piece that the translation already has (Keskar et al. "
        "2019, section 4.1); 1: none.",
        at_least=1,
        at_most=100,
        neutral=1.0,
    )
    beam_groups: int = setting(
        1,
        "Groups of diverse beam search (Vijayakumar et al. 2018), a divisor of beam_size; 1: plain "
        "beam search.",
        unit="groups",
        at_least=1,
        at_most=1000,
        neutral=1,
    )
    diversity_strength: float = setting(
        0.5,
        "With several beam_groups: the score of a piece is reduced by this value for each "
        "hypothesis of an earlier group that chose the piece in the same step.",
        at_least=0,
        at_most=100,
        neutral=0.5,
    )

    def with_beam(self, size: int) -> "DecodingConfig":
        """Return the settings with one group of ``size`` beams."""
        return replace(self, beam_size=size, beam_groups=1)


class TrackerName(StrEnum):
    """A program that records runs in addition to TensorBoard; each is an extra of the package."""

    MLFLOW = "mlflow"
    WANDB = "wandb"
    TRACKIO = "trackio"


@dataclass(kw_only=True)
class LoggingConfig:
    """Logs, curves, heatmaps and trackers of a run."""

    log_every: int = setting(
        20, "Updates between two points of the training curves.", unit="updates", at_least=1
    )
    tensorboard: bool = setting(True, "Whether TensorBoard files are written.")
    trackers: list[str] = setting(
        [],
        "Further programs that record the run, e.g. [mlflow,trackio]: MLflow, Weights & Biases "
        "(wandb, offline unless WANDB_MODE=online) and Trackio; each needs an extra, e.g. "
        "nmt[mlflow].",
        choices=TrackerName,
        neutral=[],
    )
    project: str = setting(
        "nmt", "Name of the project (in MLflow: the experiment) in the trackers.", neutral="nmt"
    )
    samples: int = setting(
        4,
        "Validation sentences whose translations are shown and whose heatmaps are drawn.",
        unit="sentences",
        at_least=0,
        at_most=10_000,
    )
    heatmap_layer: int | None = setting(
        None,
        "Decoder layer of the heatmaps, counted from 1; negative numbers count from the last. "
        "null: the layer and head that nmt attention shows.",
        numbered=True,
    )


@dataclass(kw_only=True)
class RunConfig:
    """The folder of a run."""

    dir: str | None = setting(
        None,
        "Folder of the run; null: runs/<corpus>-<model>-s<seed>-<hash of the configuration>.",
    )


@dataclass(kw_only=True)
class Config:
    """All settings of one run, checked and typed."""

    seed: int = setting(
        1,
        "Seed of all random numbers. On the same machine, the same seed gives the same run; on "
        "CUDA, this needs training.deterministic=true.",
        at_least=0,
        below=2**63,
    )
    count_from: int = setting(
        1,
        "Number of the first layer and of the first head in settings. Files of earlier versions "
        "lack this setting and count from 0; they are converted when they are read.",
        at_least=1,
        at_most=1,
        neutral=1,
        indifferent=True,
    )
    run: RunConfig = section(RunConfig, "The location of the run.", indifferent=True)
    data: DataConfig = group("The corpus.")
    tokenizer: TokenizerConfig = group("The tokenizer.")
    model: ModelConfig = group("The model.")
    optimizer: OptimizerConfig = group("The optimizer.")
    schedule: ScheduleConfig = group("The learning-rate schedule.")
    training: TrainingConfig = group("The training.")
    decoding: DecodingConfig = group("The search.")
    logging: LoggingConfig = group("What a run writes.", indifferent=True)
