"""Updates of this process and of workers are identical; the state follows them; workers end."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

from nmt.data.batches.batch import Batch, collate_pairs
from nmt.data.batches.batching import BatchingState, UpdateBatches
from nmt.data.batches.loader import UpdateLoader
from nmt.data.batches.loader_process import UpdateMaker
from nmt.data.encoded import EncodedCorpus, PieceSequences, SequenceWriter
from nmt.data.piece_links import PieceLinks
from nmt.errors import UserError

Loaders = Callable[..., UpdateLoader]


@pytest.fixture
def corpus(
    make_pairs: Callable[..., Any], corpus_of: Callable[[Any], EncodedCorpus]
) -> EncodedCorpus:
    """200 pairs, about 45 updates of 60 target tokens."""
    return corpus_of(make_pairs(*np.random.default_rng(2).integers(1, 15, (2, 200)).tolist()))


@pytest.fixture
def loader(corpus: EncodedCorpus) -> Loaders:
    """A factory of loaders; workers are forked, which is fast."""

    def make(workers: int = 0, *, of: EncodedCorpus = corpus, **settings: Any) -> UpdateLoader:
        order = {name: settings.pop(name) for name in ("rank", "world") if name in settings}
        settings = {"start_method": "fork"} | settings
        return UpdateLoader(UpdateBatches(of, 120, 2, 1, **order), workers=workers, **settings)

    return make


def take(loader: UpdateLoader, count: int) -> list[tuple[list[Batch], BatchingState]]:
    with loader:
        return list(islice(loader, count))


def assert_same(found: Any, expected: Any) -> None:
    assert len(found) == len(expected)
    for (batches, state), (other_batches, other_state) in zip(found, expected, strict=True):
        assert state == other_state
        assert len(batches) == len(other_batches)
        for batch, other in zip(batches, other_batches, strict=True):
            for name, value in vars(other).items():
                mine = getattr(batch, name)
                same = torch.equal(mine, value) if torch.is_tensor(value) else mine == value
                assert same, f"{name} differs"


def assert_nothing_runs() -> None:
    assert not multiprocessing.active_children()


class Changed:
    """A corpus side that raises, or calls a function, when it is read."""

    def __init__(self, side: PieceSequences, read: Callable[[], None]) -> None:
        self.offsets, self._ids, self._read = side.offsets, side.ids, read

    @property
    def ids(self) -> Any:
        self._read()
        return self._ids

    def __len__(self) -> int:
        return len(self.offsets) - 1


def failing(corpus: EncodedCorpus, read: Callable[[], None]) -> EncodedCorpus:
    return replace(corpus, target=Changed(corpus.target, read))  # type: ignore[arg-type]


def test_updates_are_the_pairs_of_the_stream(loader: Loaders, corpus: EncodedCorpus) -> None:
    batches = UpdateBatches(corpus, 120, 2, 1)
    expected = [
        ([collate_pairs(corpus, batch) for batch in update], batches.state)
        for update in islice(batches, 60)
    ]
    assert_same(take(loader(), 60), expected)
    assert expected[-1][1].epoch > 0, "an end of an epoch is not tested"


@pytest.mark.parametrize(("workers", "method"), [(1, "fork"), (3, "fork"), (1, "spawn")])
def test_workers_produce_bit_identical_batches(loader: Loaders, workers: int, method: str) -> None:
    count = 12 if method == "spawn" else 60
    assert_same(take(loader(workers, start_method=method), count), take(loader(), count))
    assert_nothing_runs()


def test_the_state_follows_the_updates_taken(loader: Loaders) -> None:
    whole = take(loader(), 40)
    found, state = [], BatchingState()
    for workers, count in ((1, 3), (0, 20), (2, 17)):
        part = loader(workers)
        part.state = state
        found += take(part, count)
        state = part.state
        assert state == found[-1][1]
    assert_same(found, whole)


def test_a_second_iteration_continues_the_first(loader: Loaders) -> None:
    whole, twice = take(loader(), 9), loader(1)
    assert_same([*islice(twice, 4), *islice(twice, 5)], whole)
    twice.close()
    assert_nothing_runs()


def test_batches_contain_links(loader: Loaders, corpus: EncodedCorpus) -> None:
    count = len(corpus)
    first = np.zeros((count, 2), dtype=np.int32)
    linked = replace(corpus, links=PieceLinks(first, np.arange(count + 1)))
    for batches, _ in take(loader(1, of=linked), 3):
        for batch in batches:
            assert batch.alignment is not None
            assert batch.alignment[:, 0, 0].eq(1).all()
            assert batch.alignment.sum() == len(batch.alignment)


def test_mapped_files_are_read_by_name_in_another_process(
    loader: Loaders, corpus: EncodedCorpus, tmp_path: Path
) -> None:
    for name in ("source", "target"):
        with SequenceWriter(tmp_path / name, vocabulary=100) as writer:
            writer.append(getattr(corpus, name))
    mapped = EncodedCorpus(
        PieceSequences.load(tmp_path / "source"), PieceSequences.load(tmp_path / "target")
    )
    assert mapped.source.ids.dtype == np.uint16
    maker = UpdateMaker(UpdateBatches(mapped, 120, 2, 1))
    assert len(pickle.dumps(maker)) < 1500, "the content was sent instead of the file's name"
    assert_same(take(loader(1, of=mapped, start_method="spawn"), 5), take(loader(), 5))


def test_a_share_may_be_empty(loader: Loaders) -> None:
    whole = take(loader(), 45)
    shares = [take(loader(rank=rank, world=9), 45) for rank in range(9)]
    for number, (batches, state) in enumerate(whole):
        assert all(share[number][1] == state for share in shares)
        tokens = sum(batch.num_tokens for share in shares for batch in share[number][0])
        assert tokens == sum(batch.num_tokens for batch in batches)
    assert any(len(batches) < 2 for share in shares for batches, _ in share[:-1])


class OddError(Exception):
    """An exception that cannot be unpickled from its text."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_worker_keeps_its_type(
    loader: Loaders, corpus: EncodedCorpus, workers: int
) -> None:
    def fail() -> None:
        raise UserError("the disk is gone")

    with pytest.raises(UserError) as caught:
        take(loader(workers, of=failing(corpus, fail)), 1)
    assert str(caught.value) == "the disk is gone"
    assert_nothing_runs()


