"""Settings of the training: the budget, the update, checkpoints, and simple recipes."""

from dataclasses import dataclass
from enum import StrEnum

from nmt.config.bleu_words import BleuTokenizer
from nmt.config.recipe_settings import DistillationConfig, GuidedAlignmentConfig
from nmt.config.setting import section, setting
from nmt.kernels.kernel_choice import Kernels


class Precision(StrEnum):
    """The dtype of a forward pass."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Parallel(StrEnum):
    """How the processes that torchrun starts share the work."""

    AUTO = "auto"
    DDP = "ddp"
    FSDP = "fsdp"


class Compile(StrEnum):
    """How the forward and backward passes of an update run."""

    AUTO = "auto"
    NONE = "none"  # each operation is launched separately
    GRAPHS = "graphs"  # one captured CUDA graph per shape
    LAYERS = "layers"  # Transformer layers compiled by torch.compile


class BatchShapes(StrEnum):
    """The shapes of the batches of a training."""

    AUTO = "auto"
    PADDED = "padded"  # pairs of similar length, padded to the longest of the batch
    BUCKETED = "bucketed"  # the same, padded to one of a few shapes
    PACKED = "packed"  # all pairs of a batch in one row, of the same length in the whole run


class BestMetric(StrEnum):
    """The validation score that selects the best model."""

    BLEU = "bleu"
    PERPLEXITY = "perplexity"


class OnDivergence(StrEnum):
    """What happens after too many updates without a finite gradient."""

    STOP = "stop"
    REWIND = "rewind"


class InitVocabulary(StrEnum):
    """The tokenizers of a run that starts from another run's weights."""

    KEEP = "keep"
    NEW = "new"


