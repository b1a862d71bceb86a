"""The extensions of docs/extending.md, applied to a copy of the package as the page shows them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
NEW_FILE = re.compile(r"new file `([^`]+)`:\n\n```\w+\n(.*?)```", re.DOTALL)
DIFF = re.compile(r"```diff\n--- a/(\S+)\n\+\+\+ b/(\S+)\n(.*?)```", re.DOTALL)

COMPOSE = """
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from nmt.config.checks.check_config import check_config
from nmt.config.folders import config_directory
from nmt.config.schema import Config
from nmt.config.store import register_schemas
from nmt.run.folder import RunFolder

register_schemas()


def composed(*overrides):
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = OmegaConf.to_object(compose("train", overrides=list(overrides)))
    check_config(config)
    return config


print(RunFolder.of(composed()).path)
"""

TRAIN = """
import torch
from nmt.config.plain import from_mapping, to_mapping
from nmt.data.batches.batch import collate
from nmt.evaluation.metrics import length_ratio
from nmt.model.build import build_model
from nmt.training.objective import Objective
from nmt.training.optimizer import build_optimizer
from nmt.training.schedule import learning_rate_factor

config = composed(
    "model=rnn", "model/decoder/attention=distance", "model.decoder.attention.temperature=0.2",
    "training.activation_penalty=0.5", "schedule=linear", "schedule.warmup=0",
)
assert config.model.decoder.attention.temperature == 0.2
torch.manual_seed(1)
model = build_model(config.model, 20, 20)
weight = model.decoder.attention.key_projection.weight
first = weight.detach().clone()
optimizer = build_optimizer(config.optimizer, model)
objective = Objective(config.training)
batch = collate([[5, 6, 7], [8, 9]], [[9, 8], [7, 6, 5]])
losses = []
for _ in range(2):
    loss = objective(model, batch)
    optimizer.zero_grad()
    loss.smoothed.backward()
    optimizer.step()
    losses.append(float(loss.smoothed))
assert losses[1] < losses[0], losses
assert not torch.equal(weight, first)
assert float(loss.extra["activation_loss"]) > 0

dilated = composed(
    "model.encoder.self_attention=dilated", "model.decoder.self_attention=dilated",
    "model.encoder.hidden_size=8", "model.decoder.hidden_size=8",
)
model = build_model(dilated.model, 20, 20)
assert Objective(dilated.training)(model, batch).smoothed.isfinite()
kinds = [type(layer.self_attention).__name__ for layer in model.decoder.layers]
assert set(kinds) == {"DilatedAttention"}, kinds

plain = composed()
old = to_mapping(plain)
del old["training"]["activation_penalty"]
assert from_mapping(Config, old) == plain
assert learning_rate_factor(config.schedule, 300, 600) == 0.5
assert length_ratio(["a b"], ["a b c d"]).value == 50

try:
    composed("training.activation_penalty=-1", "model=rnn", "model/decoder/attention=distance",
             "model.decoder.attention.temperature=0")
except Exception as error:
    print(error)
"""


def _apply(copy: Path) -> None:
    for path, content in NEW_FILE.findall(PAGE):
        assert not (copy / path).exists()
        (copy / path).write_text(content, encoding="utf-8")
    for path, same, body in DIFF.findall(PAGE):
        assert path == same
        text = (copy / path).read_text(encoding="utf-8")
        for hunk in body.split("@@\n")[1:]:
            lines = hunk.splitlines()
            old = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
            new = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
            assert text.count(old) == 1, f"{path} has changed: {old}"
            text = text.replace(old, new)
        (copy / path).write_text(text, encoding="utf-8")


def _run(copy: Path, *command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with all extensions of the page."""
    copy = tmp_path_factory.mktemp("extended")
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("nmt", "configs", "scripts"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    (copy / "docs").mkdir()
    (copy / "data").symlink_to(ROOT / "data")
    _apply(copy)
    return copy


def test_the_attention_kind_trains_and_the_setting_is_used(extended: Path) -> None:
    folder, refusal = _run(extended, "-c", COMPOSE + TRAIN).splitlines()
    assert [folder] == _run(ROOT, "-c", COMPOSE).splitlines()  # a run keeps its default name
    assert "training.activation_penalty is -1.0; it must be finite and at least 0" in refusal
    assert "model.decoder.attention.temperature is 0.0; it must be finite and above 0" in refusal


def test_the_list_of_all_settings_has_them(extended: Path) -> None:
    _run(extended, "scripts/settings")
    settings = (extended / "docs" / "settings.md").read_text(encoding="utf-8")
    assert "| `training.activation_penalty` | number, at least 0 | `0.0` |" in settings
    assert "### `model/decoder/attention=distance`" in settings
    assert "| `model.decoder.attention.temperature` | number, above 0 | `0.1` |" in settings
    assert "bars" in settings


def test_the_help_of_train_shows_the_choice_and_its_settings(extended: Path) -> None:
    shown = _run(
        extended, "-m", "nmt", "train", "model=rnn", "model/decoder/attention=distance", "--help"
    )
    assert "model.decoder.attention.temperature=0.1" in shown
    assert "training.activation_penalty=0.0" in shown


def test_the_data_format_is_read(extended: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("a ||| b\n\nc ||| d\n", encoding="utf-8")
    code = (
        "import sys\nfrom nmt.config.source_settings import SourceConfig\n"
        "from nmt.data.sources.open_source import open_source\n"
        "source = open_source(SourceConfig(path=sys.argv[1], format='bars'), ('en', 'de'), 'x')\n"
        "print([(c.sources, c.targets) for c in source.chunks(10)])\n"
    )
    assert "['a', 'c'], ['b', 'd']" in _run(extended, "-c", code, str(tmp_path / "pairs.txt"))
