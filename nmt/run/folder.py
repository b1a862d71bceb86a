"""The run folder: its files, and whether a run is new, unfinished or finished."""

import copy
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from nmt.checkpoint_names import AVERAGED, BEST, LAST
from nmt.config.plain import (
    changeable_settings,
    flatten,
    from_mapping,
    to_mapping,
    to_naming_mapping,
)
from nmt.config.schema import Config
from nmt.config.tokenizer_settings import Normalization
from nmt.data.content_hash import content_hash
from nmt.durable_file import (
    DISK_FAILS,
    DISK_IS_FULL,
    PARTIAL,
    make_folder,
    remedy,
    remove_partial_files,
    sync_folder,
    write_durably,
)
from nmt.errors import UserError
from nmt.export.model_card import run_page
from nmt.user_path import user_path

_EXTRA_FILE = re.compile(r"data\.extra\..+\.(source|target|path)")
"""Keys of settings that name files. A resumed run compares their content; see ``names_file``."""

_LARGEST_JSON = 1 << 24  # bytes; most files have a few thousand


class RunFolder:
    """The files of one run.

    A resumed run is compared with ``config.json``. ``config.yaml`` has the same settings for users.
    """

    def __init__(self, path: Path) -> None:
        """Refer to a folder; nothing is written."""
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.last = self.checkpoints / LAST
        self.best = self.checkpoints / BEST
        self.averaged = self.checkpoints / AVERAGED
        self.attention = path / "attention"
        self.metrics = path / "metrics.jsonl"
        self.log = path / "train.log"
        self.summary = path / "summary.json"
        self.translations = path / "test.translations.txt"
        self.page = path / "README.md"
        self.samples = path / "samples.jsonl"
        self.report = path / "report.html"
        self._config = path / "config.json"
        self._best_before = self.checkpoints / ".best.pt.before"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's files: the run folder, whose name TensorBoard shows.

        Runs of earlier versions have a subfolder for these files. They keep it, so that all points
        of a curve are in one folder.
        """
        earlier = self.path / "tensorboard"
        return earlier if os.path.exists(earlier) else self.path

    @classmethod
    def of(cls, config: Config) -> "RunFolder":
        """Return the folder of a configuration: ``run.dir``, or one named by the settings."""
        return cls(user_path(config.run.dir or f"runs/{_name(config)}"))

    def check(self, config: Config) -> None:
        """Check that the folder is unused, or contains a run of this configuration.

        Raises:
            UserError: The folder contains other files or a run with other settings.
        """
        try:
            known = self._config.exists()
            foreign = self.path.exists() and (
                not self.path.is_dir() or any(map(_is_foreign, self.path.iterdir()))
            )
        except OSError as error:
            raise UserError(
                f"cannot read the run folder {self.path}: {error.strerror}; fix that, or choose "
                "another run.dir"
            ) from error
        if known:
            self._refuse_changes(config)
        elif foreign:
            raise UserError(
                f"{self.path} exists and is not a run of nmt; choose another run.dir or empty it"
            )

    def doubts(self, config: Config) -> list[str]:
        """Return warnings about a new run: the user may want to continue an earlier one.

        ``tokenizer.normalization`` had another default in earlier versions, so the same command had
        another run folder.
        """
        earlier = copy.deepcopy(config)
        earlier.tokenizer.normalization = Normalization.NMT_NFKC.value
        other = RunFolder.of(earlier)
        is_default = config.tokenizer.normalization == Normalization.NFC
        if not is_default or self._config.exists() or not other._config.exists():
            return []
        return [
            f"{other.path} contains a run with the same settings except "
            "tokenizer.normalization=nmt_nfkc, the earlier default; to continue that run, add "
            "tokenizer.normalization=nmt_nfkc"
        ]

    def check_writable(self) -> None:
        """Check that the folder, or the existing folder in which it will be made, can be written.

        It makes no folder: runs that start at the same time share their missing parents.

        Raises:
            UserError: The folder cannot be written.
        """
        try:
            existing = next(one for one in (self.path, *self.path.parents) if one.exists())
            with TemporaryFile(dir=existing, suffix=PARTIAL):
                pass
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> UserError:
        return UserError(
            f"cannot write the run folder {self.path}: {error.strerror}; {remedy(error)}, or "
            "choose another run.dir"
        )

    def create(self, config: Config, config_yaml: str) -> None:
        """Create the folder, or store the current settings in the folder of an unfinished run.

        Raises:
            UserError: The folder cannot be written.
        """
        try:
            make_folder(self.path)
            write_json(self._config, to_mapping(config))
            write_durably(self.path / "config.yaml", config_yaml.encode())
            make_folder(self.checkpoints)
        except OSError as error:
            raise self._cannot_write(error) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder, so that only one process trains in it; remove incomplete files.

        Raises:
            UserError: Another process holds the lock.
        """
        from filelock import FileLock, Timeout  # few commands need it

        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"another process is training in {self.path}; wait for it, or choose another "
                "run.dir"
            ) from None
        try:
            for folder in (self.path, self.attention):
                remove_partial_files(folder)
            yield
        finally:
            lock.release()

    def is_locked(self) -> bool:
        """Return whether a process trains in the folder now."""
        from filelock import FileLock, Timeout

        path = self.path / ".lock"
        if not path.exists():
            return False
        try:
            with FileLock(path, timeout=0):
                return False
        except Timeout:
            return True
        except OSError:  # a read-only folder: nothing trains there
            return False

    @contextmanager
    def disk_errors_explained(self) -> Iterator[None]:
        """Turn disk errors during a write to the folder into a `UserError` of one line.

        Raises:
            UserError: The disk is full, broken, read-only or disconnected.
        """
        try:
            yield
        except OSError as error:
            name = error.filename
            in_folder = name is None or Path(str(name)).is_relative_to(self.path)
            if error.errno not in DISK_IS_FULL and not (in_folder and error.errno in DISK_FAILS):
                raise
            saved = ": the last checkpoint is intact" if os.path.exists(self.last) else ""
            raise UserError(
                f"cannot write to {error.filename or self.path}: {error.strerror}; {remedy(error)} "
                f"and run the same command to resume{saved}"
            ) from error

    def read_config(self) -> Config:
        """Return the settings of the run.

        Raises:
            UserError: The file is damaged, or another version of nmt wrote it.
        """
        return from_mapping(Config, _read_json(self._config))

    def read_summary(self) -> dict[str, Any] | None:
        """Return a finished run's summary; None if the run is not finished.

        Raises:
            UserError: The file is damaged.
        """
        if not self.summary.exists():
            return None
        summary = _read_json(self.summary)
        for split in ("valid", *({"test"} & summary.keys())):
            scores = summary.get(split)
            if not isinstance(scores, dict) or not _are_scores(scores):
                raise UserError(
                    f"{self.summary} has no scores of the {split} text; restore the file, or "
                    "remove it to test the model again"
                )
        return summary

    def keep_best(self) -> None:
        """Keep best.pt under a second name before an average replaces it.

        If the process is killed before the run is finished, the next call scores both models again.
        """
        self._best_before.unlink(missing_ok=True)
        try:
            os.link(self.best, self._best_before)
        except OSError:  # no hard links here
            write_durably(self._best_before, self.best.read_bytes())
        sync_folder(self.checkpoints)

    def restore_best(self) -> None:
        """Restore the best.pt of the training, if a killed process had replaced it."""
        if self._best_before.exists():
            os.replace(self._best_before, self.best)
            sync_folder(self.checkpoints)

    def write_translations(self, translations: Iterable[str]) -> None:
        """Write the translations of the test text, one per line."""
        text = "".join(f"{translation}\n" for translation in translations)
        write_durably(self.translations, text.encode(errors="surrogatepass"))

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write the page about the model, and the summary, which marks the run as finished."""
        write_durably(self.page, run_page(self.read_config(), summary, self.path).encode())
        write_json(self.summary, summary)
        self.forget_best()

    def forget_best(self) -> None:
        """Remove the file of `keep_best`; a finished run does not need it."""
        with suppress(OSError):  # the run is finished even if the file cannot be removed
            self._best_before.unlink(missing_ok=True)

    def _refuse_changes(self, config: Config) -> None:
        before = flatten(self._settings())
        now = flatten(to_mapping(config))
        finished = self.summary.exists()
        free = tuple(f"{key}." for key in changeable_settings(config, finished=finished))
        changed = [
            f"{key} was {json.dumps(before.get(key))}, now {json.dumps(now.get(key))}"
            for key in sorted(before.keys() | now.keys())
            if before.get(key) != now.get(key)
            and not f"{key}.".startswith(free)
            and (finished or not _EXTRA_FILE.fullmatch(key))
            and not isinstance(before.get(key, now.get(key)), Mapping)
        ]
        if changed:
            raise UserError(
                f"{self.path} contains a {'finished ' if finished else ''}run with "
                f"different settings: {'; '.join(changed)}; restore them, or choose another run.dir"
            )

    def _settings(self) -> dict[str, Any]:
        """Read the run's settings; settings newer than the run get their neutral values."""
        content = _read_json(self._config)
        try:
            return to_mapping(from_mapping(Config, content))
        except UserError as error:
            raise UserError(
                f"cannot read {self._config}: {error}; choose another run.dir"
            ) from error