@dataclass(kw_only=True)
class TrainingConfig:
    """The budget of a run, the update, validation, checkpoints and recipes."""

    max_updates: int = setting(
        600,
        "Optimizer updates of the whole run.",
        unit="updates",
        at_least=1,
        resumable=True,
    )
    max_minutes: float | None = setting(
        None,
        "Time of all training and validation, including resumed parts; null: no limit.",
        unit="minutes",
        above=0,
        resumable=True,
    )
    batch_tokens: int = setting(
        2048,
        "Target tokens per update, including padding; 0 or auto: as many as fit in memory.",
        unit="tokens",
        at_least=0,
        at_most=100_000_000,
    )
    batch_shapes: str = setting(
        BatchShapes.AUTO,
        "Shapes of the batches: similar lengths side by side (padded), few shapes (bucketed), or "
        "all pairs in one row (packed, for Transformers); auto: the fastest for model and device.",
        choices=BatchShapes,
        neutral=BatchShapes.AUTO,
        resumable=True,
    )
    accumulation: int = setting(
        1,
        "Passes into which an update is split; more passes need less memory.",
        unit="passes",
        at_least=1,
    )
    label_smoothing: float = setting(
        0.1, "Probability that is spread over all pieces.", at_least=0, below=1
    )
    guided_alignment: GuidedAlignmentConfig = section(
        GuidedAlignmentConfig,
        "One attention head of the decoder is trained on given word links.",
        added=True,
    )
    coverage_loss: float = setting(
        0.0,
        "Weight of the penalty on repeated attention to a source piece, per target piece (See et "
        "al. 2017, eq. 12); 0: off.",
        at_least=0,
        before=0.0,
    )
    clip_norm: float | None = setting(
        1.0, "Largest norm of the gradient; null: gradients are not clipped.", above=0
    )
    precision: str = setting(
        Precision.AUTO,
        "Dtype of matrix products; auto: bfloat16 if the device is faster in it, otherwise "
        "float32. float16 is for CUDA.",
        choices=Precision,
    )
    tf32: bool = setting(
        False,
        "Whether CUDA multiplies float32 matrices in TF32 (19 bits): faster, but less exact.",
        before=False,
    )
    deterministic: bool = setting(
        False,
        "Whether CUDA uses only deterministic operations, which are slower. Runs on a CPU are "
        "always deterministic.",
        before=False,
    )
    kernels: str = setting(
        Kernels.AUTO,
        "auto: the fastest implementation on the device; plain: only PyTorch formulations, to "
        "find out whether a kernel causes a problem.",
        choices=Kernels,
        neutral=Kernels.AUTO,
        resumable=True,
    )
    compile: str = setting(
        Compile.AUTO,
        "How passes run: operation by operation (none), replayed as a CUDA graph per shape "
        "(graphs), or with Transformer layers compiled by torch.compile (layers); auto: graphs on "
        "a CUDA device with one process, else none.",
        choices=Compile,
        neutral=Compile.AUTO,
        resumable=True,
    )
    gradient_checkpointing: bool = setting(
        False,
        "Whether Transformer layers are computed again in the backward pass, which needs less "
        "memory and a third more time.",
        before=False,
    )
    device: str = setting("auto", "Device of the run: auto, cpu, cuda, cuda:N or mps.")
    parallel: str = setting(
        Parallel.AUTO,
        "How the processes that torchrun starts share the work: a whole model in each process "
        "(ddp, auto), or a part of it (fsdp).",
        choices=Parallel,
        before=Parallel.AUTO,
        indifferent=True,
    )
    threads: int | None = setting(
        None, "CPU threads; null: torch's default.", unit="threads", at_least=1, at_most=1024
    )
    ema_decay: float | None = setting(
        None,
        "Decay of the moving average of the weights, which is validated and saved instead of the "
        "weights; null: no average.",
        at_least=0,
        below=1,
    )
    validate_every: int = setting(
        150, "Updates between two validations.", unit="updates", at_least=1
    )
    validation_beam_size: int = setting(
        1, "Beam size of validation.", unit="hypotheses", at_least=1, at_most=1000
    )
    save_every: int = setting(
        150,
        "Updates between two writes of last.pt.",
        unit="updates",
        at_least=1,
        indifferent=True,
    )
    save_in_background: bool = setting(
        True,
        "Whether checkpoints are written while training continues.",
        before=False,
        indifferent=True,
    )
    keep_last: int = setting(
        2,
        "Newest checkpoints that are kept: last.pt, and update-N.pt of earlier ones.",
        unit="checkpoints",
        at_least=1,
        before=1,
        indifferent=True,
    )
    keep_every: int | None = setting(
        None,
        "Updates between checkpoints that are never deleted, named update-N.pt; null: none.",
        unit="updates",
        at_least=1,
        before=None,
        indifferent=True,
    )
    keep_best: int = setting(
        1,
        "Models with the best best_metric that are kept: best.pt, then best-update-N.pt.",
        unit="checkpoints",
        at_least=1,
        before=1,
        indifferent=True,
    )
    best_metric: str = setting(
        BestMetric.BLEU,
        "Validation score that selects best.pt and decides on early stopping.",
        choices=BestMetric,
    )
    bleu_tokenizer: str = setting(
        BleuTokenizer.AUTO,
        "Tokenizer whose words BLEU counts: auto (zh for Chinese, ja-mecab for Japanese, ko-mecab "
        "for Korean, else 13a), or one of sacreBLEU's. flores101 and flores200 are downloaded "
        "once.",
        choices=BleuTokenizer,
        neutral=BleuTokenizer.AUTO,
    )
    patience: int | None = setting(
        None,
        "Number of validations without an improvement after which the run stops; null: no limit.",
        unit="validations",
        at_least=1,
    )
    max_skipped: int = setting(
        10,
        "Number of successive updates without a finite gradient that are skipped; 0: the first "
        "such update counts as divergence.",
        unit="updates",
        at_least=0,
        before=0,
        resumable=True,
    )
    on_divergence: str = setting(
        OnDivergence.STOP,
        "What happens after more than max_skipped skipped updates in a row. stop: the run stops; "
        "rewind: it continues from an earlier checkpoint at a lower learning rate.",
        choices=OnDivergence,
        before=OnDivergence.STOP,
        resumable=True,
    )
    rewind_rate: float = setting(
        0.5,
        "Factor that multiplies the learning rate at each rewind.",
        above=0,
        at_most=1,
        before=0.5,
        resumable=True,
    )
    dry_run: bool = setting(
        False,
        "Whether to build everything, measure the largest batch, estimate the time, and write no "
        "run.",
        before=False,
        indifferent=True,
    )
    init_from: str | None = setting(
        None,
        "Run folder or checkpoint whose weights the run starts from (fine-tuning); null: random "
        "weights. The model may differ in dropout, in the weights of the losses on spans and "
        "depths, and in hierarchical context that is added.",
        before=None,
    )
    init_vocabulary: str = setting(
        InitVocabulary.KEEP,
        "Tokenizers of a run with init_from: the tokenizers of init_from (keep), or new ones "
        "(new). With new, the embeddings of pieces that both vocabularies have are copied.",
        choices=InitVocabulary,
        before=InitVocabulary.KEEP,
    )
    freeze: list[str] = setting(
        [],
        "Modules that are not trained, e.g. [encoder,decoder.embedding] or ['*.norm*'].",
        before=[],
    )
    l2_sp: float = setting(
        0.0,
        "Strength of the penalty on the distance to the weights of init_from (L2-SP, Li et al. "
        "2018, eq. 3); 0: off.",
        at_least=0,
        before=0.0,
    )
    ewc: float = setting(
        0.0,
        "Strength of the penalty on the distance to the weights of init_from, scaled for each "
        "weight by its importance for the old training text (EWC, Kirkpatrick et al. 2017, eq. "
        "3); 0: off.",
        at_least=0,
        before=0.0,
    )
    r_drop: float = setting(
        0.0,
        "Alpha of R-Drop (Liang et al. 2021, eq. 4), which makes the predictions of two passes "
        "with different dropout agree; 1 to 5 is usual, 0: off.",
        at_least=0,
        before=0.0,
    )
    distillation: DistillationConfig = section(
        DistillationConfig, "Training on the output of a finished run, the teacher.", added=True
    )
    average_last: int = setting(
        0,
        "Newest checkpoints that are averaged at the end of the run; the average becomes best.pt "
        "if its score is at least as good. 0: none.",
        unit="checkpoints",
        at_least=0,
        before=0,
    )
