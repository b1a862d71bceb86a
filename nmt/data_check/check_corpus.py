"""Checks a whole corpus: reads it to the end in spite of faults, and makes a report."""

from collections.abc import Callable, Mapping, Sequence

from nmt.data.sources.pair_source import PairSource
from nmt.data_check.build_report import build_report
from nmt.data_check.check_report import DataReport
from nmt.data_check.check_settings import CheckSettings
from nmt.data_check.filter_counts import FilterCounter, HeldOutHashes
from nmt.data_check.findings import exchanged_findings
from nmt.data_check.read_split import Progress, read_split
from nmt.data_check.training_estimate import estimate_training


def check_corpus(
    sources: Mapping[str, Sequence[PairSource]],
    settings: CheckSettings,
    progress: Progress = lambda split, pairs: None,
    begin_stage: Callable[[str], None] = lambda name: None,
) -> DataReport:
    """Read all splits of a corpus, and return the report. Faults of the files become findings.

    Args:
        sources: The sources of ``train`` and, if they exist, ``valid`` and ``test``.
        settings: The settings of the check.
        progress: Called after each chunk.
        begin_stage: Called with the name of each further stage, which shows no progress.

    Raises:
        UserError: The settings cannot be followed, e.g. the language filter is not installed.
    """
    languages = settings.languages
    held_out = HeldOutHashes()
    splits = {
        split: read_split(split, sources[split], languages, progress, held_out.add)
        for split in ("valid", "test")
        if split in sources
    }
    counter = FilterCounter(settings.filters, languages, held_out.hashes)
    train = read_split("train", sources["train"], languages, progress, counter.keep)
    splits = {"train": train, **splits}
    begin_stage("training the tokenizer")
    estimate = estimate_training(splits, settings)
    if estimate.too_long:
        counter.count_too_long(estimate.too_long)
    return build_report(
        {
            "name": settings.name,
            "source_language": languages[0],
            "target_language": languages[1],
        },
        {split: read.inspection for split, read in splits.items()},
        {split: read.faults for split, read in splits.items()},
        stop=settings.stop,
        filters=counter.to_mapping(),
        tokens=estimate.tokens,
        cost=estimate.cost,
        extra=[*estimate.findings, *exchanged_findings(train.sample)],
    )
