"""Process-wide settings: precision chosen by measurement, and reproducible numerics."""

import os
import subprocess
import sys
import time

import pytest
import torch

from nmt import runtime
from nmt.errors import UserError

CPU = torch.device("cpu")


def test_named_precisions_are_used_as_they_are() -> None:
    assert runtime.pick_precision("float32", CPU) == torch.float32
    assert runtime.pick_precision("bfloat16", CPU) == torch.bfloat16
    with pytest.raises(UserError, match="float16 is for CUDA devices"):
        runtime.pick_precision("float16", CPU)


@pytest.mark.parametrize(("slow", "expected"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_auto_precision_measures_the_cpu(
    monkeypatch: pytest.MonkeyPatch, slow: str, expected: str
) -> None:
    """Make products advance a simulated clock, so the result does not depend on the processor."""
    product, products, seconds = torch.mm, [], [0.0]

    def timed(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        products.append(first.dtype)
        seconds[0] += 0.009 if first.dtype == runtime.PRECISIONS[slow] else 0.001
        return product(first, second)

    monkeypatch.setattr(torch, "mm", timed)
    monkeypatch.setattr(time, "process_time", lambda: seconds[0])
    runtime._cpu_gains_by_bfloat16.cache_clear()
    try:
        state = torch.get_rng_state()
        assert runtime.pick_precision("auto", CPU) == runtime.PRECISIONS[expected]
        assert torch.equal(torch.get_rng_state(), state)
        measured = len(products)
        assert measured, "nothing was measured"
        assert runtime.pick_precision("auto", CPU) == runtime.PRECISIONS[expected]
        assert len(products) == measured, "measured twice"
    finally:
        runtime._cpu_gains_by_bfloat16.cache_clear()


def test_numerics_are_switched_on_and_off(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bool] = []  # the real function takes seconds to load a compiler
    monkeypatch.setattr(torch, "use_deterministic_algorithms", calls.append)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    try:
        runtime.set_cuda_numerics(tf32=True, deterministic=True)
        assert calls == [True]
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        runtime.set_cuda_numerics(tf32=False, deterministic=False)
    assert calls == [True], "it was called for a run that does not need it"
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cudnn.allow_tf32


def test_a_cuda_device_is_used_without_the_attention_of_cudnn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        torch.backends.cuda.enable_cudnn_sdp(True)
        assert runtime.pick_device("cpu") == CPU
        assert torch.backends.cuda.cudnn_sdp_enabled()
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        assert runtime.pick_device("auto").type == "cuda"
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


def test_a_search_computes_in_float32_except_on_cuda() -> None:
    cpu = torch.device("cpu")
    assert runtime.pick_search_precision("auto", cpu) == torch.float32
    assert runtime.pick_search_precision("bfloat16", cpu) == torch.bfloat16
    assert runtime.pick_search_precision("int8", cpu) == torch.int8
    for name, match in (("float16", "float16 is for CUDA"), ("half", "'half' is unknown")):
        with pytest.raises(UserError, match=match):
            runtime.pick_search_precision(name, cpu)
    with pytest.raises(UserError, match="int8 is for CPUs, and this device is cuda: choose auto"):
        runtime.pick_search_precision("int8", torch.device("cuda"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux's glibc has mallopt")
def test_freed_memory_is_allocated_again_without_page_faults() -> None:
    """Without the setting, each allocation of 64 MB faults on all of its 16,384 pages."""
    code = """
import resource, torch
from nmt import runtime

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16, 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

runtime.keep_freed_memory()
print(*(faults() for _ in range(20)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, *others = map(int, done.stdout.split())
    # Until a free block is larger than one by what alignment needs, some more blocks are new.
    assert sum(others[-10:]) < first
