"""Processes of a training that have ended without an error message."""

import os
import signal
import socket
import subprocess
import sys

import pytest
from torch import distributed as dist

from nmt import processes

HERE = socket.gethostname()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> dist.Store:
    """The store shared by two processes, of which this is the first."""
    shared = dist.HashStore()
    monkeypatch.setattr(processes, "world", lambda: 2)
    monkeypatch.setattr(processes, "_EXIT_DELAY", 0.2)
    monkeypatch.setattr(processes, "_stores", [shared])
    shared.set("process/0", f"{os.getpid()} {HERE}")
    return shared


def test_a_killed_process_is_named_on_every_call(
    store: dist.Store,
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        store.set("process/1", f"{other.pid} {HERE}")
        assert processes.lost_processes() == ""
        other.send_signal(signal.SIGKILL)
        assert processes.lost_processes() == f"process 1 ({other.pid} on {HERE})"
    assert processes.lost_processes() == f"process 1 ({other.pid} on {HERE})"
    store.set("reported/1", "")  # the process has reported its error itself
    assert processes.lost_processes() == ""


def test_a_process_on_another_host_is_never_reported_as_killed(store: dist.Store) -> None:
    store.set("process/1", f"{2**22} another-machine")
    assert processes.lost_processes() == ""
