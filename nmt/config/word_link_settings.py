"""Settings of the files of word links."""

from dataclasses import dataclass

from nmt.config.setting import setting


@dataclass(kw_only=True)
class AlignmentFiles:
    """Word links of the splits in Pharaoh format, ``0-0 1-2``, one line per pair; null: none."""

    train: str | None = setting(
        None, "Word links of the training pairs, for training.guided_alignment.", names_file=True
    )
    valid: str | None = setting(None, "Word links of the validation pairs.", names_file=True)
    test: str | None = setting(None, "Word links of the test pairs.", names_file=True)


@dataclass(kw_only=True)
class GoldAlignments:
    """A separate hand-aligned set for the alignment error rate of the finished run.

    If the files are null, the links of the test split are used, or else those of the validation
    split, if there are any.
    """

    source: str | None = setting(
        None,
        "Source sentences of a hand-aligned set, for the alignment error rate of the finished run.",
        names_file=True,
    )
    target: str | None = setting(None, "Target sentences of this set.", names_file=True)
    links: str | None = setting(
        None,
        "Word links of this set in Pharaoh format; 0p1 and 0?1 are possible links.",
        names_file=True,
    )
    flip: bool = setting(False, "Whether the links name the target word first.")
