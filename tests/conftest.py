"""Shared by all tests: one thread, a cache of its own, tiny models of every kind, random pairs.

Settings are the defaults of `nmt.config` with a few small values. Every test starts from the same
random state, so that a failure is reproduced when the test runs alone.
"""

import dataclasses
import importlib.util
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from nmt.config.choices import CHOICES
from nmt.config.data import PhrasebookDataConfig, TokenizerConfig
from nmt.config.model import AttentionConfig, DecoderConfig, EncoderConfig, ModelConfig
from nmt.config.schema import AdamConfig, Config, DecodingConfig, LoggingConfig
from nmt.config.training_settings import TrainingConfig
from nmt.data.batch import Batch, collate
from nmt.data.encoded import EncodedCorpus, PieceSequences
from nmt.model.build import build_model
from nmt.model.seq2seq import TranslationModel
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.metric_log import MetricLogs
from nmt.reporting.progress_line import ProgressLine, TrainingStatus
from nmt.training.schedule import ConstantScheduleConfig
from nmt.training.services import TrainerServices

SOURCE_SIZE, TARGET_SIZE = 23, 29  # unlike, so that a confusion of the two shows
SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
FIRST_PIECE = 4  # after the special tokens

Pairs = list[tuple[list[int], list[int]]]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NMT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def load_script() -> Iterator[Callable[[str], Any]]:
    """A function that loads a file of scripts/ by its name, as a module."""
    with pytest.MonkeyPatch.context() as patch:

        def load(name: str) -> Any:
            loader = SourceFileLoader(name, str(SCRIPTS / name))
            spec = importlib.util.spec_from_loader(name, loader)
            assert spec is not None
            module = importlib.util.module_from_spec(spec)
            patch.setattr(sys, "dont_write_bytecode", True)
            patch.setitem(sys.modules, name, module)  # where dataclasses look
            loader.exec_module(module)
            return module

        yield load


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    torch.manual_seed(1)


# ----------------------------------------------------------------------- models


BASES = (EncoderConfig, DecoderConfig, AttentionConfig)
MODEL_SETTINGS = {
    field.name
    for base in BASES
    for cls in CHOICES[base].values()
    for field in dataclasses.fields(cls)
}


def _choice(base: type, name: str, settings: Mapping[str, Any]) -> Any:
    """Return a choice with those of the settings that it has, and its defaults for the rest."""
    cls = CHOICES[base][name]
    names = {field.name for field in dataclasses.fields(cls)}
    return cls(**{key: value for key, value in settings.items() if key in names})


def _tiny_config(
    encoder: str = "rnn",
    decoder: str = "rnn",
    *,
    attention: str = "bahdanau",
    tying: str = "none",
    size: int | None = None,
    dropout: float = 0.0,
    bidirectional: bool = True,
    num_layers: int = 1,
    **changes: Any,
) -> ModelConfig:
    """Return the default settings with a few units; all sizes differ, or all are ``size``.

    ``changes`` are settings of the encoder, the decoder and the attention, wherever they exist.
    """
    assert changes.keys() <= MODEL_SETTINGS, changes
    names = ("dropout", "attention_dropout", "feed_forward_dropout")
    shared = dict.fromkeys(names, dropout) | dict(num_layers=num_layers, **changes)
    attention_sizes = dict(size=7, num_heads=2, window_size=2, max_source_length=6)
    encoder_sizes = {
        "rnn": dict(
            embedding_size=size or 9,
            hidden_size=(size or (12 if bidirectional else 20)) // (1 + bidirectional),
            bidirectional=bidirectional,
        ),
        "transformer": dict(
            hidden_size=size or 12, feed_forward_size=2 * (size or 10), num_heads=2
        ),
    }
    decoder_sizes: dict[str, dict[str, Any]] = {
        "rnn": dict(
            embedding_size=size or 11,
            hidden_size=size or (10 if bidirectional else 20),
            attention=_choice(AttentionConfig, attention, attention_sizes | changes),
        ),
        "transformer": dict(
            hidden_size=size or 16, feed_forward_size=2 * (size or 13), num_heads=4
        ),
    }
    return ModelConfig(
        encoder=_choice(EncoderConfig, encoder, shared | encoder_sizes[encoder]),
        decoder=_choice(DecoderConfig, decoder, shared | decoder_sizes[decoder]),
        tying=tying,
    )


SCORES = (
    "luong_dot",
    "luong_general",
    "luong_concat",
    "luong_location",
    "scaled_dot",
    "multi_head",
)

