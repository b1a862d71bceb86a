"""Several processes train like one: the same gradients and data, also after a change of number."""

import importlib.util
import os
import pickle
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch import distributed as dist

from nmt import processes
from nmt.config.checks.check_config import check_config
from nmt.config.model import ModelConfig
from nmt.config.recipe_settings import DistillationConfig, GuidedAlignmentConfig
from nmt.config.schema import AdamConfig, Config
from nmt.data.batches.batching import UpdateBatches
from nmt.data.encoded import EncodedCorpus
from nmt.data.piece_links import PieceLinks
from nmt.errors import UserError
from nmt.model.structured_dropout import LayerDrop
from nmt.training.parallel.data_parallel import DataParallel
from nmt.training.parallel.training_processes import build_strategy

SIZE = 30
WORKER = Path(__file__).with_name("parallel_worker.py")
_spec = importlib.util.spec_from_file_location("parallel_worker", WORKER)
assert _spec is not None
assert _spec.loader is not None
worker = importlib.util.module_from_spec(_spec)
sys.modules["parallel_worker"] = worker
_spec.loader.exec_module(worker)

Configs = Callable[..., ModelConfig]
RunConfigs = Callable[..., Config]
Jobs = list[Any]
Outcomes = list[dict[str, Any]]
Launch = Callable[[int, Jobs], list[Outcomes]]