def test_an_error_in_a_worker_includes_its_traceback(
    loader: Loaders, corpus: EncodedCorpus
) -> None:
    def fail() -> None:
        raise OddError("what cannot", "be pickled")

    with pytest.raises(RuntimeError, match=r"(?s)in fail.*OddError: what cannot be pickled"):
        take(loader(1, of=failing(corpus, fail)), 1)


def test_a_dead_process_is_named_with_the_remedy(loader: Loaders) -> None:
    with loader(1) as updates:
        stream = iter(updates)
        next(stream)
        (process,) = multiprocessing.active_children()
        process.kill()
        with pytest.raises(UserError, match=r"by signal 9.*data\.loader_workers=0"):
            list(islice(stream, 1000))
    assert_nothing_runs()


def test_processes_leave_signals_to_the_trainer(loader: Loaders) -> None:
    with loader(1) as updates:
        stream = iter(updates)
        next(stream)
        (process,) = multiprocessing.active_children()
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(process.pid or 0, number)
        assert len(list(islice(stream, 20))) == 20
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()), "the trainer ignores signals"


def test_an_interruption_leaves_no_process(loader: Loaders) -> None:
    def train() -> None:
        with loader(2) as updates:
            for _ in updates:
                assert len(multiprocessing.active_children()) == 2
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert_nothing_runs()


