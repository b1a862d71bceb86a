"""`nmt data check`: what is wrong with a corpus, before it costs a training."""

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nmt.cli.streams import utf8
from nmt.config.schema import Config
from nmt.data.sources.compression import COMPRESSED
from nmt.errors import UserError

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_SETTING = re.compile(r"(?:data|tokenizer|training)[./][\w./]+=|tokenizer=")
_FORMATS = ("txt", "tsv", "csv", "jsonl", "json", "parquet", "tmx", "xlf", "po", "raw", "tok")


@dataclass(frozen=True)
class DataCheckOptions:
    """What `nmt data check` was asked.

    Attributes:
        arguments: Two files or one file of both sides, unless ``data`` names them; then settings.
        valid: The two files of validation.
        test: The two files of the test set.
        languages: Codes of source and target, where they are given.
        data: A choice of the ``data`` group, or overrides as `nmt train` takes them.
        vocab_size: In place of the configuration's.
        html: Where to write the report as a page.
        as_json: Whether to print it as JSON.
    """

    arguments: Sequence[str]
    valid: tuple[str, str] | None = None
    test: tuple[str, str] | None = None
    languages: tuple[str | None, str | None] = (None, None)
    data: str | None = None
    vocab_size: int | None = None
    html: Path | None = None
    as_json: bool = False


def run(options: DataCheckOptions) -> int:
    """Check, print the report, and return the exit status: 0 clean, 1 warnings, 2 refused.

    Raises:
        UserError: The command line is at fault; what is wrong with the data is in the report.
    """
    from nmt.sweeps.overrides import compose_config

    if options.data is None:
        config = compose_config(_file_overrides(options), _file_settings(options))
    else:
        if options.valid or options.test or any(options.languages):
            raise UserError(
                "--data names the files itself; give data.valid.source=FILE and the like to it "
                "in place of --valid, --test and the languages"
            )
        config = compose_config(_data_overrides(options), {})
    return _report(config, options)


def _report(config: Config, options: DataCheckOptions) -> int:
    from nmt.data_check.check_corpus import check_corpus
    from nmt.data_check.check_settings import CheckSettings
    from nmt.data_check.open_splits import open_splits
    from nmt.data_check.report_table import report_table

    data = config.data
    settings = CheckSettings(
        name=data.name,
        languages=(data.source_language, data.target_language),
        stop=data.on_doubt == "stop",
        filters=data.filters,
        max_length=data.max_length,
        tokenizer=config.tokenizer,
        batch_tokens=config.training.batch_tokens or CheckSettings.batch_tokens,
        accumulation=config.training.accumulation,
        any_vocabulary=options.data is None and options.vocab_size is None,
    )
    splits = open_splits(data)
    if options.data is None:
        settings = replace(settings, name=" and ".join(_apart(options.arguments)[0]))
        if options.valid is None:
            del splits["valid"]  # no configuration is without it, so training text stood in
    say = _Counter()
    report = check_corpus(splits, settings, say)
    say.clear()
    if options.html is not None:
        _save_page(report.to_mapping(), options.html)
    out = utf8(sys.stdout)
    if options.as_json:
        print(json.dumps(report.to_mapping(), ensure_ascii=False), file=out)
    else:
        out.write(report_table(report, shutil.get_terminal_size((100, 24)).columns))
    return report.exit_code