@pytest.fixture
def corpus(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> EncodedCorpus:
    """60 pairs, some so long that they form a batch alone, whose other share is empty."""
    source, target = np.random.default_rng(3).integers(1, 9, (2, 60))
    target[:6] = 28
    return corpus_of(make_pairs(source.tolist(), target.tolist(), SIZE, SIZE))


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    """Train jobs in several processes; return the outcomes by rank and job."""

    def run(world: int, jobs: Jobs) -> list[Outcomes]:
        folder = tmp_path / f"world-{world}"
        folder.mkdir()
        (folder / "jobs.pickle").write_bytes(pickle.dumps(jobs))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        common = {"WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        started = [
            subprocess.Popen(
                [sys.executable, "-X", "faulthandler", WORKER, folder],
                env=os.environ | {k: str(v) for k, v in (common | {"RANK": rank}).items()},
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(world)
        ]
        try:
            errors = [process.communicate(timeout=300)[1] for process in started]
        finally:
            for process in started:
                process.kill()
        assert [process.returncode for process in started] == [0] * world, "\n".join(errors)
        return [pickle.loads((folder / f"rank-{r}.pickle").read_bytes()) for r in range(world)]

    return run


def alone(job: Any) -> dict[str, Any]:
    return vars(worker.train(job, []))


def steady() -> AdamConfig:
    """Adam with a large epsilon, so that it does not amplify rounding errors to full steps."""
    return AdamConfig(learning_rate=0.05, beta1=0.9, beta2=0.98, epsilon=0.1, weight_decay=0.01)


def assert_close(found: Any, expected: Any, path: str = "", tolerance: float = 2e-5) -> None:
    """Compare nested containers; time spent and the generators' states may differ."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for key, value in expected.items():
            if key not in ("seconds", "validation_seconds", "random"):
                assert_close(found[key], value, f"{path}.{key}", tolerance)
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), path
        for index, value in enumerate(expected):
            assert_close(found[index], value, f"{path}[{index}]", tolerance)
    elif isinstance(expected, Tensor):
        torch.testing.assert_close(
            found, expected, rtol=0, atol=tolerance, msg=lambda text: f"{path}: {text}"
        )
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=tolerance), path
    else:
        assert found == expected, path


MODELS = {
    "rnn": dict(encoder="rnn", decoder="rnn", attention="bahdanau"),
    "unused weights": dict(encoder="rnn", decoder="rnn", attention="none"),
    "transformer": dict(encoder="transformer", decoder="transformer", num_layers=2),
    "tied": dict(encoder="transformer", decoder="transformer", tying="target"),
    "learned spans": dict(
        encoder="transformer",
        decoder="transformer",
        self_attention="adaptive_span",
        attention_span=16,
        attention_span_loss=0.1,
    ),
    "documents": dict(
        encoder="transformer",
        decoder="transformer",
        context="hierarchical",
        decoder_context="hierarchical",
    ),
    "random features": dict(
        encoder="transformer", decoder="transformer", self_attention="favor", attention_features=8
    ),
    "random hashes": dict(
        encoder="transformer", decoder="transformer", self_attention="lsh", attention_block=2
    ),
    "adaptive depth": dict(
        encoder="transformer",
        decoder="transformer",
        num_layers=3,
        depth="adaptive",
        depth_loss=0.5,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_two_processes_train_the_same_model_as_one(
    tiny_config: Configs,
    run_config: RunConfigs,
    corpus: EncodedCorpus,
    launch: Launch,
    kind: str,
) -> None:
    jobs = [
        worker.Job(
            run_config(
                tiny_config(**model),
                parallel=kind,
                accumulation=accumulation,
                batch_tokens=60,
                ema_decay=0.9,
                validate_every=4,
                optimizer=steady(),
            ),
            corpus,
            SIZE,
        )
        for model in MODELS.values()
        for accumulation in (1, 3)
    ]
    ranks = launch(2, jobs)
    lengths = [len(pairs) for _, pairs in ranks[1][1]["pairs"]]
    assert len(lengths) < len(ranks[0][1]["pairs"]), (
        "no share was empty, so this test checks nothing"
    )
    for number, job in enumerate(jobs):
        expected = alone(job)
        for rank in ranks:
            found = rank[number]
            assert found["tokens"] == expected["tokens"]
            assert_close(found["gradients"][0], expected["gradients"][0], "gradient", 1e-6)
            assert_close(found["losses"], expected["losses"], "loss")
            assert_close(found["saved"], expected["saved"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_every_recipe_trains_the_same_model_as_one_process(
    tiny_config: Configs,
    run_config: RunConfigs,
    corpus: EncodedCorpus,
    launch: Launch,
    kind: str,
) -> None:
    def job(changes: dict[str, Any], **disturbed: Any) -> Any:
        settings = dict(parallel=kind, batch_tokens=60, optimizer=steady(), accumulation=2)
        config = run_config(tiny_config("transformer", "transformer"), **settings | changes)
        return worker.Job(config, disturbed.pop("corpus", corpus), SIZE, **disturbed)

    attention = dict(attention_weight=0.3, attention_layer=-1, attention_measure="kl")
    taught = DistillationConfig(teacher=None, weight=0.5, temperature=2.0, **attention)
    guided = GuidedAlignmentConfig(weight=0.5, layer=None, head=1, shift=False)
    jobs = {
        "r_drop": job(dict(r_drop=5.0)),
        "distilled": job(dict(distillation=taught), taught=True),
        "guided": job(dict(guided_alignment=guided), corpus=linked(corpus)),
        "frozen": job(dict(freeze=["encoder.*"], ema_decay=0.9)),
        "anchored": job({}, anchored=True),
        "rewound": job(
            dict(on_divergence="rewind", save_every=1, max_updates=8, rewind_rate=0.5),
            poisoned=(4,),
        ),
    }
    if kind == "ddp":
        jobs["out of memory"] = job(dict(accumulation=1), room=40)
    ranks = launch(2, list(jobs.values()))
    for number, (name, recipe) in enumerate(jobs.items()):
        expected = alone(replace(recipe, room=None))
        for rank in ranks:
            found = rank[number]
            for key in ("tokens", "rewinds", "reason"):
                assert found[key] == expected[key], name
            assert_close(found["gradients"], expected["gradients"], f"{name}: gradient", 1e-5)
            assert_close(found["losses"], expected["losses"], f"{name}: loss", 1e-5)
            weights, state = (
                [run["saved"]["last.pt"][part] for run in (found, expected)]
                for part in ("weights", "training")
            )
            assert_close(*weights, f"{name}: weights", 1e-5)
            assert_close(state[0]["average"], state[1]["average"], f"{name}: average", 1e-5)
        if name == "rewound":
            assert expected["rewinds"] == 1
        if name == "out of memory":
            limits = [rank[number]["pass_limit"] for rank in ranks]
            assert limits[0] == limits[1]
            assert limits[0] is not None
            assert limits[0] <= 40


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_processes_that_defer_reads_skip_and_rewind_as_one(
    tiny_config: Configs, run_config: RunConfigs, corpus: EncodedCorpus, launch: Launch, kind: str
) -> None:
    """Only the last process has a loss that is not finite, and no process reads it at once."""

    def job(read_every: int, *poisoned: int, **changes: Any) -> Any:
        config = run_config(
            tiny_config("transformer", "transformer", dropout=0.3),
            parallel=kind,
            batch_tokens=60,
            accumulation=2,
            ema_decay=0.9,
            max_updates=8,
            **changes,
        )
        return worker.Job(config, corpus, SIZE, poisoned=poisoned, read_every=read_every)

    rewinds = dict(on_divergence="rewind", save_every=3, rewind_rate=0.5)
    jobs = [job(1, 1, 4, max_skipped=3), job(4, 1, 4, max_skipped=3), job(4, 4, **rewinds)]
    first, last = launch(2, jobs)
    for number in range(len(jobs)):
        for key in ("losses", "reason", "rewinds", "tokens"):
            assert last[number][key] == first[number][key], key
        assert_close(last[number]["saved"], first[number]["saved"], tolerance=0)
    assert_close(first[1]["saved"], first[0]["saved"], tolerance=0)
    progress = first[1]["saved"]["last.pt"]["training"]["progress"]
    assert progress["skipped_updates"] == 2
    assert first[2]["rewinds"] == 1


def linked(corpus: EncodedCorpus) -> EncodedCorpus:
    """Link the first pieces of every pair."""
    offsets = np.arange(len(corpus) + 1)
    links = PieceLinks(np.zeros((len(corpus), 2), dtype=np.int32), offsets)
    return EncodedCorpus(corpus.source, corpus.target, links)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_a_resumed_run_is_bit_identical_to_an_uninterrupted_one(
    tiny_config: Configs, run_config: RunConfigs, corpus: EncodedCorpus, launch: Launch, kind: str
) -> None:
    def job(**changes: Any) -> Any:
        model = tiny_config("transformer", "transformer", dropout=0.3, word_dropout=0.1)
        config = run_config(
            model,
            r_drop=1.0,
            parallel=kind,
            max_updates=8,
            accumulation=2,
            ema_decay=0.9,
            validate_every=3,
        )
        return worker.Job(config, corpus, SIZE, **changes)

    stopped = job(stop_after=4, interrupted_rank=1)
    first, second = launch(2, [job(), stopped, job(resume=1)])
    for whole, begun, resumed in (first, second):
        assert begun["reason"] == "interrupted"
        assert len(begun["losses"]) == 4
        assert begun["losses"] + resumed["losses"] == whole["losses"]
        assert_close(resumed["saved"]["last.pt"], whole["saved"]["last.pt"], tolerance=0.0)
    assert_close(first[0]["saved"], second[0]["saved"], tolerance=0.0)


@pytest.mark.slow
def test_a_run_resumes_with_another_number_of_processes_sharded_or_not(
    tiny_config: Configs, run_config: RunConfigs, corpus: EncodedCorpus, launch: Launch
) -> None:
    def job(kind: str, updates: int, **changes: Any) -> Any:
        model = tiny_config("transformer", "transformer")
        config = run_config(
            model, parallel=kind, max_updates=updates, optimizer=steady(), ema_decay=0.9
        )
        return worker.Job(config, corpus, SIZE, **changes)

    per_epoch = UpdateBatches.of_config(corpus, job("ddp", 1).config).updates_per_epoch()
    stages = [per_epoch // 2, per_epoch - 1, per_epoch + 2, 2 * per_epoch]
    whole = alone(job("auto", stages[-1]))

    two = launch(2, [job("fsdp", stages[0]), job("ddp", stages[1], resume=0)])
    one = alone(job("auto", stages[2], resume=two[0][1]["saved"]["last.pt"]))
    four = launch(4, [job("fsdp", stages[3], resume=one["saved"]["last.pt"])])

    stretches = [[rank[0] for rank in two], [rank[1] for rank in two], [one]]
    stretches.append([rank[0] for rank in four])
    losses = [loss for stretch in stretches for loss in stretch[0]["losses"]]
    assert_close(losses, whole["losses"])
    found, expected = (run["saved"]["last.pt"] for run in (four[0][0], whole))
    assert_close(found["weights"], expected["weights"], tolerance=1e-4)
    for memory in ("optimizer", "average"):
        assert_close(found["training"][memory], expected["training"][memory], tolerance=1e-4)
    for epoch in (0, 1):
        seen = Counter(
            pair
            for stretch in stretches
            for rank in stretch
            for of, pairs in rank["pairs"]
            if of == epoch
            for pair in pairs
        )
        assert seen == Counter(range(len(corpus))), f"epoch {epoch}"


@pytest.fixture
def group() -> Iterator[None]:
    """A process group of this single process."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group")
def test_buckets_hold_every_gradient_and_none_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nmt.training.parallel.data_parallel._BUCKET_ELEMENTS", 20)
    layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
    unused = nn.Linear(3, 3)
    passes = DataParallel(nn.ModuleList([unused, layers]))
    assert len(passes._buckets) > 3

    def loss() -> Tensor:
        states = torch.ones(2, 4)
        for layer in layers:
            states = layer(states).tanh()
        return states.square().sum()

    loss().backward()
    expected = [2 * p.grad for p in layers.parameters() if p.grad is not None]
    layers.zero_grad()
    passes.backward(loss(), last=False)
    assert not passes._sent, "a gradient was sent before it was complete"
    passes.backward(loss(), last=True)
    assert len(passes._sent) > 1, "nothing was sent during the backward pass"
    passes.finish()
    assert_close([p.grad for p in layers.parameters()], expected, tolerance=1e-6)
    assert [p.grad for p in unused.parameters()] == [None, None]

    layers.zero_grad()
    passes.finish()  # an update without rows of this process, which adds zeros
    assert all(p.grad is not None and not p.grad.any() for p in layers.parameters())
    assert [p.grad for p in unused.parameters()] == [None, None]

    layers.zero_grad()
    passes.restart()  # the update is repeated
    passes.finish()
    assert all(p.grad is None for p in layers.parameters())


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("probability", [0.0, 0.5])
def test_absent_gradients_are_read_once_unless_layers_are_dropped(
    monkeypatch: pytest.MonkeyPatch, probability: float
) -> None:
    """A read waits for the device; LayerDrop gives other parameters a gradient each time."""
    reads, tolist = [], Tensor.tolist
    monkeypatch.setattr(Tensor, "tolist", lambda tensor: reads.append(1) or tolist(tensor))
    used, unused = nn.Linear(2, 2), nn.Linear(3, 3)
    passes = DataParallel(nn.ModuleList([unused, used, LayerDrop(probability)]))
    found = []
    for rows in (3, 3, 0, 3):
        used.zero_grad()
        if rows:
            passes.backward(used(torch.ones(rows, 2)).sum(), last=True)
        passes.finish()
        found.append([p.grad is None for p in (*used.parameters(), *unused.parameters())])
    assert len(reads) == (4 if probability else 1)
    empty = [bool(probability)] * 2  # no process has rows, or the structure is known
    assert found == [[False, False, True, True]] * 2 + [[*empty, True, True]] + found[:1]


def test_a_single_process_communicates_with_none() -> None:
    assert (processes.rank(), processes.world(), processes.is_first()) == (0, 1, True)
    assert processes.share_out(["a", "b", "c"], lambda part: [s * 2 for s in part]) == [
        *("aa", "bb", "cc")
    ]
    assert processes.total([1.5, 2.0]) == [1.5, 2.0]
    assert processes.any(True)
    assert not processes.any(False)
    assert type(build_strategy("fsdp", nn.Linear(1, 1))) is not DataParallel


def test_results_come_back_in_the_order_of_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    items = list(range(7))
    for world in (2, 3, 9):
        shares = [items[rank::world] for rank in range(world)]
        monkeypatch.setattr(processes, "gather", lambda _, shares=shares: shares)
        assert processes.share_out(items, list) == items


def test_an_incomplete_environment_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UserError, match="RANK"):
        processes.join()


