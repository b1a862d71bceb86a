"""Training on a GPU: the losses of a CPU, bit-equal runs, checkpoints, memory, NCCL."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributed as dist

from nmt import runtime
from nmt.config.schema import Config
from nmt.data.batches.batch import Batch
from nmt.data.encoded import EncodedCorpus
from nmt.model.build import build_model
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel
from nmt.training.parallel.data_parallel import DataParallel
from nmt.training.trainer import Trainer

pytestmark = pytest.mark.cuda

SIZE = 30
UPDATES = 6
TRANSFORMERS = ["transformer-pre", "transformer-rms-qk_norm-rotary-swiglu"]
OTHERS = [
    "transformer-alibi",
    "transformer-relative",
    "transformer-t5_bias",
    "bahdanau-gru-1",
    "luong_general-gru-1",
    "luong_general-unfed-lstm-2",
    "none-gru-1",
    "rnn-to-transformer",
    "transformer-to-bahdanau",
]
ANY = [{}, {"compile": "none", "batch_shapes": "padded"}, {"batch_shapes": "bucketed"}]
CASES = [
    *((name, settings) for name in TRANSFORMERS + OTHERS for settings in ANY),
    *((name, {"batch_shapes": "packed"}) for name in TRANSFORMERS),
    *((name, {"compile": "graphs"}) for name in TRANSFORMERS + OTHERS),
    *((name, {"compile": "layers"}) for name in TRANSFORMERS[:1]),
]

Kind = Callable[..., Any]
RunConfigs = Callable[..., Config]
Recorder = Any  # of conftest.py


@pytest.fixture
def corpus_of_pairs(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> EncodedCorpus:
    """60 pairs: with 64 tokens per update, about six updates per epoch."""
    lengths = np.random.default_rng(3).integers(1, 9, (2, 60)).tolist()
    return corpus_of(make_pairs(*lengths, SIZE, SIZE))


def trainer_on(
    device: torch.device | str, config: Config, corpus: EncodedCorpus, services: Any
) -> Trainer:
    torch.manual_seed(1)
    model = build_model(config.model, SIZE, SIZE).to(device)
    return Trainer(model, corpus, config, services)


@pytest.mark.parametrize(
    ("name", "settings"), CASES, ids=[f"{n}-{'-'.join(s.values()) or 'auto'}" for n, s in CASES]
)
def test_the_losses_of_a_run_are_those_of_the_cpu(
    device: torch.device,
    kind: Kind,
    run_config: RunConfigs,
    corpus_of_pairs: EncodedCorpus,
    recorder: Recorder,
    name: str,
    settings: dict[str, str],
) -> None:
    """All batches of both runs have the shapes of the GPU's, so that their order is the same."""
    if device.type == "cpu" and settings.get("compile") in ("graphs", "layers"):
        pytest.skip("compiled passes are for a GPU")
    shapes = settings.get("batch_shapes") or _shapes_of_a_gpu(name)
    on_cpu = {"batch_shapes": shapes}
    losses = []
    for where, own in (("cpu", on_cpu), (device, {**on_cpu, **settings})):
        run = recorder()
        config = run_config(kind(name), max_updates=UPDATES, device=str(where), **own)
        trainer_on(where, config, corpus_of_pairs, run.services()).train()
        losses.append(run.losses)
    assert len(losses[0]) == UPDATES
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)  # differences grow with each update
    assert losses[1][0] == pytest.approx(losses[0][0], rel=1e-4)


def _shapes_of_a_gpu(name: str) -> str:
    """Return what batch_shapes=auto is on a GPU."""
    return "packed" if name in TRANSFORMERS else "bucketed"


@pytest.mark.parametrize("name", ["transformer-pre", "bahdanau-gru-1", "luong_dot-unfed-lstm-2"])
def test_two_runs_are_bit_equal_with_deterministic_kernels(
    device: torch.device,
    kind: Kind,
    run_config: RunConfigs,
    corpus_of_pairs: EncodedCorpus,
    recorder: Recorder,
    name: str,
) -> None:
    runtime.set_cuda_numerics(tf32=False, deterministic=True)
    saved = []
    for _ in range(2):
        run = recorder()
        changes = {"max_updates": UPDATES, "deterministic": True, "device": str(device)}
        config = run_config(kind(name, dropout=0.3), **changes)
        trainer_on(device, config, corpus_of_pairs, run.services()).train()
        saved.append((run.losses, run.saved["last.pt"]["weights"]))
    assert saved[0][0] == saved[1][0]
    for key, weight in saved[0][1].items():
        assert torch.equal(saved[1][1][key], weight), key


