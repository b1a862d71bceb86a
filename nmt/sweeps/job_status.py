"""How a job of a sweep ended."""

from enum import StrEnum


class JobStatus(StrEnum):
    """The status of a sweep's job, as written to its file and to the table."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Impossible: its settings exclude each other."""
    PRUNED = "pruned"
    """A trial of a search that was stopped because it was clearly worse than others."""
    INTERRUPTED = "interrupted"
    """Stopped by a signal, and saved where possible."""
    KILLED = "killed"
    """Ended without reporting a status."""