def test_the_loss_of_another_process_is_distinguished_from_other_errors() -> None:
    lost = RuntimeError("[../gloo/transport/tcp/pair.cc:537] Connection closed by peer [::1]:123")
    assert processes.is_loss_of_another(lost)
    assert processes.is_loss_of_another(dist.DistNetworkError("gone"))
    assert not processes.is_loss_of_another(RuntimeError("shapes cannot be multiplied"))
    assert not processes.is_loss_of_another(UserError("gloo"))


@pytest.mark.parametrize("changes", [{"kind": "fast"}, {"kind": "fsdp", "layer_drop": 0.1}])
def test_invalid_settings_are_refused(
    tiny_config: Configs, run_config: RunConfigs, changes: dict[str, Any]
) -> None:
    model = tiny_config("transformer", "transformer", layer_drop=changes.get("layer_drop", 0.0))
    with pytest.raises(UserError, match="parallel"):
        check_config(run_config(model, parallel=changes["kind"]))


def test_seeds_differ_by_rank_and_update(monkeypatch: pytest.MonkeyPatch) -> None:
    from nmt.training.parallel.training_processes import seed_update

    monkeypatch.setattr(processes, "world", lambda: 2)
    draws = set()
    for rank in (0, 1):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        for update in (1, 2):
            seed_update(1, update)
            draws.add(torch.rand(()).item())
    assert len(draws) == 4
    seed_update(1, 2)
    assert torch.rand(()).item() in draws
