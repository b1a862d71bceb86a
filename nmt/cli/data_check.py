"""`nmt data check`: finds problems in a corpus before training."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt import loading_phase
from nmt.cli.options.common_options import JsonOutput
from nmt.cli.text_streams import utf8_stream
from nmt.errors import UserError
from nmt.printable import printable_json
from nmt.reporting.command_progress import Advance, CommandProgress
from nmt.written_file import written_file

if TYPE_CHECKING:
    from nmt.data_check.check_report import DataReport

data = typer.Typer(help="Inspect training text.", rich_markup_mode=None)

_SETTING = re.compile(r"(?:data|tokenizer|training)[./][\w./]+=|tokenizer=")

Arguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SOURCE TARGET | FILE]",
        help="Two files, where line i of both is a pair; or one file with both sides: .tsv, "
        ".jsonl, .tmx, ...",
        show_default=False,
    ),
]
Valid = Annotated[
    tuple[str, str] | None,
    typer.Option(metavar="SOURCE TARGET", help="Validation files.", show_default=False),
]
Test = Annotated[
    tuple[str, str] | None,
    typer.Option(metavar="SOURCE TARGET", help="Test files.", show_default=False),
]
SourceLanguage = Annotated[
    str | None, typer.Option(help="E.g. en. [from the file's name: train.en.gz]")
]
TargetLanguage = Annotated[str | None, typer.Option(help="E.g. de. [from the file's name]")]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="CONFIG",
        help="Instead of files: a data choice of nmt train, e.g. multi30k. Its settings follow, in "
        "the same quotes or as arguments: --data files data.source_language=en ...",
    ),
]
VocabSize = Annotated[
    int | None,
    typer.Option(
        help="Vocabulary size of the tokenizer. [for files: 3,000, or less if the text is small]"
    ),
]
Html = Annotated[Path | None, typer.Option(help="Write the report as a page with histograms.")]


@dataclass(frozen=True)
class DataCheckOptions:
    """The options of `nmt data check`.

    Attributes:
        arguments: Two files or one file with both sides, unless ``data`` is given; then settings.
        valid: The two files of the validation set.
        test: The two files of the test set.
        languages: The codes of source and target language, if given.
        data: A choice of the ``data`` group, or overrides as `nmt train` takes them.
        vocab_size: Replaces the size in the configuration.
        html: The file to which the report is written as a page.
        as_json: Whether to print the report as JSON.
    """

    arguments: Sequence[str]
    valid: tuple[str, str] | None = None
    test: tuple[str, str] | None = None
    languages: tuple[str | None, str | None] = (None, None)
    data: str | None = None
    vocab_size: int | None = None
    html: Path | None = None
    as_json: bool = False


def data_check(
    arguments: Arguments = None,
    valid: Valid = None,
    test: Test = None,
    source_language: SourceLanguage = None,
    target_language: TargetLanguage = None,
    data: Data = None,
    vocab_size: VocabSize = None,
    as_json: JsonOutput = False,
    html: Html = None,
) -> None:
    """Find problems in a corpus, with their places and remedies, and estimate the training cost.

    The exit status is 0 if no problems are found, 1 if there are warnings, and 2 if nmt train
    would refuse the corpus.
    """
    languages = source_language, target_language
    raise typer.Exit(
        run_check(
            DataCheckOptions(
                arguments or [], valid, test, languages, data, vocab_size, html, as_json
            )
        )
    )


def run_check(options: DataCheckOptions) -> int:
    """Check a corpus, print the report and return the exit status.

    Raises:
        UserError: The command line is faulty. Problems of the data are in the report.
    """
    with CommandProgress() as progress:
        progress.show("reading the configuration")
        report = _report(options, progress)
    from nmt.data_check.report_table import report_table

    if options.html is not None:
        _save_page(report.to_mapping(), options.html)
    out = utf8_stream(sys.stdout)
    if options.as_json:
        print(printable_json(report.to_mapping()), file=out)
    else:
        out.write(report_table(report, shutil.get_terminal_size((100, 24)).columns))
    return report.exit_code


def _save_page(report: dict[str, Any], path: Path) -> None:
    from nmt.reporting.pages.data_page import save_data_page

    with written_file(f"--html {path}", path):
        save_data_page(report, path)
    print(f"wrote {path}", file=sys.stderr)


def _report(options: DataCheckOptions, progress: CommandProgress) -> "DataReport":
    from nmt.data_check.configured_check import check_configured_corpus
    from nmt.sweeps.overrides import compose_config

    of_files = options.data is None
    if of_files:
        config = compose_config(_file_overrides(options), _file_settings(options))
    else:
        config = compose_config(_data_overrides(options), {})
    loading_phase.end()
    return check_configured_corpus(
        config,
        _ReadPairs(options, progress),
        progress.show,
        name=" and ".join(_split_arguments(options.arguments)[0]) if of_files else None,
        # A configuration needs a validation set; without one, it names the training files.
        has_valid=not of_files or options.valid is not None,
        any_vocabulary=of_files and options.vocab_size is None,
    )


class _ReadPairs:
    """Shows the number of pairs that have been read; for two files, also the remaining time."""

    def __init__(self, options: DataCheckOptions, progress: CommandProgress) -> None:
        files = _split_arguments(options.arguments)[0] if options.data is None else []
        self._files = {"train": files, "valid": options.valid or (), "test": options.test or ()}
        self._progress = progress
        self._advance: dict[str, Advance] = {}

    def __call__(self, split: str, pairs: int) -> None:
        """Show that this many pairs of a split have been read; 0 at its beginning."""
        if split not in self._advance:
            self._advance[split] = self._progress.stage(
                f"reading {split}", self._total(split), "pairs"
            )
        self._advance[split](pairs)

    def _total(self, split: str) -> int | None:
        from nmt.data.text_files import count_lines

        files = self._files[split]
        return count_lines(Path(files[0])) if len(files) == 2 and self._progress.shown else None


def _data_overrides(options: DataCheckOptions) -> list[str]:
    """Return the overrides that --data and the arguments give."""
    assert options.data is not None
    if options.valid or options.test or any(options.languages):
        raise UserError(
            "--data already names the files; set data.valid.source=FILE and so on instead of "
            "--valid, --test and the languages"
        )
    try:
        overrides = [*shlex.split(options.data), *options.arguments]
    except ValueError as error:
        raise UserError(f"cannot parse --data {options.data}: {error}") from None
    if not overrides:
        raise UserError('--data is blank; give a choice, e.g. --data multi30k, or "data=files ..."')
    if "=" not in overrides[0]:
        overrides[0] = f"data={overrides[0]}"
    return [*overrides, *_vocabulary(options)]


def _vocabulary(options: DataCheckOptions) -> list[str]:
    return [] if options.vocab_size is None else [f"tokenizer.vocab_size={options.vocab_size}"]


def _file_overrides(options: DataCheckOptions) -> list[str]:
    """Return the overrides for a corpus that is given as files."""
    files, settings = _split_arguments(options.arguments)
    if not files:
        raise UserError(
            "give two files, SOURCE TARGET, one file with both sides, or --data; "
            "see nmt data check --help"
        )
    if len(files) > 2:
        raise UserError(
            f"{len(files)} files are given, but a corpus has two, SOURCE TARGET; "
            "validation files are given by --valid SOURCE TARGET"
        )
    no_test = [] if options.test else ["data.test=null"]
    return ["data=files", *no_test, *_vocabulary(options), *settings]


def _split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return files and settings; a setting begins with KEY=, and no file has this name."""
    settings = [a for a in arguments if _SETTING.match(a) and not os.path.exists(a)]
    return [a for a in arguments if a not in settings], settings


def _file_settings(options: DataCheckOptions) -> dict[str, Any]:
    """Return the settings that hold file names, which Hydra's grammar might not accept."""
    from nmt.data_check.file_languages import languages_of_files

    files, _ = _split_arguments(options.arguments)
    if len(files) == 2 and files[0] == files[1]:
        raise UserError(f"SOURCE and TARGET are the same file, {files[0]}")
    source_language, target_language = languages_of_files(files, options.languages)
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


@data.callback()
def _data() -> None:
    pass


data.command("check", short_help="Find problems in a corpus, with their remedies.")(data_check)
