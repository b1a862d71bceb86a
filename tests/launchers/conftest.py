"""The command of tests/cli/conftest.py and its tiny corpus, here too."""

import importlib.util
from pathlib import Path

import pytest

_FILE = Path(__file__).parents[1] / "cli" / "conftest.py"
_spec = importlib.util.spec_from_file_location("command_line_fixtures", _FILE)
assert _spec is not None
assert _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)

nmt, refused = _fixtures.nmt, _fixtures.refused
tiny, write_corpus = _fixtures.tiny, _fixtures._write_corpus


@pytest.fixture(scope="session")
def corpus_of_all(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `train`, `valid` and `test`, English and German."""
    folder: Path = write_corpus(tmp_path_factory.mktemp("launchers") / "corpus")
    return folder
