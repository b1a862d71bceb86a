"""The log file of a run: each record once, in the file of its run, and the logger restored."""

import logging
from pathlib import Path

import pytest

from nmt.reporting.run_log import open_run_log

LOGGER = logging.getLogger("nmt")


@pytest.fixture(autouse=True)
def _logger_is_restored():
    before = (list(LOGGER.handlers), LOGGER.level, LOGGER.propagate)
    yield
    assert (list(LOGGER.handlers), LOGGER.level, LOGGER.propagate) == before


def messages(path: Path) -> list[str]:
    return [line.split(": ", 1)[1] for line in path.read_text(encoding="utf-8").splitlines()]


def test_lines_have_time_level_and_logger(tmp_path: Path):
    path = tmp_path / "new" / "train.log"
    with open_run_log(path) as log:
        log.logger.info("Männer")
        logging.getLogger("nmt.data.filtering").warning("dropped 3")
        log.logger.debug("not shown")
    first, second = path.read_text(encoding="utf-8").splitlines()
    assert first[:4].isdigit()
    assert first.endswith("INFO    nmt: Männer")
    assert second.endswith("WARNING nmt.data.filtering: dropped 3")


def test_runs_of_one_process_write_to_their_own_files(tmp_path: Path):
    for run in ("0", "1"):
        with open_run_log(tmp_path / run / "train.log") as log:
            log.logger.info("run %s", run)
    assert messages(tmp_path / "0" / "train.log") == ["run 0"]
    assert messages(tmp_path / "1" / "train.log") == ["run 1"]


def test_a_log_left_open_by_a_failed_run_gets_no_records_of_the_next(tmp_path: Path):
    forgotten = open_run_log(tmp_path / "0.log")
    with open_run_log(tmp_path / "1.log") as log:
        log.logger.info("second run")
        forgotten.close()
        log.logger.info("still open")
    assert messages(tmp_path / "0.log") == []
    assert messages(tmp_path / "1.log") == ["second run", "still open"]


def test_a_resumed_run_appends(tmp_path: Path):
    path = tmp_path / "train.log"
    for text in ("before", "after"):
        log = open_run_log(path)
        log.logger.info(text)
        log.close()
        log.close()
    assert messages(path) == ["before", "after"]


def test_nothing_reaches_the_console_while_the_log_is_open(tmp_path: Path, caplog, capsys):
    with open_run_log(tmp_path / "train.log") as log:
        log.logger.warning("to the file")
    assert caplog.messages == []
    assert capsys.readouterr() == ("", "")
