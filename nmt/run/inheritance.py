"""What a run takes over from others: tokenizers, first weights, a pull toward them, a teacher."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nmt import processes
from nmt.checkpoint import Checkpoint, find_checkpoint, load_checkpoint, save_checkpoint
from nmt.config.check_training import attention_layers
from nmt.config.data import TokenizerConfig
from nmt.config.schema import Config
from nmt.data.batch import Batch, collate_pairs
from nmt.data.cache import cache_directory
from nmt.data.encoded import content_hash
from nmt.data.length_batches import batches_by_length
from nmt.data.prepared_corpus import prepare
from nmt.data_check.preparation_report import PreparationReporter
from nmt.errors import UserError
from nmt.model.seq2seq import TranslationModel
from nmt.run.average_checkpoints import differing_tokenizer
from nmt.run.folder import RunFolder
from nmt.text.tokenizer import Tokenizer, TokenizerPair
from nmt.text.train_model import given_model
from nmt.training.anchor import Anchor, fisher_information
from nmt.training.distillation import Teacher
from nmt.training.freezing import freeze
from nmt.training.objective import AuxiliaryTargets
from nmt.training.starting import Inherited, refuse_other_model, stiffness

INITIAL = "initial.pt"
"""In a run's ``checkpoints``: the weights that it started from, so that it needs no other run."""

_FISHER_PAIRS = 4000
_FISHER_TOKENS = 2048  # of a batch; each is one draw of the gradient
_FREE = ("symbols", "sampling", "sample_size", "model", "target_model")


def tokenizer_settings(config: Config) -> TokenizerConfig:
    """Return how a run cuts text: by its settings, or as in the run that it starts or learns from.

    Raises:
        UserError: The settings contradict that run's.
    """
    training = config.training
    if training.init_from is not None:
        if training.init_vocabulary == "new":
            return config.tokenizer
        file, key, remedy = _origin(config), "training.init_from", "training.init_vocabulary=new"
    elif training.distillation.teacher is not None:
        key, remedy = "training.distillation.teacher", "training.distillation.teacher=null"
        file = _find(training.distillation.teacher, key)
    else:
        return config.tokenizer
    old = load_checkpoint(file)
    _refuse_other_tokenizer(config.tokenizer, old, key, remedy)
    return _kept_tokenizer(config, config.tokenizer, old.tokenizers)


def _refuse_other_tokenizer(
    tokenizer: TokenizerConfig, old: Checkpoint, key: str, remedy: str
) -> None:
    before = old.config.tokenizer
    differing = [
        f"tokenizer.{name} is {getattr(tokenizer, name)}, there {getattr(before, name)}"
        for name in (field.name for field in fields(TokenizerConfig))
        if name not in _FREE and getattr(tokenizer, name) != getattr(before, name)
    ]
    lost = [symbol for symbol in before.symbols if symbol not in tokenizer.symbols]
    if lost:
        differing.append(f"tokenizer.symbols lacks {', '.join(lost)}")
    for name, side in (("model", "source"), ("target_model", "target")):
        given = getattr(tokenizer, name)
        own: Tokenizer = getattr(old.tokenizers, side)
        if given is None:
            continue
        other = Tokenizer(given_model(given, before.symbols))
        if other.pieces(range(len(other))) != own.pieces(range(len(own))):
            differing.append(f"tokenizer.{name}={given} is not its {side} tokenizer")
    if differing:
        raise UserError(
            f"the tokenizers of {key} are taken over, but {'; '.join(differing)}: make them equal, "
            f"or set {remedy}"
        )


def _kept_tokenizer(
    config: Config, tokenizer: TokenizerConfig, pair: TokenizerPair
) -> TokenizerConfig:
    """Return settings that give these very tokenizers, whose models are put into the cache."""
    source = _keep(config, pair.source)
    target = None if pair.joint else _keep(config, pair.target)
    return replace(tokenizer, model=source, target_model=target)


def _keep(config: Config, tokenizer: Tokenizer) -> str:
    model = tokenizer.to_bytes()
    path = cache_directory(config.data) / "tokenizers" / f"{content_hash([model.hex()])}.model"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != model:
            partial = path.with_name(f".{path.name}.{processes.rank()}.partial")
            partial.write_bytes(model)
            partial.replace(path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}; choose another data.cache_dir"
        ) from error
    return str(path)


def inherit(
    config: Config, model: TranslationModel, tokenizers: TokenizerPair, say: Callable[[str], None]
) -> AuxiliaryTargets:
    """Start a model as ``training`` says: with what weights, which frozen, what pulls and teaches.

    Args:
        config: Of the new run.
        model: Freshly built, on its device; its weights are filled in.
        tokenizers: Of the new run.
        say: Told what was taken over.

    Raises:
        UserError: What is named is not there, or does not go together.
    """
    training, anchor = config.training, None
    if training.freeze:
        frozen, numbers = freeze(model, training.freeze), sum(p.numel() for p in model.parameters())
        say(f"frozen: {frozen:,} of {numbers:,} parameters")

    def begin() -> None:
        nonlocal anchor
        anchor = start(config, model, tokenizers, say)

    if training.init_from is not None:
        processes.first_here(begin)
    teacher = load_teacher(config, tokenizers, model.output.weight.device, say)
    return AuxiliaryTargets(teacher, anchor)