def _is_foreign(file: Path) -> bool:
    """Return whether a file is not a partial file, which a killed process of nmt leaves."""
    return not file.name.endswith(PARTIAL)


def _are_scores(scores: Mapping[str, Any]) -> bool:
    numbers = [scores.get(name) for name in ("loss", "perplexity", "bleu", "chrf")]
    texts = [scores.get(name) for name in ("signature", "chrf_signature")]
    return all(isinstance(n, int | float) for n in numbers) and all(
        isinstance(text, str) for text in texts
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise ValueError(f"it has {path.stat().st_size:,} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise UserError(
            f"cannot read {path}: it is nested too deeply; fix it, or choose another run.dir"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot read {path}: {error}; fix it, or choose another run.dir"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} contains no JSON object; fix it, or choose another run.dir")
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON durably: after a crash the file has the old or the complete new content."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_durably(path, f"{text}\n".encode())


def _name(config: Config) -> str:
    mapping = to_naming_mapping(config)
    decoder = mapping["model"]["decoder"]
    attention = decoder.get("attention", {}).get("name")
    parts = dict.fromkeys((config.model.encoder.name, config.model.decoder.name))
    model = "-".join(filter(None, (*parts, attention)))
    digest = content_hash([json.dumps(mapping, sort_keys=True)])[:6]
    return f"{config.data.name}-{model}-s{config.seed}-{digest}"
