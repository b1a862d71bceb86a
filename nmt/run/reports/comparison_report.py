"""The page of several runs: their table, their curves and the sentences where they differ."""

from collections.abc import Sequence

import nmt
from nmt.errors import UserError
from nmt.evaluation.sentence_ranking import RankedSentence, most_different, rank_sentences
from nmt.evaluation.significance import PairedTestName
from nmt.evaluation.test_set import of_run
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.pages.comparison_page import ComparedSample, ComparisonPage
from nmt.reporting.pages.line_chart import Line
from nmt.run.comparison.run_comparison import compare_runs
from nmt.run.comparison.same_files import by_configuration
from nmt.run.folder import RunFolder
from nmt.run.reports.run_report import latest_heatmaps, sample_histories
from nmt.run.reports.translation_attention import translation_heatmaps
from nmt.run.run_record import RunRecord

_SHOWN = 10  # sentences where the runs differ most
_MOST_MAPS = 6  # runs whose heatmaps are side by side
_MOST_CURVES = 12


def comparison_page(records: Sequence[RunRecord]) -> ComparisonPage:
    """Return the content of the page.

    Args:
        records: At least two runs.
    """
    comparison = compare_runs(records, PairedTestName.BOOTSTRAP)
    names = [row["name"] for row in comparison.rows]
    first, second = _compared(records)
    pair = [records[first], records[second]]
    different = _different(*pair)
    return ComparisonPage(
        title=f"{len(records)} runs",
        comparison=vars(comparison),
        charts=[
            (title, lines)
            for title, metric in (
                ("BLEU of the validation text", "valid/bleu"),
                ("validation loss per target piece, in nats", "valid/loss"),
            )
            if (lines := _lines(records, names, metric))
        ],
        different=different,
        different_maps=_different_maps(pair, different),
        compared=[names[first], names[second]],
        samples=_samples(records, names),
        version=nmt.__version__,
    )


def _compared(records: Sequence[RunRecord]) -> tuple[int, int]:
    """Return the places of the two runs whose sentences are compared.

    They are the first run and the next one of another configuration, if there is any. Runs that
    differ only in their seed show what luck changes, not what a setting changes.
    """
    groups = by_configuration(records)
    return 0, groups[1][0] if len(groups) > 1 else 1


def _lines(records: Sequence[RunRecord], names: Sequence[str], metric: str) -> list[Line]:
    pairs = zip(records, names, strict=True)
    found = [Line(name, points) for r, name in pairs if len(points := r.curve(metric)) > 1]
    return found[:_MOST_CURVES]


def _different(first: RunRecord, second: RunRecord) -> list[RankedSentence]:
    """Return the test sentences that two runs translated most differently."""
    if first.translations is None or second.translations is None:
        return []
    try:
        text = of_run(first.config.data, "test")
    except UserError:
        return []
    systems = [first.translations, second.translations]
    if any(len(translations) != len(text) for translations in systems):
        return []
    return most_different(rank_sentences(systems, text.references, text.source), _SHOWN)


def _different_maps(
    records: Sequence[RunRecord], different: Sequence[RankedSentence]
) -> list[list[Heatmap | None]]:
    """Return the attention of these runs, teacher-forced on their own translations."""
    sources = [one.source or "" for one in different]
    of_runs = [
        translation_heatmaps(record, sources, [one.translations[n] for one in different])
        for n, record in enumerate(records)
        if different
    ]
    return [list(maps) for maps in zip(*of_runs, strict=True)]


def _samples(records: Sequence[RunRecord], names: Sequence[str]) -> list[ComparedSample]:
    """Return the validation samples that all shown runs have, with the attention of each run."""
    folders = [RunFolder(record.path) for record in records[:_MOST_MAPS]]
    found: dict[tuple[str, str], ComparedSample] = {}
    for folder, name in zip(folders, names, strict=False):
        maps = latest_heatmaps(folder.attention)
        for number, history in enumerate(sample_histories(folder.samples)):
            key = history.source, history.reference
            sample = found.setdefault(key, ComparedSample(*key, []))
            heatmap = maps[number] if number < len(maps) else None
            sample.systems.append((name, history.translations[-1][1], heatmap))
    return [one for one in found.values() if len(one.systems) == len(folders)]
