"""The whole configuration of a run; its values live in ``configs/``."""

from dataclasses import dataclass

from nmt.config.data import DataConfig, TokenizerConfig
from nmt.config.model import ModelConfig


@dataclass(kw_only=True)
class OptimizerConfig:
    """Base of the optimizers."""

    name: str
    learning_rate: float  # the peak; the schedule multiplies it
    weight_decay: float  # L2 inside the gradient; in AdamW apart from it


@dataclass(kw_only=True)
class AdamConfig(OptimizerConfig):
    """Adam (Kingma & Ba 2015)."""

    name: str = "adam"
    beta1: float
    beta2: float
    epsilon: float


@dataclass(kw_only=True)
class AdamWConfig(AdamConfig):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: str = "adamw"


@dataclass(kw_only=True)
class SgdConfig(OptimizerConfig):
    """Stochastic gradient descent, plain or with momentum (Sutskever et al. 2013)."""

    name: str = "sgd"
    momentum: float  # 0: plain


@dataclass(kw_only=True)
class AdadeltaConfig(OptimizerConfig):
    """Adadelta (Zeiler 2012): steps sized by the root mean squares of past steps and gradients."""

    name: str = "adadelta"
    rho: float  # decay of both averages
    epsilon: float


@dataclass(kw_only=True)
class ScheduleConfig:
    """Base of the learning-rate schedules; all warm up linearly."""

    name: str
    warmup: int  # updates from 0 to the peak rate; 0: none


@dataclass(kw_only=True)
class ConstantScheduleConfig(ScheduleConfig):
    """The peak rate throughout."""

    name: str = "constant"


@dataclass(kw_only=True)
class InverseSqrtScheduleConfig(ScheduleConfig):
    """Peak · sqrt(warmup / update) after the warm-up (Vaswani et al. 2017, section 5.3)."""

    name: str = "inverse_sqrt"


@dataclass(kw_only=True)
class CosineScheduleConfig(ScheduleConfig):
    """Half a cosine from the peak to ``final_factor`` of it at the run's end."""

    name: str = "cosine"
    final_factor: float


@dataclass(kw_only=True)
class PlateauScheduleConfig(ScheduleConfig):
    """The rate is multiplied by ``factor`` after ``patience`` validations without a gain."""

    name: str = "plateau"
    factor: float
    patience: int


@dataclass(kw_only=True)
class HalvingScheduleConfig(ScheduleConfig):
    """The peak rate until ``start``, then cut every so often (Luong et al. 2015, section 4.1)."""

    name: str = "halving"
    start: int  # the last update at the peak rate; the first cut follows it
    every: int  # updates from one cut to the next
    factor: float  # what a cut multiplies the rate by


@dataclass(kw_only=True)
class GuidedAlignmentConfig:
    """Trains one head of the decoder's attention toward given word links (Garg et al. 2019)."""

    weight: float  # of the extra loss, a target piece; 0: off
    layer: int | None  # decoder layer, from 0, negative: from the last; null: the last but one
    head: int  # of that layer, counted from 0
    shift: bool  # read the row where the piece is the decoder's input (Chen et al. 2020)


@dataclass(kw_only=True)
class DistillationConfig:
    """Learning from a finished run: what it says (Kim & Rush 2016) and where it looks."""

    teacher: str | None  # a run folder or checkpoint; null: off
    weight: float  # share of the teacher's distribution in the loss, from 0 to 1
    temperature: float  # both distributions are softened by it (Hinton et al. 2015)
    attention_weight: float  # of the loss on where the student looks, a target piece; 0: off
    attention_layer: int  # decoder layer of both, from 0; negative: from the last
    attention_measure: str  # kl | mse


@dataclass(kw_only=True)
class TrainingConfig:
    """The budget of a run, what an update is, and how often it is looked at."""

    max_updates: int
    max_minutes: float | None  # training time, resumed parts included; null: no limit
    batch_tokens: int  # target tokens an update, pads included; 0: as many as memory holds
    accumulation: int  # forward passes an update is split into
    label_smoothing: float
    guided_alignment: GuidedAlignmentConfig
    coverage_loss: float  # weight of See et al. 2017, eq. 12, a target piece; 0: off
    clip_norm: float | None  # largest gradient norm; null: no clipping
    precision: str  # auto | float32 | bfloat16 | float16
    tf32: bool  # float32 products in 19 bits, on CUDA
    deterministic: bool  # the same numbers every time, on CUDA
    gradient_checkpointing: bool  # Transformer layers are run again for the gradient
    device: str  # auto | cpu | cuda | cuda:N | mps
    parallel: str  # auto | ddp | fsdp: how processes that torchrun starts share the work
    threads: int | None  # CPU threads; null: torch's choice
    ema_decay: float | None  # decay of the weights' moving average, which is then what is validated
    validate_every: int  # updates
    validation_beam_size: int
    save_every: int  # updates between writes of last.pt
    save_in_background: bool  # write while training goes on
    keep_last: int  # the newest checkpoints: last.pt, and before it update-N.pt
    keep_every: int | None  # updates whose checkpoint is kept for good; null: none
    keep_best: int  # the best models: best.pt, and behind it best-update-N.pt
    best_metric: str  # bleu | perplexity: what best.pt and early stopping go by
    patience: int | None  # validations without a gain before the run stops; null: never
    max_skipped: int  # updates in a row without a finite gradient that are skipped
    on_divergence: str  # stop | rewind: what comes after them
    rewind_rate: float  # what going back to the last checkpoint multiplies the rate by
    dry_run: bool  # measure the largest batch and stop
    init_from: str | None  # a run folder or checkpoint whose weights are the first; null: random
    init_vocabulary: str  # keep | new: its tokenizers, or new ones that share some pieces
    freeze: list[str]  # modules that keep their first weights, as encoder or "*.norm*"
    l2_sp: float  # pull toward the weights of init_from (Li et al. 2018, eq. 3); 0: off
    ewc: float  # the same, by how much the old data needs each (Kirkpatrick et al. 2017, eq. 3)
    r_drop: float  # alpha of Liang et al. 2021, eq. 4; 0: off
    distillation: DistillationConfig
    average_last: int  # checkpoints averaged at the end of the run; 0: none


@dataclass(kw_only=True)
class DecodingConfig:
    """The search of the final test and, unless told otherwise, of ``nmt translate``."""

    beam_size: int
    length_penalty: float  # alpha of Wu et al. 2016, eq. 14; 0: none
    max_length_ratio: float  # longest output: ratio · source pieces + max_length_extra
    max_length_extra: int
    batch_size: int  # sentences searched together


@dataclass(kw_only=True)
class LoggingConfig:
    """What a run writes besides its checkpoints."""

    log_every: int  # updates between points of the training curves
    tensorboard: bool
    samples: int  # validation sentences shown translated, and drawn as heatmaps
    heatmap_layer: int  # decoder layer drawn, counted from 0; negative: from the last


@dataclass(kw_only=True)
class RunConfig:
    """Where a run lives."""

    dir: str | None  # null: runs/<corpus>-<model>-s<seed>-<hash of the configuration>


@dataclass(kw_only=True)
class Config:
    """All settings of one run, checked and typed."""

    seed: int
    run: RunConfig
    data: DataConfig
    tokenizer: TokenizerConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    training: TrainingConfig
    decoding: DecodingConfig
    logging: LoggingConfig
