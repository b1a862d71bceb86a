"""On a CUDA device, nothing between two log points waits for it: torch itself refuses to."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.data.batches.device_copies import DeviceCopies
from nmt.data.encoded import EncodedCorpus
from nmt.model.build import build_model
from nmt.training.trainer import Trainer

SIZE, UPDATES = 30, 20

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


@pytest.fixture
def refuse_to_wait() -> Iterator[Callable[[], None]]:
    """From the call on, an operation that waits for the device raises an error."""
    yield lambda: torch.cuda.set_sync_debug_mode("error")
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["transformer", "rnn"])
def test_updates_between_log_points_do_not_wait(
    name: str,
    precision: str,
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    make_pairs: Callable[..., Any],
    corpus_of: Callable[[Any], EncodedCorpus],
    recorder: Any,
    refuse_to_wait: Callable[[], None],
) -> None:
    config = run_config(
        tiny_config(name, name, dropout=0.3, size=16),
        precision=precision,
        device="cuda",
        ema_decay=0.9,
        max_updates=3 * UPDATES,
    )
    config = replace(config, logging=replace(config.logging, log_every=2 * UPDATES))
    lengths = np.random.default_rng(3).integers(1, 9, (2, 60)).tolist()
    model = build_model(config.model, SIZE, SIZE).to("cuda")
    trainer = Trainer(
        model, corpus_of(make_pairs(*lengths, SIZE, SIZE)), config, recorder().services()
    )
    assert trainer.updater.checks_on_device
    updates = iter(trainer._loader)
    for _ in range(UPDATES):  # lazy initialisation may wait
        trainer._update(next(updates)[0])
    trainer._read_results()
    refuse_to_wait()
    for _ in range(UPDATES):
        trainer._update(next(updates)[0])
    torch.cuda.set_sync_debug_mode("default")
    trainer._read_results()
    assert trainer.progress.skipped_updates == 0
    trainer._loader.close()


def test_a_batch_is_copied_beside_the_computation(
    ragged_batch: Any, refuse_to_wait: Callable[[], None]
) -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    copies, busy = DeviceCopies(device), torch.randn(2000, 2000, device=device)
    torch.cuda.synchronize()
    refuse_to_wait()
    for _ in range(50):
        busy = busy @ busy
        copied = copies(ragged_batch)
    torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(copied.source_ids.cpu(), ragged_batch.source_ids)
    assert torch.equal(copied.at_targets(copied.target_output_ids).cpu(), ragged_batch.targets())
