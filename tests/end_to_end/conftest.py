"""The command of tests/cli/conftest.py and its tiny corpus, here too."""

import importlib.util
from pathlib import Path

_FILE = Path(__file__).parents[1] / "cli" / "conftest.py"
_spec = importlib.util.spec_from_file_location("command_line_fixtures", _FILE)
assert _spec is not None
assert _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)

nmt, corpus, run, tiny = _fixtures.nmt, _fixtures.corpus, _fixtures.run, _fixtures.tiny
