"""A file of TensorBoard events, written in the caller's thread, so that the caller gets errors."""

from __future__ import annotations

import itertools
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter

_VERSION = "brain.Event:2"

_numbers = itertools.count()  # of the files of this process


class EventFile:
    """Writes each event to the disk as it is added.

    TensorBoard's own writer uses a thread, which prints a traceback when the disk is full.
    """

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        """Create a file with a unique name in a folder, which is created if missing.

        Args:
            folder: TensorBoard reads all files of it as one run.
            purge_step: TensorBoard hides events of this and later steps in the folder's earlier
                files; None: it hides nothing.

        Raises:
            OSError: The file cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        names = (int(time.time()), socket.gethostname(), os.getpid(), next(_numbers))
        file = folder / "events.out.tfevents.{:010d}.{}.{}.{:06d}".format(*names)
        self._file = file.open("ab")
        self._writer = RecordWriter(self._file)
        try:
            self._begin(purge_step)
        except BaseException:
            with suppress(OSError):  # the first error is the one to report
                self._file.close()
            raise

    def _begin(self, purge_step: int | None) -> None:
        self._write(Event(file_version=_VERSION))
        if purge_step is not None:
            self._write(Event(step=purge_step, file_version=_VERSION))
            start = SessionLog(status=SessionLog.START)
            self._write(Event(step=purge_step, session_log=start))

    def add(self, summary: Any, step: int | None = None) -> None:
        """Write a summary of a step.

        Raises:
            OSError: The summary cannot be written.
        """
        self._write(Event(summary=summary, step=step))

    def flush(self) -> None:
        """Flush the events to the disk, so that they survive a loss of power.

        Raises:
            OSError: The events cannot be written.
        """
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file. Closing again has no effect.

        Raises:
            OSError: The events cannot be written.
        """
        self._file.close()

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        self._writer.write(event.SerializeToString())
        self._file.flush()
