"""Reads datasets of the Hugging Face Hub, or folders in their format, by `datasets`."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.data.sources import fault_messages
from nmt.data.sources.columns import DOCUMENT_REMEDY, Columns
from nmt.data.sources.fingerprint import DIGEST, add_texts
from nmt.data.sources.pair_source import DataFault, FaultSink, PairChunk, refuse
from nmt.data.sources.records import CountingSink, Record, pack_records
from nmt.errors import UserError

BATCH = 1_000  # rows in memory at once


@dataclass(frozen=True)
class HubPairs:
    """One split of a dataset with one column per language, or a column ``translation``.

    Attributes:
        dataset: Name on the Hub, a folder with its files, or a folder made by `save_to_disk`.
        split: Name of the split.
        columns: The columns of both sides.
        subset: The configuration of the dataset, if it has several.
        streaming: Whether rows are downloaded while they are read.
        local_setting: The setting that names a local copy, for messages.
    """

    dataset: str
    split: str
    columns: Columns
    subset: str | None = None
    streaming: bool = False
    local_setting: str = "data.root=FOLDER"

    @property
    def name(self) -> str:
        """The dataset and its split."""
        return f"{self.dataset}, split {self.split!r}"

    def fingerprint(self) -> str:
        """Return a hash of the texts of all pairs; this reads every row.

        Raises:
            UserError: The dataset is unavailable, or lacks the split or a column.
        """
        content = hashlib.blake2b(digest_size=DIGEST)
        for chunk in self.chunks(BATCH, _refuse_the_whole):
            for source, target in zip(chunk.sources, chunk.targets, strict=True):
                add_texts((source, target), content)
            add_texts(chunk.document_names or (), content)
        return content.hexdigest()

    def chunks(self, size: int, on_fault: FaultSink = refuse) -> Iterator[PairChunk]:
        """Yield the pairs in the order of the rows, at most ``size`` per chunk.

        Raises:
            UserError: The dataset is unavailable, or lacks the split.
        """
        sink = CountingSink(on_fault)
        yield from pack_records(self._records(sink), self.name, size, sink)

    def _records(self, on_fault: FaultSink) -> Iterator[Record]:
        batches = self._load().iter(batch_size=BATCH)
        row = 1
        while True:
            try:
                batch = next(batches, None)
            except MemoryError:
                raise
            # `datasets` may run a reader of any format on any file system of fsspec.
            except Exception as error:  # their exceptions have no common type
                message = f"cannot read {self.name} beyond row {row - 1:,}: {_reason(error)}"
                on_fault(DataFault("unreadable", self.name, row, message))
                return
            if batch is None:
                return
            names = list(batch)
            sides = _choose(batch, self.columns, self.name, on_fault)
            if sides is None:
                return
            documents = _documents(batch, self.columns, self.name, on_fault)
            if documents is None:
                return
            keys = self.columns.names
            for number, (source, target, *document) in enumerate(
                zip(*sides, *documents, strict=True), start=row
            ):
                pair = source, target
                if isinstance(source, str) and isinstance(target, str):
                    yield (number, *pair, str(document[0])) if document else (number, *pair)
                else:
                    wrong = 0 if not isinstance(source, str) else 1
                    on_fault(fault_messages.not_text(self.name, number, keys[wrong], pair[wrong]))
            row += len(batch[names[0]])

    def _load(self) -> Any:
        """Load the split; any failure of the library becomes a `UserError`."""
        import datasets

        try:
            with _silence():
                if _is_saved(self.dataset):
                    return self._saved(datasets.load_from_disk(self.dataset))
                return datasets.load_dataset(
                    self.dataset, self.subset, split=self.split, streaming=self.streaming
                )
        except (UserError, MemoryError):
            raise
        except Exception as error:  # from any library under `datasets`, as in `_records`
            raise UserError(
                f"cannot load the dataset {self.name}: {_reason(error)}; check the name and the "
                f"connection, or give a local copy with {self.local_setting}"
            ) from error

    def _saved(self, found: Any) -> Any:
        if not isinstance(found, dict):
            return found
        if self.split not in found:
            raise UserError(
                f"{self.dataset} has no split {self.split!r}; its splits are {', '.join(found)}"
            )
        return found[self.split]


def _is_saved(dataset: str) -> bool:
    return any(os.path.isfile(Path(dataset) / name) for name in ("state.json", "dataset_dict.json"))


def _choose(
    batch: dict[str, list[Any]], columns: Columns, name: str, on_fault: FaultSink
) -> tuple[Sequence[Any], Sequence[Any]] | None:
    """Return both sides of a batch, or None after reporting a missing column."""
    if "translation" in batch and not columns.given:
        pairs = [pair if isinstance(pair, dict) else {} for pair in batch["translation"]]
        keys = list(pairs[0]) if pairs else []
        first, second = columns.find(keys)
        if first is None or second is None:
            on_fault(fault_messages.missing_translation(name, None, columns.languages, keys))
            return None
        source, target = keys[first], keys[second]
        return [pair.get(source) for pair in pairs], [pair.get(target) for pair in pairs]
    names = list(batch)
    first, second = columns.find(names)
    if first is None or second is None:
        missing = columns.names[0 if first is None else 1]
        on_fault(fault_messages.missing_column(name, None, missing, names, columns.remedy))
        return None
    return batch[names[first]], batch[names[second]]


def _documents(
    batch: dict[str, list[Any]], columns: Columns, name: str, on_fault: FaultSink
) -> list[Sequence[Any]] | None:
    """Return [the column of documents], or [] if none is set; None: it is missing, reported."""
    if columns.document is None:
        return []
    names = list(batch)
    place = columns.find_document(names)
    if place is None:
        fault = fault_messages.missing_column(name, None, columns.document, names, DOCUMENT_REMEDY)
        on_fault(fault)
        return None
    return [batch[names[place]]]


def _refuse_the_whole(fault: DataFault) -> None:
    """Raise a fault that ends reading; ignore a faulty row, which is not hashed."""
    if fault.line is None or fault.rule == "unreadable":
        raise UserError(fault.message)


@contextmanager
def _silence() -> Iterator[None]:
    """Prevent `datasets` from logging errors that are reported here."""
    import datasets

    verbosity = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        yield
    finally:
        datasets.logging.set_verbosity(verbosity)


def _reason(error: Exception) -> str:
    text = str(error.__cause__ or error).strip()
    return text.split("\n")[0] if text else type(error).__name__