TRANSFORMERS: dict[str, dict[str, Any]] = {
    "pre": dict(norm="pre"),
    "post": dict(norm="post"),
    **{
        kind: dict(positions=kind) for kind in ("learned", "relative", "t5_bias", "rotary", "alibi")
    },
    "rms-qk_norm-rotary-swiglu": dict(
        norm_type="rms", qk_norm=True, positions="rotary", activation="swiglu"
    ),
    "post-rms-gelu-alibi": dict(norm="post", norm_type="rms", activation="gelu", positions="alibi"),
    "multi_query": dict(num_kv_heads=1),
    "grouped_query-relative": dict(num_kv_heads=2, positions="relative"),
    "grouped_query-t5_bias-qk_norm": dict(num_kv_heads=2, positions="t5_bias", qk_norm=True),
}


def _all_kinds() -> dict[str, dict[str, Any]]:
    kinds: dict[str, dict[str, Any]] = {
        f"transformer-{name}": dict(
            encoder="transformer", decoder="transformer", num_layers=2, **settings
        )
        for name, settings in TRANSFORMERS.items()
    }
    for shape in (dict(cell="gru", num_layers=1), dict(cell="lstm", num_layers=2)):
        named = "-".join(str(value) for value in shape.values())
        for attention in ("none", "bahdanau"):
            kinds[f"{attention}-{named}"] = dict(attention=attention, **shape)
        for score in SCORES:
            kinds[f"{score}-{named}"] = dict(attention=score, **shape)
            kinds[f"{score}-unfed-{named}"] = dict(attention=score, input_feeding=False, **shape)
    for window in ("local_m", "local_p"):
        for attention in ("bahdanau", *SCORES):
            kinds[f"{attention}-{window}"] = dict(attention=attention, window=window)
        kinds[f"luong_general-{window}-unfed"] = dict(
            attention="luong_general", window=window, input_feeding=False
        )
    for coverage in ("sum", "fertility"):
        kinds[f"bahdanau-{coverage}"] = dict(coverage=coverage)
        kinds[f"luong_concat-{coverage}-local_p-unfed"] = dict(
            attention="luong_concat", coverage=coverage, window="local_p", input_feeding=False
        )
    return kinds | {
        "bahdanau-gru-2": dict(num_layers=2, bridge="linear"),
        "bahdanau-maxout": dict(maxout_size=8),
        "luong_dot-lstm-1-zero": dict(attention="luong_dot", cell="lstm", bridge="zero"),
        "bahdanau-unidirectional": dict(bidirectional=False),
        "luong_dot-unidirectional": dict(attention="luong_dot", bidirectional=False),
        "luong_dot-reverse": dict(
            attention="luong_dot", bidirectional=False, reverse=True, num_layers=2
        ),
        "none-unidirectional": dict(attention="none", bidirectional=False),
        "transformer-to-bahdanau": dict(encoder="transformer"),
        "transformer-to-luong_general": dict(
            encoder="transformer", attention="luong_general", cell="lstm", num_layers=2
        ),
        "transformer-to-none": dict(encoder="transformer", attention="none"),
        "rnn-to-transformer": dict(decoder="transformer"),
    }


KINDS = _all_kinds()


def _model_of(
    config: ModelConfig, source_size: int = SOURCE_SIZE, target_size: int = TARGET_SIZE
) -> TranslationModel:
    torch.manual_seed(1)
    model = build_model(config, source_size, target_size)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:  # biases of 0 and norms of 1 would hide what they do
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model.eval()


@pytest.fixture
def tiny_config() -> Callable[..., ModelConfig]:
    """A factory of model settings with a few units each."""
    return _tiny_config


@pytest.fixture
def tiny_model() -> Callable[..., TranslationModel]:
    """A factory of models to test: every vector random, in evaluation mode, always the same."""
    return _model_of


@pytest.fixture(params=list(KINDS))
def model_config(request: pytest.FixtureRequest) -> ModelConfig:
    """The settings of every kind of model in turn."""
    return _tiny_config(**KINDS[request.param])


@pytest.fixture
def model(model_config: ModelConfig) -> TranslationModel:
    """A model of every kind in turn, to be fed by `make_pairs`."""
    return _model_of(model_config)


# ------------------------------------------------------------------------ pairs


def _make_pairs(
    source_lengths: Sequence[int],
    target_lengths: Sequence[int],
    source_size: int = SOURCE_SIZE,
    target_size: int = TARGET_SIZE,
    seed: int = 1,
) -> Pairs:
    random = np.random.default_rng(seed)
    return [
        (
            random.integers(FIRST_PIECE, source_size, source).tolist(),
            random.integers(FIRST_PIECE, target_size, target).tolist(),
        )
        for source, target in zip(source_lengths, target_lengths, strict=True)
    ]


@pytest.fixture
def make_pairs() -> Callable[..., Pairs]:
    """A factory of random pairs of piece ids with these lengths."""
    return _make_pairs