def test_the_number_of_batches_made_in_advance_is_bounded(
    loader: Loaders, corpus: EncodedCorpus
) -> None:
    made = multiprocessing.get_context("fork").Value("i", 0)

    def count() -> None:
        made.value += 1

    with loader(1, of=failing(corpus, count)) as updates:
        next(iter(updates))
        before = -1
        while made.value != before:
            before = made.value
            time.sleep(0.1)
        # Two batches per update; a pipe of 64 KiB buffers some dozens of these tiny updates.
        assert before < 200, f"{before} batches wait"


ORPHAN = """
import os, signal, sys, multiprocessing
from nmt.data.batches.batching import BatchingState, UpdateBatches
from nmt.data.encoded import EncodedCorpus, PieceSequences
from nmt.data.batches.loader_process import MakerProcess, UpdateMaker

if __name__ == "__main__":
    side = PieceSequences.from_lists([[5] * 100] * 500)
    maker = UpdateMaker(UpdateBatches(EncodedCorpus(side, side), 20_000, 1, 1))
    process = MakerProcess(maker, BatchingState(), 0, 1, sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM):  # before the worker could ignore them itself
        os.kill(multiprocessing.active_children()[0].pid, number)
    process.receive()
    assert "torch" not in sys.modules
    print(multiprocessing.active_children()[0].pid, flush=True)
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("end", ["killed", "forgets to close"])
def test_processes_end_with_the_trainer(tmp_path: Path, method: str, end: str) -> None:
    script = tmp_path / "trainer.py"
    script.write_text(ORPHAN)
    command = [sys.executable, str(script), method, end]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == (-signal.SIGKILL if end == "killed" else 0), result.stderr
    assert not result.stderr
    process = Path(f"/proc/{int(result.stdout)}")
    for _ in range(100):
        if not process.exists() or "Z" in process.joinpath("stat").read_text().split()[2]:
            return
        time.sleep(0.05)
    pytest.fail("the process outlives its trainer")


class Doubling:
    """A sampler that doubles some pieces and records its inputs."""

    def sample(self, ids: Sequence[int], random: Random) -> list[int]:
        return [piece for piece in ids for _ in range(1 + int(random.random() < 0.5))]


def test_sampled_segmentations_differ_by_epoch_not_by_worker(loader: Loaders) -> None:
    samplers = Doubling(), Doubling()
    here, ahead = take(loader(samplers=samplers), 60), take(loader(2, samplers=samplers), 60)
    assert_same(ahead, here)
    resumed = loader(samplers=samplers)
    resumed.state = here[6][1]
    assert_same(take(resumed, 5), here[7:12])


def test_every_epoch_samples_new_segmentations(corpus: EncodedCorpus) -> None:
    samplers = Doubling(), Doubling()
    one = replace(corpus, source=PieceSequences.from_lists([list(range(5, 25))] * 200))
    maker = UpdateMaker(UpdateBatches(one, 10**6, 1, 1), samplers)
    first, second = (u.batches[0].source_ids for u in islice(maker.updates(BatchingState()), 2))
    rows = {tuple(row) for row in first.tolist()}
    assert len(rows) > 190, "all pairs of one update have the same segmentation"
    assert not rows & {tuple(row) for row in second.tolist()}, "an epoch repeats the last one's"


def test_a_sampled_segmentation_that_is_too_long_is_replaced(corpus: EncodedCorpus) -> None:
    batches = UpdateBatches(corpus, 10**6, 1, 1)
    longest = int(max(corpus.source.lengths.max(), corpus.target.lengths.max()))
    maker = UpdateMaker(batches, (Doubling(), Doubling()), max_length=longest)
    (update,) = islice(maker.updates(BatchingState()), 1)
    for ids in (update.batches[0].source_ids, update.batches[0].target_output_ids):
        assert ids.shape[1] <= longest + 1


def test_sampling_with_links_is_refused(loader: Loaders, corpus: EncodedCorpus) -> None:
    linked = replace(corpus, links=PieceLinks(np.zeros((0, 2), np.int32), np.zeros(201, np.int64)))
    with pytest.raises(UserError, match=r"tokenizer\.sampling=0"):
        loader(of=linked, samplers=(Doubling(), Doubling()))