def _save_page(report: dict[str, Any], path: Path) -> None:
    from nmt.reporting.pages.data_page import save_data_page

    try:
        save_data_page(report, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    print(f"wrote {path}", file=sys.stderr)


class _Counter:
    """Says on stderr how many pairs have been read, where someone is watching."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()

    def __call__(self, split: str, pairs: int) -> None:
        if self._watched:
            print(f"\r{split}: {pairs:,} pairs read", end="\x1b[K", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._watched:
            print("\r", end="\x1b[K", file=sys.stderr, flush=True)


def _data_overrides(options: DataCheckOptions) -> list[str]:
    assert options.data is not None
    try:
        overrides = [*shlex.split(options.data), *options.arguments]
    except ValueError as error:
        raise UserError(f"cannot read --data {options.data}: {error}") from None
    if not overrides:
        raise UserError(
            '--data is blank; give a choice, as in --data multi30k, or "data=files ..."'
        )
    if "=" not in overrides[0]:
        overrides[0] = f"data={overrides[0]}"
    return [*overrides, *_vocabulary(options)]


def _vocabulary(options: DataCheckOptions) -> list[str]:
    return [] if options.vocab_size is None else [f"tokenizer.vocab_size={options.vocab_size}"]


def _file_overrides(options: DataCheckOptions) -> list[str]:
    files, settings = _apart(options.arguments)
    if not files:
        raise UserError(
            "give two files, SOURCE TARGET, one file of both sides, or --data; "
            "see nmt data check --help"
        )
    if len(files) > 2:
        raise UserError(
            f"{len(files)} files are given, but a corpus has two, SOURCE TARGET; "
            "validation is --valid SOURCE TARGET"
        )
    no_test = [] if options.test else ["data.test=null"]
    return ["data=files", *no_test, *_vocabulary(options), *settings]


def _apart(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return files and settings: a setting has the key of one before =, and is no file."""
    settings = [a for a in arguments if _SETTING.match(a) and not os.path.exists(a)]
    return [a for a in arguments if a not in settings], settings


def _file_settings(options: DataCheckOptions) -> dict[str, Any]:
    """Return settings whose values are file names, which no grammar shall read."""
    files, _ = _apart(options.arguments)
    if len(files) == 2 and files[0] == files[1]:
        raise UserError(f"SOURCE and TARGET are the same file, {files[0]}")
    source_language, target_language = _languages(files, options.languages)
    settings: dict[str, Any] = {
        "data.source_language": source_language,
        "data.target_language": target_language,
    }
    splits = {"train": files, "valid": options.valid or files, "test": options.test or ()}
    for split, named in splits.items():
        if len(named) == 1:
            settings[f"data.{split}.path"] = named[0]
        elif named:
            settings[f"data.{split}.source"], settings[f"data.{split}.target"] = named
    return settings


def _languages(files: Sequence[str], given: tuple[str | None, str | None]) -> tuple[str, str]:
    guessed = _guess_pair(files[0]) if len(files) == 1 else tuple(map(_guess, files))
    source, target = (one or other for one, other in zip(given, guessed, strict=True))
    if source is not None and target is not None:
        return source, target
    if len(files) == 1 and _guess(files[0]):
        raise UserError(
            f"{files[0]} is one side, by its name; give both files, SOURCE TARGET, or one file "
            "that holds both sides, as train.tsv"
        )
    sides = (("source", source, files[0], "de"), ("target", target, files[-1], "en"))
    untold = [side for side in sides if side[1] is None]
    example = "train.de-en.tsv" if len(files) == 1 else f"train.{untold[0][3]}"
    raise UserError(
        f"the name {untold[0][2]} does not tell the language of the "
        f"{' and the '.join(side[0] for side in untold)} side, as {example} does; "
        f"give it, as in {' '.join(f'--{side[0]}-language {side[3]}' for side in untold)}"
    )


def _guess(file: str) -> str | None:
    """Return the language that a file's name ends in: train.en.gz is en."""
    last = _stem(file).rpartition(".")[2]
    return last if _LANGUAGE.fullmatch(last) and last.lower() not in _FORMATS else None


def _guess_pair(file: str) -> tuple[str | None, str | None]:
    """Return the two languages in the name of a file of both: train.en-de.tsv."""
    parts = [part.split("-") for part in _stem(file).split(".")[1:]]
    pairs = [part for part in parts if len(part) == 2 and all(map(_LANGUAGE.fullmatch, part))]
    return (pairs[-1][0], pairs[-1][1]) if pairs else (None, None)


def _stem(file: str) -> str:
    name = Path(file).name
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    return name
