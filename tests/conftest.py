"""Shared by all tests: one thread, a separate cache, tiny models of every kind, random pairs.

Settings are the defaults of `nmt.config` with a few small values. Every test starts from the same
random state, so that a failure is reproduced when the test runs alone.
"""

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

from nmt.config.data import PhrasebookDataConfig
from nmt.config.model import ModelConfig
from nmt.config.schema import AdamConfig, Config, DecodingConfig, LoggingConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.config.training_settings import TrainingConfig
from nmt.data.batches.batch import Batch, collate
from nmt.data.encoded import EncodedCorpus, PieceSequences
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.metric_log import MetricLogs
from nmt.reporting.progress_line import ProgressLine, TrainingStatus
from nmt.training.schedule import ConstantScheduleConfig
from nmt.training.services import TrainerServices

pytest_plugins = ["kept_compositions", "tiny_models"]  # in tests/fixtures
SOURCE_SIZE, TARGET_SIZE = 23, 29  # vocabulary sizes of the models there
SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
FIRST_PIECE = 4  # after the special tokens

Pairs = list[tuple[list[int], list[int]]]


def pytest_configure(config: pytest.Config) -> None:
    """Hide a warning that an import of TensorBoard gives."""
    ignored = "ignore:html5lib's sanitizer is deprecated:DeprecationWarning"
    config.addinivalue_line("filterwarnings", ignored)


@pytest.hookimpl(tryfirst=True)  # before slow tests are deselected
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the files, begin with long ones: none is left at the end."""
    if hasattr(config, "workerinput"):
        long = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in long)  # the order is kept otherwise


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
            patch.setitem(sys.modules, name, module)  # dataclasses look the module up there
            loader.exec_module(module)
            return module

        yield load


@pytest.fixture(autouse=True)
def kept_threads() -> Iterator[None]:
    """Restore the number of threads: a forked process would wait for threads that it lacks."""
    before = torch.get_num_threads()
    yield
    if torch.get_num_threads() != before:
        torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    torch.manual_seed(1)


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
    """Four pairs of different lengths; the longest is neither first nor last, one has one piece."""
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
    """A factory of full configurations; keywords are fields of `TrainingConfig`, or sections."""

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
    """Return the report of a validation that evaluates nothing."""

    perplexity: float
    loss: float = 0.0
    samples: Mapping[str, str] = field(default_factory=dict)
    heatmaps: Mapping[str, Heatmap] = field(default_factory=dict)

    def scalars(self) -> dict[str, float]:
        return {"loss": 0.0, "perplexity": self.perplexity, "bleu": 0.0, "chrf": 0.0}


@dataclass
class Recorder:
    """Trainer services without files: keeps saved states and progress, and interrupts on demand.

    Attributes:
        validate: Called for every validation; returns its perplexity.
        stop_after: The update after which the run is asked to stop.
        saved: The last weights and training state by name, as loaded from a file.
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
        """Replace the progress line."""
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
    """The class that replaces a trainer's services."""
    return Recorder
