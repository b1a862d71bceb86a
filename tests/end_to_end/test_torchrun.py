"""`torchrun -m nmt train`: one run folder, the same scores, and all processes end together."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.reporting.metric_log import read_metrics

Nmt = Callable[..., Any]
Tiny = Callable[[Path], list[str]]
Torchrun = Callable[..., "Ended"]

pytestmark = pytest.mark.slow

TIMES = ("time", "train/tokens_per_second")
FAULTS = {
    "exception": "raise RuntimeError('boom')",
    "user error": "raise UserError('boom')",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
}


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str
    seconds: float


@pytest.fixture
def settings(corpus: Path, tiny: Tiny) -> list[str]:
    return [
        *tiny(corpus),
        *("training.max_updates=6", "training.validate_every=3", "training.save_every=2"),
        *("logging.log_every=1", "training.batch_tokens=64", "logging.samples=1"),
        *("model.encoder.dropout=0.2", "training.threads=1", "training.save_in_background=false"),
    ]


@pytest.fixture
def torchrun(tmp_path: Path) -> Torchrun:
    """Run the command in two processes; one of them calls ``act`` before its third update."""

    def run(*arguments: object, act: str = "", rank: int = 1, restarts: int = 0) -> Ended:
        started = ["-m", "nmt"]
        if act:
            script = tmp_path / "acting.py"
            script.write_text(f"""
import os, signal
from nmt.cli.main import main
from nmt.errors import UserError
from nmt.training.trainer import Trainer

before = Trainer._update

def update(self, *arguments):
    if self.progress.update == 2 and os.environ["RANK"] == "{rank}":
        {act}
    return before(self, *arguments)

Trainer._update = update
if __name__ == "__main__":
    main()