@pytest.mark.parametrize("name", ["transformer-pre", "bahdanau-gru-1"])
def test_a_checkpoint_of_a_gpu_resumes_on_a_cpu(
    device: torch.device,
    kind: Kind,
    run_config: RunConfigs,
    corpus_of_pairs: EncodedCorpus,
    recorder: Recorder,
    name: str,
) -> None:
    shapes = _shapes_of_a_gpu(name)
    settings = {"ema_decay": 0.9, "batch_shapes": shapes}
    config = run_config(kind(name), max_updates=2 * UPDATES, device=str(device), **settings)
    whole, first, second = recorder(), recorder(stop_after=UPDATES), recorder()
    trainer_on(device, config, corpus_of_pairs, whole.services()).train()
    trainer_on(device, config, corpus_of_pairs, first.services()).train()
    file = io.BytesIO()
    torch.save(first.saved["last.pt"], file)
    file.seek(0)
    state = torch.load(file, map_location="cpu", weights_only=True)
    config = run_config(kind(name), max_updates=2 * UPDATES, **settings)
    trainer = trainer_on("cpu", config, corpus_of_pairs, second.services())
    trainer.resume(state["weights"], state["training"])
    for key, weight in trainer.model.state_dict().items():
        assert torch.equal(weight, state["weights"][key].cpu()), key
    assert trainer.train() == "max_updates"
    assert len(second.losses) == UPDATES
    assert second.losses == pytest.approx(whole.losses[UPDATES:], rel=1e-3)


@pytest.mark.parametrize("experiment", ["transformer", "rnn"])
def test_a_measurement_reports_memory_kernels_and_the_first_update(
    device: torch.device,
    nmt: Callable[..., Any],
    corpus: Path,
    tiny: Callable[[Path], list[str]],
    tmp_path: Path,
    experiment: str,
) -> None:
    settings = [s for s in tiny(corpus) if not s.startswith(("model", "training.device"))]
    sizes = {"transformer": ["hidden_size=16"], "rnn": ["embedding_size=16", "hidden_size=16"]}
    model = [f"model.{s}.{size}" for s in ("encoder", "decoder") for size in sizes[experiment]]
    settings += [f"model={experiment}", *model, f"training.device={device}"]
    file = tmp_path / "numbers.json"
    flags = ["--updates", 45, "--warmup", 3, "--profile", 2, "--json", file]
    if experiment == "rnn":
        settings.append("model.tying=none")
    result = nmt("bench", "train", *settings, *flags)
    assert result.status == 0, result.err
    (run,) = json.loads(file.read_text())["runs"]
    assert run["device"].startswith(device.type)
    assert run["peak_memory"] > run["parameters"] * 4
    assert run["first_update"] > 0
    assert run["speed"]["updates"] == 45
    assert run["validation"]["seconds"] > 0
    assert 0 <= run["profile"]["between"] < 1
    if device.type == "cuda":
        assert run["profile"]["kernels"] >= 1
        assert run["profile"]["launches"] >= 1


def test_gradients_by_nccl_are_those_of_one_process(
    device: torch.device,
    kind: Kind,
    tiny_model: Callable[..., TranslationModel],
    ragged_batch: Batch,
    tmp_path: Path,
) -> None:
    backend = "nccl" if device.type == "cuda" else "gloo"
    store = dist.FileStore(str(tmp_path / "store"), 1)
    model = tiny_model(kind("transformer-pre")).to(device)
    batch = ragged_batch.to(device)
    sequence_loss(model, batch, 0.1).smoothed.backward()
    expected = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    dist.init_process_group(backend, store=store, rank=0, world_size=1)
    try:
        strategy = DataParallel(model)
        strategy.backward(sequence_loss(model, batch, 0.1).smoothed, last=True)
        strategy.finish()
        for name, parameter in model.named_parameters():
            if name in expected:
                assert parameter.grad is not None
                torch.testing.assert_close(parameter.grad, expected[name])
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_gpus_train_as_one(
    device: torch.device,
    corpus: Path,
    tiny: Callable[[Path], list[str]],
    tmp_path: Path,
    parallel: str,
) -> None:
    if device.type == "cuda" and torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")
    settings = [s for s in tiny(corpus) if not s.startswith("training.device")]
    settings += [f"training.device={device.type}", f"training.parallel={parallel}"]
    settings += ["model.encoder.dropout=0", "model.decoder.dropout=0"]
    losses = []
    for count in (1, 2):
        folder = tmp_path / f"{count}"
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)]
        command += ["-m", "nmt", "train", *settings, f"run.dir={folder}", "logging.log_every=1"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        ended = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=200
        )
        assert ended.returncode == 0, ended.stderr
        rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        losses.append([row["train/loss"] for row in rows if "train/loss" in row])
    assert losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