@pytest.fixture
def ragged_pairs() -> Pairs:
    """Four pairs of unlike lengths, the longest neither first nor last, and one a single piece."""
    return _make_pairs((4, 7, 2, 1), (3, 1, 6, 2))


@pytest.fixture
def batch_of() -> Callable[[Pairs], Batch]:
    """Collates pairs."""
    return lambda pairs: collate([source for source, _ in pairs], [target for _, target in pairs])


@pytest.fixture
def ragged_batch(ragged_pairs: Pairs, batch_of: Callable[[Pairs], Batch]) -> Batch:
    """The batch of `ragged_pairs`."""
    return batch_of(ragged_pairs)


@pytest.fixture
def corpus_of() -> Callable[[Pairs], EncodedCorpus]:
    """Makes a corpus of pairs, as if a tokenizer had encoded it."""

    def make(pairs: Pairs) -> EncodedCorpus:
        sides = ([source for source, _ in pairs], [target for _, target in pairs])
        return EncodedCorpus(*(PieceSequences.from_lists(side) for side in sides))

    return make


# --------------------------------------------------------------------- training


def _tokenizer_config(**changes: Any) -> TokenizerConfig:
    tiny = TokenizerConfig(
        name="unigram",
        vocab_size=20,
        joint=False,
        byte_fallback=False,
        normalization="identity",
        sample_size=1_000_000,
    )
    return replace(tiny, **changes)


@pytest.fixture(scope="session")
def tokenizer_config() -> Callable[..., TokenizerConfig]:
    """A factory of a tiny tokenizer's settings; keywords are its fields."""
    return _tokenizer_config


@pytest.fixture
def run_config() -> Callable[..., Config]:
    """A factory of whole configurations; keywords are fields of `TrainingConfig`, or sections."""

    def make(model: ModelConfig, **changes: Any) -> Config:
        tiny = TrainingConfig(
            max_updates=6,
            batch_tokens=64,
            precision="float32",
            device="cpu",
            validate_every=1_000_000,
            save_every=1_000_000,
            best_metric="perplexity",
            max_skipped=0,
            keep_last=1,
            save_in_background=False,
        )
        sections = {key: changes.pop(key) for key in ("optimizer", "schedule") if key in changes}
        return Config(
            data=PhrasebookDataConfig(
                source_language="en", target_language="de", max_length=100, workers=1
            ),
            tokenizer=_tokenizer_config(vocab_size=64),
            model=model,
            optimizer=sections.get("optimizer", AdamConfig(learning_rate=0.003)),
            schedule=sections.get("schedule", ConstantScheduleConfig(warmup=0)),
            training=replace(tiny, **changes),
            decoding=DecodingConfig(beam_size=1, max_length_extra=5),
            logging=LoggingConfig(log_every=1, tensorboard=False, samples=0),
        )

    return make


@dataclass(frozen=True)
class Report:
    """What a validation that looks at nothing tells."""

    perplexity: float
    loss: float = 0.0
    samples: Mapping[str, str] = field(default_factory=dict)
    heatmaps: Mapping[str, Heatmap] = field(default_factory=dict)

    def scalars(self) -> dict[str, float]:
        return {"loss": 0.0, "perplexity": self.perplexity, "bleu": 0.0, "chrf": 0.0}


@dataclass
class Recorder:
    """A world without files: it keeps what a trainer saves and shows, and interrupts on demand.

    Attributes:
        validate: Called for every validation; returns its perplexity.
        stop_after: The update after which someone asks the run to stop.
        saved: The last weights and training state by name, as they come back from a file.
        losses: Mean loss of every update.
    """

    validate: Callable[[], float] = lambda: 1.0
    stop_after: int | None = None
    saved: dict[str, dict[str, Any]] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)

    def services(self) -> TrainerServices:
        line = cast("ProgressLine", self)
        return TrainerServices(
            validate=lambda: Report(self.validate()),
            save=self._save,
            metric_log=MetricLogs([]),
            progress_line=line,
            report=lambda _: None,
            interrupted=lambda: len(self.losses) == self.stop_after,
        )

    def update(self, status: TrainingStatus) -> None:
        """Take the place of the progress line."""
        assert status.loss is not None
        self.losses.append(status.loss)

    def _save(
        self,
        name: str,
        _update: int,
        weights: Mapping[str, Tensor],
        training: Mapping[str, Any] | None,
        _: Mapping[str, float],
    ) -> None:
        file = io.BytesIO()
        torch.save({"weights": dict(weights), "training": training}, file)
        file.seek(0)
        self.saved[name] = torch.load(file, weights_only=True)


@pytest.fixture
def recorder() -> type[Recorder]:
    """The class of a trainer's stand-in surroundings."""
    return Recorder
