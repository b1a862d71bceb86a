"""The batches of the trainer: the same from any loader process, with the data settings applied."""

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.config.source_settings import SourceConfig
from nmt.data.encoded import EncodedCorpus
from nmt.errors import UserError
from nmt.model.build import build_model
from nmt.training.trainer import Trainer

SIZE = 30

Runs = Callable[..., tuple[Trainer, Any]]


@pytest.fixture
def corpus(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> EncodedCorpus:
    """60 pairs: with 64 tokens per update, about six updates per epoch."""
    lengths = np.random.default_rng(3).integers(1, 9, (2, 60)).tolist()
    return corpus_of(make_pairs(*lengths, SIZE, SIZE))


@pytest.fixture
def trainer(
    tiny_config: Callable[..., ModelConfig],
    run_config: Callable[..., Config],
    corpus: EncodedCorpus,
    recorder: Any,
) -> Runs:
    """A factory of trainers and their recorders; keywords are of ``data`` and of the recorder."""

    def make(
        sections: tuple[int, ...] = (), stop_after: int | None = None, **data: Any
    ) -> tuple[Trainer, Any]:
        config = run_config(tiny_config(), max_updates=8)
        config = replace(config, data=replace(config.data, **data))
        torch.manual_seed(1)
        model, record = build_model(config.model, SIZE, SIZE), recorder(stop_after=stop_after)
        sectioned = replace(corpus, sections=sections)
        return Trainer(model, sectioned, config, record.services()), record

    return make


def test_a_run_resumes_with_another_number_of_loader_processes(trainer: Runs) -> None:
    whole, expected = trainer()
    whole.train()
    first, begun = trainer(stop_after=3, loader_workers=1)
    assert first.train() == "interrupted"
    saved = begun.saved["last.pt"]
    assert saved["training"]["progress"]["position"] == 3, (
        "batches made in advance were saved as done"
    )
    second, ended = trainer()
    second.resume(saved["weights"], saved["training"])
    second.train()
    assert begun.losses + ended.losses == expected.losses
    for name, weight in expected.saved["last.pt"]["weights"].items():
        assert torch.equal(ended.saved["last.pt"]["weights"][name], weight), name
    assert not multiprocessing.active_children()


def test_a_run_that_fails_leaves_no_process(trainer: Runs) -> None:
    failing, _ = trainer(loader_workers=1)
    weight = failing.model.decoder.embedding.weight
    weight.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(UserError, match="not finite"):
        failing.train()
    assert not multiprocessing.active_children()


def test_weights_and_temperature_set_how_often_a_source_is_used(
    trainer: Runs, corpus: EncodedCorpus
) -> None:
    def epoch(**data: Any) -> list[list[int]]:
        """Return the targets of the first epoch."""
        rows: list[list[int]] = []
        for batches, after in trainer(sections=(50, 10), **data)[0]._loader:
            rows += [[i for i in row if i] for b in batches for row in b.target_input_ids.tolist()]
            if after.epoch:
                return rows
        raise AssertionError

    added = vars(SourceConfig(path="more.tsv", weight=3.0))
    extra = [[2, *row] for row in (corpus.target[i].tolist() for i in range(50, 60))]
    plain, weighted = epoch(extra={"more": added | {"weight": 1.0}}), epoch(extra={"more": added})
    assert (len(plain), len(weighted)) == (60, 80)
    seen = [sum(rows.count(row) for row in extra) for rows in (plain, weighted)]
    assert seen[1] == 3 * seen[0]
    # At a high temperature shares are equal: 30 of 60 pairs.
    even = epoch(extra={"more": added | {"weight": 1.0}}, temperature=1e9)
    assert len(even) == 60
    assert sum(even.count(row) for row in extra) > seen[0]


def test_the_shuffle_buffer_is_used(trainer: Runs) -> None:
    runs = [trainer(), trainer(shuffle_buffer=16)]
    for run, _ in runs:
        run.train()
    assert runs[0][1].losses != runs[1][1].losses
