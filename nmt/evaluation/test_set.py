"""Test sets: a run's own, text files, and those that sacreBLEU downloads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import sacrebleu.utils as sacrebleu_sets
from sacrebleu.dataset import DATASETS

from nmt.config.data import DataConfig
from nmt.data.corpus import open_features, split_sources
from nmt.data.features import Features
from nmt.data.sources.open_source import read_whole
from nmt.data.text_files import read_lines
from nmt.errors import UserError


@dataclass(frozen=True)
class TestSet:
    """Sentences with reference translations, as their files contain them.

    Attributes:
        name: Name of the test set in reports.
        references: One list per translator, each with one reference per sentence.
        source: The sentences; None if only references are known.
        groups: A label of each sentence, e.g. its corpus or its original language.
        documents: The number of each sentence's document; None: a blank line ends a document.
        features: Those of the sentences, for models that read them.
    """

    __test__ = False  # pytest collects classes of this name

    name: str
    references: tuple[list[str], ...]
    source: list[str] | None = None
    groups: list[str] | None = None
    documents: list[int] | None = None
    features: Features | None = None

    def __len__(self) -> int:
        """Return the number of sentences."""
        return len(self.references[0])

    def with_features(self, path: Path) -> "TestSet":
        """Return the test set with the features of a file.

        Raises:
            UserError: The features are invalid, or their number is not that of the sentences.
        """
        features = Features(path, f"--features {path}")
        features.check_count(len(self), self.name)
        return replace(self, features=features)


def from_files(
    source: Path | None, references: Sequence[Path], groups: Path | None = None
) -> TestSet:
    """Read a test set whose line i in every file belongs to sentence i.

    Raises:
        UserError: A file is unreadable or empty, or the numbers of lines differ.
    """
    read = {path: read_lines(path) for path in (*references, source, groups) if path is not None}
    first = references[0]
    for path, lines in read.items():
        if len(lines) != len(read[first]):
            raise UserError(
                f"{path} has {len(lines):,} lines but {first} has {len(read[first]):,}; line i of "
                "all files must belong together: find the line that is missing or doubled"
            )
    for path in references:
        if not any(line.strip() for line in read[path]):
            raise UserError(f"{path} contains no text; give a file of reference translations")
    return TestSet(
        str(first),
        tuple(read[path] for path in references),
        None if source is None else read[source],
        None if groups is None else read[groups],
    )


def of_run(data: DataConfig, split: str) -> TestSet:
    """Read the test set or the validation set of a run from the sources of its configuration.

    Args:
        data: The section of the run's configuration.
        split: ``test`` or ``valid``.

    Raises:
        UserError: The run has no such split, its text cannot be read, or the number of features is
            not that of the sentences.
    """
    sources = split_sources(data)
    if split not in sources:
        raise UserError(
            f"the run has no data.{split}; give --source and --reference, --split valid or "
            "--test-set"
        )
    source, target, documents = read_whole(sources[split])
    features = open_features(data)[split]
    if features is not None:
        features.check_count(len(source), f"data.{split}")
    return TestSet(
        f"data.{split} of the run", (target,), source, documents=documents, features=features
    )


def from_sacrebleu(name: str, languages: str) -> TestSet:
    """Return a test set of sacreBLEU, which downloads it on first use.

    Args:
        name: E.g. ``wmt19``; sacreBLEU's command lists them with ``--list``.
        languages: E.g. ``en-de``.

    Raises:
        UserError: There is no such set, or it cannot be downloaded.
    """
    if name not in DATASETS:
        raise UserError(
            f"sacreBLEU has no test set {name}; the command sacrebleu --list shows all of them"
        )
    pairs = sacrebleu_sets.get_langpairs_for_testset(name)
    if languages not in pairs:
        raise UserError(
            f"the test set {name} has no {languages}; it has {', '.join(sorted(pairs))}: give "
            f"--test-set {name}:LANGUAGES"
        )
    try:
        files = [Path(path) for path in sacrebleu_sets.get_files(name, languages)]
        fields = dict(zip(DATASETS[name].fieldnames(languages), files, strict=True))
    except (Exception, SystemExit) as error:  # sacreBLEU raises both, and has no own class
        reason = " ".join(str(error).split())
        raise UserError(f"cannot download the test set {name}/{languages}: {reason}") from error
    references = [path for field, path in fields.items() if field.startswith("ref")]
    read = from_files(fields["src"], references, fields.get("origlang"))
    documents = None if "docid" not in fields else _numbers(read_lines(fields["docid"]))
    return TestSet(f"{name}/{languages}", read.references, read.source, read.groups, documents)


def _numbers(names: Sequence[str]) -> list[int]:
    """Return the document number of each sentence, given the name of its document."""
    changes = [i > 0 and name != names[i - 1] for i, name in enumerate(names)]
    return list(accumulate(changes))
