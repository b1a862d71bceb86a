"""Files with the sentence pairs of skipped updates, for inspection."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nmt.data.batches.batch import Batch
from nmt.data.batches.repack import unpacked
from nmt.durable_file import atomic_write
from nmt.text.special_tokens import EOS, PAD
from nmt.training.guard import BadUpdate

MAX_FILES = 5

Decode = Callable[[list[int]], str]


class BadBatches:
    """Files ``update-N.json`` in a folder, at most `MAX_FILES` per run."""

    def __init__(self, folder: Path, decode_source: Decode, decode_target: Decode) -> None:
        """Write into a folder, which is created when the first file is written.

        Args:
            folder: The run's ``bad_batches``.
            decode_source: Converts source piece ids to text.
            decode_target: Converts target piece ids to text.
        """
        self._folder = folder
        self._decode_source, self._decode_target = decode_source, decode_target

    def __call__(self, bad: BadUpdate) -> Path | None:
        """Write an update and return its file; None: `MAX_FILES` exist, or the write failed."""
        path = self._folder / f"update-{bad.update}.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if len(set(self._folder.glob("update-*.json")) - {path}) >= MAX_FILES:
                return None
            with atomic_write(path) as partial:
                partial.write_text(json.dumps(self._content(bad), ensure_ascii=False, indent=1))
        except OSError:
            return None
        return path

    def _content(self, bad: BadUpdate) -> dict[str, Any]:
        return {
            "update": bad.update,
            "epoch": bad.epoch + 1,
            "loss": str(bad.loss),  # JSON has no literal for nan and inf
            "gradient_norm": str(bad.gradient_norm),
            "learning_rate": bad.learning_rate,
            "batches": [list(self._pairs(batch)) for batch in bad.batches],
        }

    def _pairs(self, batch: Batch) -> Iterator[dict[str, Any]]:
        batch = batch if batch.packing is None else unpacked(batch)
        rows = zip(batch.source_ids.tolist(), batch.target_output_ids.tolist(), strict=True)
        for source, target in rows:
            source_ids, target_ids = _pieces(source), _pieces(target)
            yield {
                "source": self._decode_source(source_ids),
                "target": self._decode_target(target_ids),
                "source_ids": source_ids,
                "target_ids": target_ids,
            }


def _pieces(row: list[int]) -> list[int]:
    return [piece for piece in row if piece not in (EOS, PAD)]
