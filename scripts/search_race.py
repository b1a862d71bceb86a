"""Parts of scripts/bench_ctranslate2 and scripts/bench_toolkits: the work, our search, the timing.

Both searches translate sentences of random pieces with random weights. They make the same number of
steps: one per piece of a translation, and one more.
"""

import argparse
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nmt import runtime
from nmt.data.batches.batch import source_batch
from nmt.decoding.prepared_weights import prepare_weights
from nmt.decoding.search import beam_search
from nmt.model.build import build_model
from nmt.sweeps.overrides import compose_config
from nmt.text.special_tokens import EOS

LAYERS, SIZE, FEED_FORWARD, HEADS, VOCABULARY = 3, 256, 1024, 4, 8000
"""The sizes in configs/experiment/bench_transformer.yaml."""

FIRST_WORD = 4  # after the special pieces

Run = Callable[[], None]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the amount of work and the timing."""
    add = parser.add_argument
    add("--source", type=Path, required=True, help="text, of which only the lengths are used")
    add("--sentences", type=int, default=128)
    add("--batch", type=int, default=64, help="sentences of a batch [64]")
    add("--beam", type=int, default=5)
    add("--pieces", type=int, default=15, help="of every translation, without EOS [15]")
    add("--threads", type=int, default=1)
    add("--rounds", type=int, default=5)
    add("--wall", action="store_true", help="measure wall time")


def random_sources(asked: argparse.Namespace) -> list[list[int]]:
    """Return sentences of random pieces, as long as the lines have words and three more."""
    torch.set_num_threads(asked.threads)
    torch.manual_seed(1)
    runtime.keep_freed_memory()
    lines = asked.source.read_text(encoding="utf-8").splitlines()[: asked.sentences]
    lengths = sorted((len(line.split()) + 3 for line in lines), reverse=True)
    draw = random.Random(1)
    return [[draw.randrange(FIRST_WORD, VOCABULARY) for _ in range(n)] for n in lengths]


def our_search(
    asked: argparse.Namespace,
    overrides: Sequence[str],
    precision: str,
    sources: Sequence[Sequence[int]],
) -> Run:
    """Return nmt's search in this precision, with a model of random weights."""
    config = compose_config(list(overrides), {})
    model = build_model(config.model, VOCABULARY, VOCABULARY).eval()
    cpu = torch.device("cpu")
    dtype = runtime.pick_search_precision(precision, cpu)
    prepare_weights(model, dtype)

    def discourage(_module: nn.Module, _inputs: Any, logits: torch.Tensor) -> None:
        logits[..., EOS] = -1e4

    model.output.register_forward_hook(discourage)
    limit: dict[str, Any] = {"max_length_ratio": 0.0, "max_length_extra": asked.pieces + 1}
    search = replace(config.decoding, beam_size=asked.beam, **limit)

    def run() -> None:
        with runtime.autocast(cpu, dtype):
            for start in range(0, len(sources), asked.batch):
                batch = source_batch(sources[start : start + asked.batch])
                found = beam_search(model, *batch, search)
                assert all(len(beams[0].ids) == asked.pieces for beams in found)

    return run


def timed_in_turns(asked: argparse.Namespace, runs: Mapping[str, Run]) -> dict[str, list[float]]:
    """Call each once without timing, then all in turns; return the seconds of each round."""
    clock = time.perf_counter if asked.wall else time.process_time
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(asked.rounds):
        for name, run in runs.items():
            started = clock()
            run()
            times[name].append(clock() - started)
    return times
