import io
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nmt.checkpoint import Checkpoint, save_checkpoint
from nmt.cli.main import main
from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.model.seq2seq import TranslationModel
from nmt.text.tokenizer import TokenizerPair, train_tokenizers

Call = Callable[..., "Result"]
TinyConfig = Callable[..., ModelConfig]

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
ZAHLEN = ["eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn"]


@dataclass(frozen=True)
class Result:
    """How a call of the command ended."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def nmt() -> Call:
    """Call the command in this process, as the entry point would."""

    def call(*arguments: object, stdin: bytes = b"") -> Result:
        out, err = io.BytesIO(), io.BytesIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HF_HUB_OFFLINE", "1")
            patch.setenv("HYDRA_FULL_ERROR", "0")  # the command sets it; it is put back after
            patch.setattr(sys, "argv", ["nmt", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
            patch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="utf-8"))
            patch.setattr(sys, "stderr", io.TextIOWrapper(err, encoding="utf-8"))
            status = 0
            try:
                main()
            except SystemExit as ending:
                status = ending.code if isinstance(ending.code, int) else int(bool(ending.code))
            for stream in (sys.stdout, sys.stderr):
                if not stream.closed:
                    stream.flush()
            return Result(status, out.getvalue().decode(), err.getvalue().decode())

    return call


@pytest.fixture
def refused(nmt: Call) -> Callable[..., str]:
    """Call the command, which has to refuse, and return the one line that it says why."""

    def call(*arguments: object, stdin: bytes = b"", after_progress: bool = False) -> str:
        result = nmt(*arguments, stdin=stdin)
        lines = result.err.splitlines()
        assert result.status == 2, result
        assert after_progress or result.out == ""
        assert [line for line in lines if line.startswith("nmt: ")] == lines[-1:], result.err
        assert after_progress or len(lines) == 1, result.err
        assert "Traceback" not in result.err
        return lines[-1].removeprefix("nmt: ")

    return call


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder with `train`, `valid` and `test`, English and German."""
    return _write_corpus(tmp_path / "corpus")


@pytest.fixture(scope="session")
def run(nmt: Call, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a tiny model that has hardly learned anything."""
    folder = tmp_path_factory.mktemp("runs")
    result = nmt("train", *_tiny(_write_corpus(folder / "corpus")), f"run.dir={folder / 'run'}")
    assert result.status == 0, result.err
    return folder / "run"


@pytest.fixture
def heads_model(model_file: Callable[[ModelConfig], Path], tiny_config: TinyConfig) -> Path:
    """A Transformer of 2 layers and 4 heads that has learned nothing, trained on no corpus."""
    return model_file(tiny_config("transformer", "transformer", num_layers=2))


@pytest.fixture
def blind_model(model_file: Callable[[ModelConfig], Path], tiny_config: TinyConfig) -> Path:
    """A model without attention that has learned nothing."""
    return model_file(tiny_config(attention="none"))


@pytest.fixture
def model_file(
    tmp_path_factory: pytest.TempPathFactory,
    run_config: Callable[..., Config],
    tiny_model: Callable[..., TranslationModel],
) -> Callable[[ModelConfig], Path]:
    """Saves a model with random weights, and pieces smaller than words, as a checkpoint."""

    def save(model: ModelConfig) -> Path:
        config = run_config(model)
        tokenizer = replace(config.tokenizer, vocab_size=23)
        sides = ([" ".join(words)] for words in (NUMBERS, ZAHLEN))
        source, target = (train_tokenizers(tokenizer, side, side).source for side in sides)
        weights = tiny_model(model, len(source), len(target)).state_dict()
        path = tmp_path_factory.mktemp("model") / "model.pt"
        save_checkpoint(Checkpoint(config, TokenizerPair(source, target), weights, None, {}), path)
        return path

    return save


@pytest.fixture(scope="session")
def tiny() -> Callable[[Path], list[str]]:
    """Overrides that train a tiny model on a corpus in a moment."""
    return _tiny


def _tiny(corpus: Path) -> list[str]:
    return [
        "data=files",
        "data.source_language=en",
        "data.target_language=de",
        *(
            f"data.{split}.{side}={corpus / split}.{language}"
            for split in ("train", "valid", "test")
            for side, language in (("source", "en"), ("target", "de"))
        ),
        "tokenizer.vocab_size=44",
        "tokenizer.byte_fallback=false",
        "model=rnn",
        "model.encoder.embedding_size=16",
        "model.encoder.hidden_size=16",
        "model.decoder.embedding_size=16",
        "model.decoder.hidden_size=16",
        "model.decoder.attention.size=16",
        "training.device=cpu",
        "training.precision=float32",
        "training.max_updates=2",
        "training.batch_tokens=256",
        "logging.samples=1",
        "decoding.beam_size=2",
    ]


def _write_corpus(folder: Path) -> Path:
    folder.mkdir()
    for split, start, pairs in (("train", 0, 100), ("valid", 100, 5), ("test", 105, 5)):
        rows = [(i % 10, i * 7 // 10 % 10, i * 3 % 10) for i in range(start, start + pairs)]
        for language, words in (("en", NUMBERS), ("de", ZAHLEN)):
            text = "".join(" ".join(words[n] for n in row) + "\n" for row in rows)
            (folder / f"{split}.{language}").write_text(text, encoding="utf-8")
    return folder
