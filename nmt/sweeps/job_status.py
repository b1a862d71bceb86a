"""How a job of a sweep ended."""

from enum import StrEnum


class JobStatus(StrEnum):
    """The status of a sweep's job, as written to its file and to the table."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    SKIPPED = "skipped"
    """The job is impossible, because its settings exclude each other."""
    PRUNED = "pruned"
    """The job is a trial of a search that was stopped because it was worse than others."""
    INTERRUPTED = "interrupted"
    """A signal stopped the job, which saved a checkpoint if possible."""
    KILLED = "killed"
    """The job ended without a status."""