""")
            started = [str(script)]
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
        command += ["--max-restarts", str(restarts)]
        began = time.monotonic()
        ended = subprocess.run(
            [*command, *started, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr, time.monotonic() - began)

    return run


def mine(ended: Ended) -> list[str]:
    return [line for line in ended.err.splitlines() if line.startswith("nmt: ")]


def summary(run: Path) -> dict[str, Any]:
    content = json.loads((run / "summary.json").read_text())
    return {split: content[split] for split in ("valid", "test")}


def assert_same_run(one: Path, other: Path) -> None:
    first, second = (torch.load(run / "checkpoints" / "last.pt") for run in (one, other))
    for key, weight in first["model"].items():
        assert torch.equal(weight, second["model"][key]), key
    rows = [
        [{k: v for k, v in row.items() if k not in TIMES} for row in read_metrics(run)]
        for run in (one / "metrics.jsonl", other / "metrics.jsonl")
    ]
    assert rows[0] == rows[1]


def test_two_processes_give_the_scores_and_files_of_one(
    nmt: Nmt, torchrun: Torchrun, settings: Sequence[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert nmt("train", *settings, f"run.dir={run}").status == 0
    alone, translated = summary(run), (run / "test.translations.txt").read_bytes()
    (run / "summary.json").unlink()
    (run / "test.translations.txt").unlink()
    ended = torchrun("train", *settings, f"run.dir={run}", "training.parallel=ddp")
    assert ended.status == 0, ended.err
    assert ended.out.count("test BLEU") == 1
    assert ended.err.count("resuming after update 6") == 1
    for split, scores in summary(run).items():
        assert scores == pytest.approx(alone[split]), split
    assert (run / "test.translations.txt").read_bytes() == translated
    ended = torchrun("train", *settings, f"run.dir={run}")
    assert ended.status == 0, ended.err
    assert ended.out.count("is finished") == 1


def test_a_run_stopped_by_one_process_resumes_to_the_same_result(
    torchrun: Torchrun, settings: Sequence[str], tmp_path: Path
) -> None:
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    ended = torchrun(
        "train", *settings, f"run.dir={stopped}", act="os.kill(os.getpid(), signal.SIGTERM)"
    )
    assert ended.status != 0
    assert "75" in ended.err, "torchrun reports the exit status of its processes"
    assert ended.err.count("stopped after update 3; run the same command to resume") == 1, ended.err
    assert torch.load(stopped / "checkpoints" / "last.pt")["training"]["progress"]["update"] == 3
    for run in (stopped, whole):
        ended = torchrun("train", *settings, f"run.dir={run}")
        assert ended.status == 0, ended.err
    assert_same_run(stopped, whole)


@pytest.mark.parametrize(
    ("fault", "rank"), [("exception", 1), ("user error", 0), ("killed", 0), ("killed", 1)]
)
def test_a_process_that_dies_ends_the_run_and_its_error_is_shown_once(
    torchrun: Torchrun, settings: Sequence[str], tmp_path: Path, fault: str, rank: int
) -> None:
    run = tmp_path / "run"
    ended = torchrun("train", *settings, f"run.dir={run}", act=FAULTS[fault], rank=rank)
    assert ended.status != 0
    assert ended.seconds < 120, "it hung"
    if fault == "killed":
        (line,) = mine(ended)
        assert line.startswith(f"nmt: process {rank} ("), line
        assert "was killed" in line
        assert "run the same command to resume" in line
    elif fault == "user error":
        assert mine(ended) == ["nmt: boom"], ended.err
    else:
        assert mine(ended) == [], ended.err
        assert ended.err.count("RuntimeError: boom") == 1, ended.err
    assert torch.load(run / "checkpoints" / "last.pt")["training"]["progress"]["update"] == 2


def test_a_killed_process_is_restarted_and_the_run_ends_the_same(
    torchrun: Torchrun, settings: Sequence[str], tmp_path: Path
) -> None:
    killed, whole, died = tmp_path / "killed", tmp_path / "whole", tmp_path / "died"
    once = f"os.path.exists({str(died)!r}) or (open({str(died)!r}, 'w').close(), "
    once += "os.kill(os.getpid(), signal.SIGKILL))"
    settings = [*settings, "model.encoder.word_dropout=0.1", "training.ema_decay=0.9"]
    ended = torchrun("train", *settings, f"run.dir={killed}", act=once, restarts=2)
    assert ended.status == 0, ended.err
    assert died.exists()
    assert ended.err.count("resuming after update 2") == 1, ended.err
    ended = torchrun("train", *settings, f"run.dir={whole}")
    assert ended.status == 0, ended.err
    assert_same_run(killed, whole)


def test_a_rehearsal_and_a_budget_are_those_of_all_processes(
    torchrun: Torchrun, settings: Sequence[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    ended = torchrun("train", *settings, "training.dry_run=true", f"run.dir={run}")
    assert ended.status == 0, ended.err
    assert ended.out.count("largest batch") == 1
    assert "largest batch 3 pairs of 10 positions" in ended.out  # one process would have 6
    assert ended.err.count("training pairs") == 1, ended.err
    assert not run.exists()
    found = ("training.batch_tokens=auto", "training.max_updates=1")
    ended = torchrun("train", *settings, *found, f"run.dir={run}")
    assert ended.status == 0, ended.err
    assert ended.err.count("training.batch_tokens=auto: ") == 1
    assert summary(run)["valid"]["bleu"] >= 0


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_all_recipes_combined_run_stop_and_resume(
    torchrun: Torchrun, run: Path, settings: Sequence[str], tmp_path: Path, kind: str
) -> None:
    new = tmp_path / "new"
    recipes = [
        *(f"training.init_from={run}", f"training.distillation.teacher={run}"),
        *("training.l2_sp=0.01", "training.ewc=1", "training.r_drop=1", "training.ema_decay=0.9"),
        *("training.freeze=[encoder.embedding]", "training.distillation.attention_weight=0.1"),
        *("training.average_last=2", "training.keep_last=2", "training.on_divergence=rewind"),
        *("training.max_skipped=0", "model.encoder.word_dropout=0.1", f"training.parallel={kind}"),
    ]
    act = (
        "(self.model.output.weight.data.fill_(float('nan')), os.kill(os.getpid(), signal.SIGTERM))"
    )
    ended = torchrun("train", *settings, *recipes, f"run.dir={new}", act=act)
    assert "update 3 is not finite" in ended.err, ended.err
    assert "rewound to the weights of last.pt, update 2" in ended.err
    assert "stopped after update 3" in ended.err
    ended = torchrun("train", *settings, *recipes, f"run.dir={new}")
    assert ended.status == 0, ended.err
    assert summary(new)["valid"]["loss"] < 10
    assert json.loads((new / "summary.json").read_text())["averaged"]["updates"] == [4, 6]
    for row in read_metrics(new / "metrics.jsonl"):
        assert all(abs(value) < float("inf") for value in row.values()), row


def test_errors_are_printed_once(torchrun: Torchrun, settings: Sequence[str]) -> None:
    for wrong, said in (
        ("training.parallel=fast", "training.parallel"),
        ("no_such=1", "no_such"),
        ("data.train.source=nowhere.en", "nowhere.en"),
        ("-m", "torchrun"),
    ):
        ended = torchrun("train", *settings, wrong)
        assert ended.status != 0
        assert [said in line for line in mine(ended)] == [True], ended.err


def test_a_measurement_counts_the_tokens_of_all_processes(
    torchrun: Torchrun, settings: Sequence[str], tmp_path: Path
) -> None:
    file = tmp_path / "numbers.json"
    flags = ["--updates", 4, "--warmup", 1, "--json", file]
    for parallel in ("ddp", "fsdp"):
        ended = torchrun("bench", "train", *settings, f"training.parallel={parallel}", *flags)
        assert ended.status == 0, ended.err
        assert ended.out.count("target tokens/s") == 1
        assert "processes" in ended.out
        assert "run folder" not in ended.err
        (run,) = json.loads(file.read_text())["runs"]
        assert len(run["token_shares"]) == 2
        assert all(0.2 < share < 0.8 for share in run["token_shares"])
        assert sum(run["token_shares"]) == pytest.approx(1)
        counts, updates = run["speed"]["counts"], run["speed"]["quiet_updates"] or 4
        assert updates * 32 < counts["target_tokens"] <= updates * 64  # batch_tokens, of both
        done = run["flop_per_token"] * run["speed"]["tokens_per_second"]
        assert run["ceiling_share"] == pytest.approx(done / run["ceiling"]["flop_per_second"])


def test_compared_configurations_alternate_in_all_processes(
    torchrun: Torchrun, settings: Sequence[str]
) -> None:
    flags = ["--updates", 4, "--warmup", 1, "--block", 2, "--no-validate"]
    ended = torchrun("bench", "train", *settings, "--against", "seed=2", *flags)
    assert ended.status == 0, ended.err
    assert ended.out.count("times as fast as B") == 1
    ended = torchrun("bench", "train", *settings, "--against", "model=cnn", *flags)
    assert ended.status != 0
    assert len(mine(ended)) == 1


def test_the_python_interface_joins_the_processes(
    nmt: Nmt, settings: Sequence[str], tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "import nmt\n"
        "if __name__ == '__main__':\n"
        "    outcome = nmt.train(sys.argv[1:])\n"
        "    print('trained', outcome.folder.path, flush=True)\n"
    )
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert nmt("train", *settings, f"run.dir={alone}").status == 0
    ended = run_script(script, *settings, f"run.dir={together}")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("trained") == 2
    assert ended.stderr.count("run folder") == 1, "only the first process prints"
    assert summary(together)["valid"].keys() == summary(alone)["valid"].keys()
    ended = run_script(script, *settings, "tokenizer.vocab_size=100000")
    assert ended.returncode != 0
    assert ended.stderr.count("nmt: tokenizer.vocab_size=100000 is more than") == 1


def run_script(script: Path, *settings: str) -> "subprocess.CompletedProcess[str]":
    """Run a script in two processes."""
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", script, *settings],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
