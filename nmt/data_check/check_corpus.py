"""The doctor: reads a corpus to its end whatever is wrong with it, and reports."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nmt.data.judge_training_text import cleaned
from nmt.data.sources.pair_source import PairChunk, PairSource
from nmt.data_check import findings as say
from nmt.data_check.check_report import ERROR, DataReport, Finding
from nmt.data_check.collected_faults import CollectedFaults
from nmt.data_check.duplicates import find_repeats
from nmt.data_check.filter_counts import Filtering, HeldOut
from nmt.data_check.filter_findings import answered, other_language_findings
from nmt.data_check.histograms import rows_of_counts, rows_of_ratios
from nmt.data_check.inspection import Inspection, SideInspection, inspect_chunk
from nmt.data_check.training_estimate import CheckSettings, Scanned, weigh
from nmt.errors import UserError

Progress = Callable[[str, int], None]
"""Told a split's name and how many of its pairs have been read."""

_CHUNK = 5_000  # pairs


def check_corpus(
    sources: Mapping[str, Sequence[PairSource]],
    settings: CheckSettings,
    progress: Progress = lambda split, pairs: None,
) -> DataReport:
    """Read every split of a corpus and report; faults of the files are findings, too.

    Args:
        sources: Of ``train``, and where there are any ``valid`` and ``test``.
        settings: What to look for.
        progress: Told of every chunk.

    Raises:
        UserError: The settings cannot be followed, as a language filter that is not installed.
    """
    held_out = HeldOut()
    scanned = {
        split: _scan(split, sources[split], settings.languages, progress, held_out.add)
        for split in ("valid", "test")
        if split in sources
    }
    filtering = Filtering(settings.filters, settings.languages, held_out)
    train = _scan("train", sources["train"], settings.languages, progress, filtering.keep)
    scanned = {"train": train, **scanned}
    weighed = weigh(scanned, settings)
    if weighed.too_long:
        filtering.too_long(weighed.too_long)
    return build_report(
        {
            "name": settings.name,
            "source_language": settings.languages[0],
            "target_language": settings.languages[1],
        },
        {split: one.inspection for split, one in scanned.items()},
        {split: one.faults for split, one in scanned.items()},
        stop=settings.stop,
        filters=filtering.to_mapping(),
        tokens=weighed.tokens,
        cost=weighed.cost,
        extra=weighed.findings,
    )


def build_report(
    corpus: Mapping[str, str],
    inspections: Mapping[str, Inspection],
    faults: Mapping[str, CollectedFaults],
    *,
    stop: bool = True,
    filters: Mapping[str, Any] | None = None,
    tokens: Mapping[str, Any] | None = None,
    cost: Mapping[str, Any] | None = None,
    extra: Iterable[Finding] = (),
) -> DataReport:
    """Make the report of what has been seen.

    Args:
        corpus: Its ``name``, ``source_language`` and ``target_language``.
        inspections: Every split's pairs.
        faults: What was wrong with the files of each.
        stop: Whether training is refused where the sides look shifted.
        filters: Training pairs ``kept``, and ``dropped`` by rule.
        tokens: By side; see `side_tokens`.
        cost: See `cost_of_lengths`.
        extra: Further findings, as of the vocabulary.
    """
    languages = corpus["source_language"], corpus["target_language"]
    found, splits = list(extra), []
    for split, seen in inspections.items():
        told = faults.get(split) or CollectedFaults()
        found += say.fault_findings(split, told, seen)
        nothing = list(say.empty_findings(split, seen, told))
        found += nothing
        if not nothing and "unequal_lines" not in told.counts:
            found += say.shift_findings(split, seen, stop=stop)
        found += say.swap_findings(split, seen, languages, stop=stop)
        found += say.rule_findings(split, seen, languages, told=told)
        row = _split_row(split, seen)
        if split == "train":
            repeats = find_repeats(seen)
            found += say.repeat_findings(split, repeats, languages)
            row["repeated_sources"] = repeats.sources
        splits.append(row)
    found += say.overlap_findings(inspections, languages)
    if filters is not None and not filters["kept"] and not any(f.severity == ERROR for f in found):
        found.append(_nothing_left(filters, inspections["train"]))
    elif filters is not None:
        found = [answered(finding, filters) for finding in found]
        found += other_language_findings(filters)
    return DataReport(corpus, splits, sorted(found, key=say.by_importance), filters, tokens, cost)


_LOOSENED = {
    "too_long": "raise data.max_length",
    "max_words": "raise data.filters.max_words",
    "max_ratio": "raise data.filters.max_ratio",
    "copy": "set data.filters.copies=false",
    "script": "set data.filters.scripts=false",
    "language": "set data.filters.language=null",
    "test_overlap": "set data.filters.test_overlap=false",
}


def _nothing_left(filters: Mapping[str, Any], train: Inspection) -> Finding:
    rules = ", ".join(f"{row['rule']} {row['count']:,}" for row in filters["dropped"])
    place = train.place(0)
    return Finding(
        "nothing_left",
        ERROR,
        "train",
        None,
        train.pairs,
        [place],
        f"no training pair of {place.file} is left: all {train.pairs:,} are dropped ({rules})",
        f"{_remedy(filters['dropped'][0]['rule'])}, and check that the languages are right",
    )


def _remedy(rule: str) -> str:
    return _LOOSENED.get(rule, "give text of both sides")


def _split_row(name: str, seen: Inspection) -> dict[str, Any]:
    return {
        "name": name,
        "pairs": seen.pairs,
        "source": _side_row(seen.side("source"), seen.pairs),
        "target": _side_row(seen.side("target"), seen.pairs),
        "ratio_histogram": rows_of_ratios(seen.ratio_histogram, seen.highest_ratio),
    }


def _side_row(side: SideInspection, lines: int) -> dict[str, Any]:
    return {
        "lines": lines,
        "words": side.words,
        "characters": side.characters,
        "longest_words": side.longest_words,
        "words_histogram": rows_of_counts(side.words_histogram, side.longest_words),
    }


def _scan(
    split: str,
    sources: Sequence[PairSource],
    languages: tuple[str, str],
    progress: Progress,
    keep: Callable[[PairChunk], Sequence[int]],
) -> Scanned:
    scanned = Scanned()
    for source in sources:
        try:
            for chunk in source.chunks(_CHUNK, scanned.faults):
                scanned.inspection.absorb(inspect_chunk(chunk, languages))
                source_texts, target_texts = cleaned(chunk)
                clean = replace(chunk, sources=source_texts, targets=target_texts)
                scanned.sample.add(clean, keep(clean))
                progress(split, scanned.inspection.pairs)
        except UserError as error:  # what a source cannot hand to the sink
            scanned.faults.note("unreadable", source.name, str(error))
    return scanned
