"""Makes the report on a corpus while `nmt train` or `nmt prepare` prepares it."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nmt.config.data import DataConfig, OnDoubt
from nmt.data.encoded import PieceSequences
from nmt.data.pair_outlines import SIDES
from nmt.data.preparation.corpus_reporter import Inspector, PreparedText
from nmt.data.sources.pair_source import DataFault
from nmt.data_check.build_report import build_report
from nmt.data_check.changed_characters import changed_character_findings
from nmt.data_check.check_report import DataReport
from nmt.data_check.chunk_inspection import inspect_chunk
from nmt.data_check.collected_faults import CollectedFaults
from nmt.data_check.inspection import Inspection
from nmt.data_check.token_statistics import count_pieces, side_tokens
from nmt.text.tokenizer import Tokenizer

_FILE = "report.json"


class PreparationReporter:
    """Makes the report on one corpus; see `nmt.data.preparation.corpus_reporter.CorpusReporter`."""

    def __init__(self, data: DataConfig) -> None:
        """Report on the corpus with these settings."""
        self._data = data
        self._languages = (data.source_language, data.target_language)
        self._inspections: dict[str, Inspection] = {}
        self._faults: dict[str, CollectedFaults] = {}

    @property
    def inspector(self) -> Inspector:
        """The function that inspects each chunk."""
        return partial(inspect_chunk, languages=self._languages)

    def collect(self, split: str, inspected: Any) -> None:
        """Add the inspection of the next chunk of a split."""
        self._inspections.setdefault(split, Inspection()).absorb(inspected)

    def note(self, split: str, fault: DataFault) -> None:
        """Add a fault of a split that training does not refuse, e.g. a row that is left out."""
        self._faults.setdefault(split, CollectedFaults())(fault)

    def write(self, folder: Path, prepared: PreparedText) -> None:
        """Write the report into the folder of the prepared data."""
        inspections = {}
        for split, outline in prepared.outlines.items():
            inspections[split] = self._inspections.get(split, Inspection())
            inspections[split].outline = outline
        report = build_report(
            {
                "name": self._data.name,
                "source_language": self._languages[0],
                "target_language": self._languages[1],
            },
            inspections,
            self._faults,
            stop=self._data.on_doubt == OnDoubt.STOP,
            filters=prepared.dropped.to_mapping(),
            tokens=_tokens(folder, prepared, inspections["train"]),
            extra=changed_character_findings(
                prepared.tokenizers.target,
                inspections["train"].side("target").beyond_ascii,
                self._languages[1],
            ),
        )
        (folder / _FILE).write_text(json.dumps(report.to_mapping()))

    def read(self, folder: Path) -> DataReport:
        """Read the report that `write` wrote.

        Raises:
            OSError: The file cannot be read.
            ValueError, KeyError, TypeError: It is damaged.
        """
        return DataReport.from_mapping(json.loads((folder / _FILE).read_text()))


def _tokens(folder: Path, prepared: PreparedText, train: Inspection) -> dict[str, Any]:
    """Return statistics of training pieces by side, and of unknown pieces in held-out text."""
    tokens = {}
    for side in SIDES:
        tokenizer: Tokenizer = getattr(prepared.tokenizers, side)
        lengths = PieceSequences.load(folder / f"train.{side}").lengths.astype(np.int64)
        counts = [count_pieces(tokenizer, getattr(text, side)) for text in prepared.held_out]
        unknown = sum(count.unknown for count in counts)
        pieces = sum(int(count.lengths.sum()) for count in counts)
        tokens[side] = side_tokens(
            len(tokenizer), lengths, train.side(side).words, unknown / max(1, pieces)
        )
    return tokens
