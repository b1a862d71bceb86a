"""Every command that writes, on a real disk that is full: a tmpfs of as many pages as are needed.

Each case is tried with more and more room, so that the fault meets each part of what is written.
`test_full_disk.py` and `test_every_file_operation.py` simulate other faults, without a mount.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import write_corpus
from faulty_disk import FaultyDisk, in_a_fork
from small_disk import MountError, SmallDisk, mounted

from nmt.checkpoint import load_checkpoint
from nmt.cli.main import main

pytestmark = pytest.mark.slow

FULL, READ_ONLY = "No space left on device", "Read-only file system"
LARGEST_STEP = 40  # pages


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A tmpfs; the test is skipped where none may be mounted."""
    try:
        mount = mounted(tmp_path / "disk")
        small = mount.__enter__()
    except MountError as error:
        pytest.skip(f"no tmpfs can be mounted here: {error}")
    try:
        yield small
    finally:
        mount.__exit__(None, None, None)


@dataclass(frozen=True)
class Ending:
    """How a command ended in a fork of this process.

    Attributes:
        status: The exit status.
        err: Standard error.
    """

    status: int
    err: str

    def refusal(self, reason: str, *names: str) -> str:
        """Check that the command was refused in one line with these parts, and return it."""
        assert "Traceback" not in self.err, self.err
        assert self.status == 2, self.err
        (line,) = (line for line in self.err.splitlines() if line.startswith("nmt: "))
        for part in (reason, *names):
            assert part in line
        if reason == FULL:
            assert "free some space" in line
        return line


