from pathlib import Path

import pytest
from command_line import nmt, refused, tiny, write_corpus

__all__ = ["nmt", "refused", "tiny"]  # fixtures


@pytest.fixture(scope="session")
def corpus_of_all(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `train`, `valid` and `test`, English and German."""
    return write_corpus(tmp_path_factory.mktemp("launchers") / "corpus")