def start(
    config: Config, model: TranslationModel, tokenizers: TokenizerPair, say: Callable[[str], None]
) -> Anchor | None:
    """Fill a model with the weights of ``training.init_from``; None where nothing pulls to them.

    They are kept in the run folder, so that an unfinished run goes on without the old one.

    Args:
        config: Of the new run.
        model: Freshly built, on its device.
        tokenizers: Of the new run.
        say: Told what was taken over.

    Raises:
        UserError: The old run's model is another, or its training text has gone but is needed.
    """
    file = RunFolder.of(config).checkpoints / INITIAL
    if not file.exists():
        begun = _begin(config, model, tokenizers, say)
        if processes.is_first() and not config.training.dry_run:
            save_checkpoint(begun, file)
    else:
        begun = load_checkpoint(file)
    model.load_state_dict(dict(begun.weights))
    if begun.training is None:
        return None
    return Anchor(model, begun.weights, begun.training["stiffness"])


def _begin(
    config: Config, model: TranslationModel, tokenizers: TokenizerPair, say: Callable[[str], None]
) -> Checkpoint:
    training, old = config.training, load_checkpoint(_origin(config))
    whose = f"training.init_from={training.init_from}"
    refuse_other_model(old.config.model, config.model, whose)
    inherited = Inherited(old.tokenizers, tokenizers)
    fresh = {name: weight.cpu() for name, weight in model.state_dict().items()}
    weights = inherited.carry(old.weights, fresh)
    say(f"starts from {training.init_from}: {inherited.describe()}")
    held = None
    if training.l2_sp or training.ewc:
        fisher = _fisher(config, old, model.output.weight.device, say) if training.ewc else None
        held = {
            "stiffness": stiffness(
                inherited, model, l2_sp=training.l2_sp, ewc=training.ewc, fisher=fisher
            )
        }
    return Checkpoint(config, tokenizers, weights, held, {}, 0)


def _fisher(
    config: Config, old: Checkpoint, device: torch.device, say: Callable[[str], None]
) -> dict[str, Tensor]:
    """Estimate what the old run's training text needs of its weights, on an even share of it."""
    data = replace(
        old.config.data,
        cache_dir=config.data.cache_dir,
        workers=config.data.workers,
        dropped=None,
    )
    tokenizer = _kept_tokenizer(config, old.config.tokenizer, old.tokenizers)
    corpus = prepare(data, tokenizer, PreparationReporter(data)).train
    chosen = np.random.default_rng(config.seed).permutation(len(corpus))[:_FISHER_PAIRS]
    lengths = np.asarray(corpus.source.lengths), np.asarray(corpus.target.lengths)

    def batches() -> Iterator[Batch]:
        for indices in batches_by_length(*lengths, chosen, _FISHER_TOKENS):
            yield collate_pairs(corpus, indices).to(device)

    say(f"estimating the Fisher information on {len(chosen):,} pairs of {data.name}")
    generator = torch.Generator(device).manual_seed(config.seed)
    with torch.random.fork_rng(devices=[]):  # the run's own numbers stay as if this had not been
        model = old.build_model().to(device)
    found = fisher_information(model, batches(), generator)
    return {name: value.cpu() for name, value in found.items()}


def _origin(config: Config) -> Path:
    """Return the file that a run started from, or starts from."""
    kept = RunFolder.of(config).checkpoints / INITIAL
    return kept if kept.exists() else _find(str(config.training.init_from), "training.init_from")


def _find(run: str, key: str) -> Path:
    """Return the checkpoint of a run that a setting names.

    Raises:
        UserError: There is none.
    """
    try:
        return find_checkpoint(Path(run))
    except UserError as error:
        raise UserError(f"{key}: {error}; put it back, or give a run folder or its file") from error


def load_teacher(
    config: Config, tokenizers: TokenizerPair, device: torch.device, say: Callable[[str], None]
) -> Teacher | None:
    """Return the teacher of ``training.distillation``, on a device; None where there is none.

    Raises:
        UserError: There is no such model, its pieces are others, or it cannot show where to look.
    """
    settings = config.training.distillation
    if settings.teacher is None:
        return None
    key = "training.distillation.teacher"
    checkpoint, whose = load_checkpoint(_find(settings.teacher, key)), f"{key}={settings.teacher}"
    side = differing_tokenizer(checkpoint.tokenizers, tokenizers)
    if side is not None:
        raise UserError(
            f"{whose} has other {side} pieces than this run, so their words cannot be compared: "
            "take a teacher of the same tokenizers, or let it translate the training text"
        )
    layers, _ = attention_layers(checkpoint.config.model.decoder)
    layer = settings.attention_layer
    if settings.attention_weight and not -layers <= layer < layers:
        raise UserError(
            f"{whose} attends in {layers} {'layer' if layers == 1 else 'layers'}, and "
            f"training.distillation.attention_layer is {layer}: choose another, or set "
            "training.distillation.attention_weight=0"
        )
    teacher = Teacher(checkpoint.build_model().to(device), settings)
    numbers = sum(parameter.numel() for parameter in teacher.model.parameters())
    say(f"learns from {settings.teacher}, {numbers:,} parameters")
    return teacher