def call(tmp_path: Path, arguments: Sequence[object], output: Path | None = None) -> Ending:
    """Call the command in a fork of this process, with a file as standard output."""
    log = tmp_path / "log"
    out = os.open(output or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def run() -> int:
        os.dup2(out, 1)
        sys.argv = ["nmt", *map(str, arguments)]
        main()
        return 0

    try:
        return Ending(in_a_fork(run, log), log.read_text(encoding="utf-8"))
    finally:
        os.close(out)


def rooms() -> Iterator[int]:
    """Yield numbers of free pages: few at first, then in larger steps."""
    room = 0
    while True:
        yield room
        room += min(LARGEST_STEP, max(1, room // 2))


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of each file; locks have none and stay."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if p.suffix != ".lock"}


# ---------------------------------------------------------------------- files

TEXT = ["--source", "{corpus}/valid.en", "--reference", "{corpus}/valid.de"]
FILES = {  # the file, the command, and whether its content is the same each time
    "average": ("a.pt", ["average", "{run}", "--output", "{file}"], True),
    "json": ("a.json", ["attention", "--model", "{run}", *TEXT, "--output", "{file}"], True),
    "page": ("a.html", ["attention", "--model", "{run}", *TEXT, "--output", "{file}"], True),
    "links": ("a.align", ["attention", "--model", "{run}", *TEXT, "--output", "{file}"], True),
    "picture": ("a.png", ["attention", "--model", "{run}", "one", "--output", "{file}"], True),
    "PDF": ("a.pdf", ["attention", "--model", "{run}", "one", "--output", "{file}"], False),
    "SVG": ("a.svg", ["attention", "--model", "{run}", "one", "--output", "{file}"], False),
    "heatmap": ("a.png", ["translate", "--model", "{run}", "--attention", "{file}", "one"], True),
    "data check": (
        "a.html",
        ["data", "check", "{corpus}/train.en", "{corpus}/train.de", "--html", "{file}"],
        True,
    ),
    "bench": (
        "a.json",
        ["bench", "decode", "--model", "{run}", "--rounds", "1", "--json", "{file}"],
        False,
    ),
    "dropped": ("a.tsv", ["prepare", "{tiny}", "data.dropped={file}"], True),
    "dropped.gz": ("a.tsv.gz", ["prepare", "{tiny}", "data.dropped={file}"], True),
}


def filled(command: Sequence[str], tiny: Sequence[str], **places: Path) -> list[str]:
    """Return the arguments of a command with its places; ``{tiny}`` becomes several."""
    given: list[str] = []
    for argument in command:
        given += tiny if argument == "{tiny}" else [argument.format(**places)]
    return given


@pytest.mark.parametrize("what", list(FILES))
def test_a_file_of_a_command(
    disk: SmallDisk,
    run: Path,
    corpus: Path,
    tiny: Callable[[Path], list[str]],
    tmp_path: Path,
    what: str,
) -> None:
    name, command, same = FILES[what]
    (corpus / "train.en").write_text("one two\n" * 3000 + "\n" * 20)  # most pairs are repeated
    (corpus / "train.de").write_text("eins zwei\n" * 3000 + "\n" * 20)
    settings = [*tiny(corpus), "tokenizer.vocab_size=20", "data.filters.duplicates=exact"]
    file = disk.path / name
    arguments = filled(command, settings, run=run, corpus=corpus, file=file)
    earlier = b"" if what.startswith("dropped") else b"the earlier file"
    file.write_bytes(earlier)
    success = 1 if what == "data check" else 0  # it has found repeated pairs
    for room in rooms():
        disk.leave(room)
        ending = call(tmp_path, arguments)
        if ending.status == success:
            break
        line = ending.refusal(FULL, str(disk.path))
        assert file.read_bytes() == earlier, line
        assert os.listdir(disk.path) == [name], line
    assert room > 0
    assert os.listdir(disk.path) == [name]
    after = file.read_bytes()
    disk.make_room()
    assert call(tmp_path, arguments).status == success
    assert (file.read_bytes() == after) or not same
    disk.forbid_writing()
    before = file.read_bytes()
    reason = "choose another folder" if what == "average" else READ_ONLY
    call(tmp_path, arguments).refusal(reason, str(disk.path))
    assert file.read_bytes() == before


def test_translations_up_to_the_fault_are_in_the_file(
    disk: SmallDisk, run: Path, tmp_path: Path
) -> None:
    source, output, whole = tmp_path / "source", disk.path / "output", tmp_path / "whole"
    source.write_text("one two three four\n" * 200)
    arguments = ["translate", "--model", run, "--batch-size", "1", "--input", source, "--output"]
    assert call(tmp_path, [*arguments, whole]).status == 0
    disk.leave(1)
    line = call(tmp_path, [*arguments, output]).refusal(FULL, f"--output {output}")
    complete = int(line.partition("the first ")[2].partition(" ")[0].replace(",", ""))
    lines = whole.read_bytes().splitlines(keepends=True)
    assert 0 < complete < 200
    assert output.read_bytes().startswith(b"".join(lines[:complete]))
    disk.make_room()
    assert call(tmp_path, [*arguments, output]).status == 0
    assert output.read_bytes() == whole.read_bytes()


# ------------------------------------------------------------ standard output

PAIRS = ["--source", "{corpus}/valid.en", "--target", "{corpus}/valid.de"]
PRINTED = [
    *(["--help"], ["-h"], ["--version"], ["train", "--help"], ["prepare", "--help"]),
    *(["translate", "--help"], ["data", "check", "--help"], ["bench", "train", "-h"]),
    *(["completion", "bash"], ["completion", "zsh"], ["completion", "fish"]),
    *(["train", "--version"], ["train", "{tiny}", "--cfg", "job"], ["train", "--info", "config"]),
    ["train", "{tiny}", "training.dry_run=true"],
    ["train", "--hydra-help"],
    ["prepare", "{tiny}"],
    ["translate", "--model", "{run}", "one two"],
    ["translate", "--model", "{run}", "--input", "{corpus}/valid.en"],
    *(["evaluate", "--model", "{run}", *TEXT], ["evaluate", "--model", "{run}", *TEXT, "--json"]),
    *(["score", "--model", "{run}", *PAIRS], ["score", "--model", "{run}", *PAIRS, "--json"]),
    ["score", "--model", "{run}", *PAIRS, "--target", "{corpus}/test.de", "--contrastive"],
    *(["align", "--model", "{run}", *PAIRS], ["attention", "--model", "{run}", "one two"]),
    ["align", "--model", "{run}", *PAIRS, "--gold", "{gold}"],
    ["align", "--model", "{run}", *PAIRS, "--gold", "{gold}", "--compare"],
    ["align", "--model", "{run}", *PAIRS, "--gold", "{gold}", "--json"],
    ["attention", "--model", "{run}", "one", "--output", "{folder}/a.json"],
    ["data", "check", "{corpus}/train.en", "{corpus}/train.de"],
    ["data", "check", "{corpus}/train.en", "{corpus}/train.de", "--json"],
    ["bench", "decode", "--model", "{run}", "--rounds", "1"],
    ["average", "{run}", "--output", "{folder}/average.pt"],
]


@pytest.mark.parametrize("command", PRINTED, ids=" ".join)
def test_standard_output(
    disk: SmallDisk,
    run: Path,
    corpus: Path,
    tiny: Callable[[Path], list[str]],
    tmp_path: Path,
    command: list[str],
) -> None:
    gold, output = tmp_path / "gold", disk.path / "output"
    gold.write_text("0-0 1-1\n" * 5)
    places = {"run": run, "corpus": corpus, "gold": gold, "folder": tmp_path}
    arguments = filled(command, tiny(corpus), **places)
    output.touch()
    disk.leave(0)
    call(tmp_path, arguments, output).refusal(FULL, "cannot write standard output")
    assert output.read_bytes() == b""
    disk.make_room()
    ending = call(tmp_path, arguments, output)
    assert ending.status == 0, ending.err
    assert output.stat().st_size > 0


# ----------------------------------------------------------------------- runs

WHOLE = [
    *("training.threads=1", "training.max_updates=4", "training.validate_every=2"),
    *("training.save_every=1", "training.batch_tokens=64", "logging.log_every=1"),
    *("decoding.beam_size=1", "training.keep_best=2", "training.average_last=2"),
    *("training.best_metric=bleu", "logging.samples=1", "tokenizer.vocab_size=42"),
    *("tokenizer.normalization=identity", "training.max_skipped=0"),
]


def test_preparation(
    disk: SmallDisk, corpus: Path, tiny: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    cache = disk.path / "cache"
    arguments = ["prepare", *tiny(corpus), f"data.cache_dir={cache}"]
    assert call(tmp_path, arguments).status == 0
    whole = contents(cache)
    shutil.rmtree(cache)
    for room in rooms():
        disk.leave(room)
        ending = call(tmp_path, arguments)
        if ending.status == 0:
            break
        ending.refusal(FULL, f"cannot write the cache {cache}")
        assert contents(cache) == {}
    assert room > 2
    assert contents(cache) == whole
    disk.forbid_writing()
    assert call(tmp_path, arguments).status == 0  # it is only read
    disk.make_room()
    shutil.rmtree(cache)
    disk.forbid_writing()
    call(tmp_path, arguments).refusal(READ_ONLY, f"cannot write the cache {cache}")


class FillingDisk(FaultyDisk):
    """A disk that becomes full at the first operation on a file."""

    def __init__(self, small: SmallDisk, name: str, after: int) -> None:
        """Fill it at the first write to a file of this name after a number of them."""
        super().__init__(small.path)
        self._small, self._name, self._left = small, name, after + 1

    def _count(self, what: str, path: str, run: Callable[[], Any], torn: Any = None) -> Any:
        if what in ("open", "write") and self._name in path:
            self._left -= 1
            if self._left == 0:
                self._small.leave(0)
        return super()._count(what, path, run, torn)


WRITERS = {  # the file, and how many of its operations succeed
    "settings": (".config.json", 0),
    "settings for readers": (".config.yaml", 0),
    "log": ("train.log", 3),
    "curves": ("metrics.jsonl", 2),
    "TensorBoard": ("tfevents", 4),
    "TensorBoard's first line": ("tfevents", 0),
    "picture": ("attention/", 0),
    "first checkpoint": (".last.pt", 0),
    "a later checkpoint": (".last.pt", 4),
    "best": (".best.pt", 0),
    "average": (".averaged.pt", 0),
    "best of the average": (".best.pt", 4),
    "translations": (".test.translations.txt", 0),
    "summary": (".summary.json", 0),
}


def _timeless(run: Path) -> dict[str, bytes]:
    """Return the files of a run whose content has no times."""
    names = ("config.json", "config.yaml", "test.translations.txt", "attention/sample-1.png")
    return {name: (run / name).read_bytes() for name in names}


def _weights(run: Path) -> dict[str, list[float]]:
    return {
        f"{file.name} {name}": weight.flatten().tolist()
        for file in sorted((run / "checkpoints").glob("*.pt"))
        for name, weight in load_checkpoint(file).weights.items()
    }


@pytest.mark.parametrize(
    ("writer", "background"),
    [
        *((writer, False) for writer in WRITERS),
        *((writer, True) for writer in ("first checkpoint", "a later checkpoint", "best")),
    ],
)
def test_training(
    disk: SmallDisk,
    corpus: Path,
    tiny: Callable[[Path], list[str]],
    whole_run: Path,
    tmp_path: Path,
    writer: str,
    background: bool,
) -> None:
    name, after = WRITERS[writer]
    run = disk.path / "run"
    arguments = ["train", *tiny(corpus), *WHOLE, f"run.dir={run}"]
    arguments.append(f"training.save_in_background={background}".lower())
    with FillingDisk(disk, name, after):
        ending = call(tmp_path, arguments)
    line = ending.refusal(FULL, str(run))
    saved = {path: path.read_bytes() for path in run.rglob("*.pt")}
    for path in saved:
        load_checkpoint(path)  # each is intact
    assert ("the last checkpoint is intact" in line) <= (run / "checkpoints/last.pt").exists()
    call(tmp_path, arguments).refusal(FULL, str(run))  # still full: nothing is lost by a try
    for path in saved:
        assert path.name.startswith(("best-", "update-", ".")) or load_checkpoint(path)
    disk.make_room()
    disk.forbid_writing()
    call(tmp_path, arguments).refusal(READ_ONLY, str(run))
    disk.make_room()
    ending = call(tmp_path, arguments)
    assert ending.status == 0, ending.err
    if "last.pt" in {path.name for path in saved}:
        assert "resuming after update" in ending.err
    assert _timeless(run).keys() == _timeless(whole_run).keys()
    assert _weights(run) == _weights(whole_run)


@pytest.fixture(scope="session")
def whole_run(tiny: Callable[[Path], list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without faults, on the same text in another folder."""
    folder = tmp_path_factory.mktemp("whole")
    corpus = write_corpus(folder / "corpus")
    ending = call(folder, ["train", *tiny(corpus), *WHOLE, f"run.dir={folder / 'run'}"])
    assert ending.status == 0, ending.err
    return folder / "run"
