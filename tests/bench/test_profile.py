"""The events of a GPU's profile: kernels by name, gaps, launches; made by hand."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from nmt.bench.profile import gpu_profile
from nmt.bench.text_report import profile_table


@dataclass
class Event:
    name: str
    where: str
    start: float
    end: float

    @property
    def device_type(self) -> Any:
        return SimpleNamespace(name=self.where)

    @property
    def time_range(self) -> Any:
        return SimpleNamespace(start=self.start, end=self.end)


UPDATES = [  # two updates in 100 µs; kernels overlap by 5 µs
    Event("aten::mm", "CPU", 0, 5),
    Event("cudaLaunchKernel", "CPU", 1, 2),
    Event("cudaGraphLaunch", "CPU", 6, 8),
    Event("cudaMemcpyAsync", "CPU", 8, 9),
    Event("cudaStreamSynchronize", "CPU", 90, 100),
    Event("Optimizer.step", "CPU", 9, 10),
    Event("gemm", "CUDA", 10, 40),
    Event("gemm", "CUDA", 60, 70),
    Event("softmax", "CUDA", 35, 50),
    Event("Memcpy HtoD", "CUDA", 80, 85),
    Event("Optimizer.step", "CUDA", 10, 100),  # a range that the program marked
]


def test_kernels_count_by_their_own_events_and_overlaps_count_once() -> None:
    found = gpu_profile(UPDATES, 100.0, updates=2)
    assert found.shares == pytest.approx({"gemm": 0.4, "softmax": 0.15, "Memcpy HtoD": 0.05})
    assert found.between == pytest.approx(1 - (40 + 10 + 5) / 100)
    assert found.kernels == 4 / 2
    assert found.launches == 3 / 2
    assert "launches by the host per update" in profile_table(found)


def test_a_profile_without_kernels_is_reported_as_such() -> None:
    host = [event for event in UPDATES if event.where == "CPU"]
    assert "recorded no kernel" in profile_table(gpu_profile(host, 100.0, updates=2))
