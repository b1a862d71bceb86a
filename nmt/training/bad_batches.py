"""The pairs of an update that went wrong, written down for people to look at."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nmt.data.batch import Batch
from nmt.durable_file import atomic_write
from nmt.text.special_tokens import EOS, PAD
from nmt.training.guard import BadUpdate

MAX_FILES = 5

Decode = Callable[[list[int]], str]


class BadBatches:
    """Files ``update-N.json`` in a folder, the first few of a run."""

    def __init__(self, folder: Path, source: Decode, target: Decode) -> None:
        """Write into a folder, which is made when it is needed.

        Args:
            folder: Of the run.
            source: Makes text of the piece ids of a source.
            target: Likewise of a target.
        """
        self._folder, self._source, self._target = folder, source, target

    def __call__(self, bad: BadUpdate) -> Path | None:
        """Write an update down; return where, or None if there are enough, or the disk is full."""
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
            "loss": str(bad.loss),  # JSON has no word for what they are
            "gradient_norm": str(bad.norm),
            "learning_rate": bad.rate,
            "batches": [list(self._pairs(batch)) for batch in bad.batches],
        }

    def _pairs(self, batch: Batch) -> Iterator[dict[str, Any]]:
        rows = zip(batch.source_ids.tolist(), batch.target_output_ids.tolist(), strict=True)
        for source, target in rows:
            source_ids, target_ids = _pieces(source), _pieces(target)
            yield {
                "source": self._source(source_ids),
                "target": self._target(target_ids),
                "source_ids": source_ids,
                "target_ids": target_ids,
            }


def _pieces(row: list[int]) -> list[int]:
    return [piece for piece in row if piece not in (EOS, PAD)]
