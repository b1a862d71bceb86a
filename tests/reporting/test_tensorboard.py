"""TensorBoard: event files are read back with TensorBoard's own reader."""

import sys
import time
import warnings
from contextlib import closing
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from faulty_disk import Failure, FaultyDisk
from PIL import Image
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugin_util import markdown_to_safe_html
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, list_session_groups
from tensorboard.plugins.hparams.backend_context import Context

from nmt.reporting import event_file
from nmt.reporting.event_file import EventFile
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.rendering import heatmap_image
from nmt.reporting.sample_table import sample_table
from nmt.reporting.tensorboard import TensorBoardLog

HEATMAP = Heatmap(np.eye(2), ["▁weiß", "</s>"], ["▁white", "</s>"])


def read(directory: Path) -> EventAccumulator:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return EventAccumulator(str(directory)).Reload()


def test_scalars_texts_and_images_are_read_back_with_their_steps(tmp_path: Path):
    log = TensorBoardLog(tmp_path / "new" / "tensorboard")
    log.scalars(1, {"train/loss": 2.5, "train/lr": np.float64(0.5)})
    log.scalars(2, {"train/loss": 1.5})
    log.text(2, "samples", "Männer")
    log.heatmap(2, "attention/0", HEATMAP)
    log.close()
    log.close()

    events = read(tmp_path / "new" / "tensorboard")
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(1, 2.5), (2, 1.5)]
    assert [(e.step, e.value) for e in events.Scalars("train/lr")] == [(1, 0.5)]
    (picture,) = events.Images("attention/0")
    assert picture.step == 2
    pixels = np.asarray(Image.open(BytesIO(picture.encoded_image_string)))
    np.testing.assert_array_equal(pixels, heatmap_image(HEATMAP))
    (text,) = events.Tensors("samples")
    assert text.tensor_proto.string_val[0].decode() == "Männer"


def test_a_resumed_run_hides_events_after_its_checkpoint(tmp_path: Path):
    first = TensorBoardLog(tmp_path)
    for step in (10, 20, 30, 40):
        first.scalars(step, {"loss": step})
        first.heatmap(step, "attention", HEATMAP)
    first.close()
    time.sleep(
        1.01
    )  # files are read in the order of their names, which contain the time in seconds
    resumed = TensorBoardLog(tmp_path, resume_step=20)
    for step in (30, 50):
        resumed.scalars(step, {"loss": step + 0.5})
    resumed.close()

    events = read(tmp_path)
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [
        (10, 10.0),
        (20, 20.0),
        (30, 30.5),
        (50, 50.5),
    ]
    assert [e.step for e in events.Images("attention")] == [10, 20]


@pytest.mark.skipif(sys.platform != "linux", reason="names of descriptors: /proc")
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # TensorBoard's, on this disk
def test_a_full_disk_is_an_error_of_the_call(tmp_path: Path):
    def record(folder: Path) -> None:
        with closing(TensorBoardLog(folder, 3, {"seed": 1})) as log:
            log.scalars(4, {"loss": 1.0})
            log.heatmap(4, "attention", HEATMAP)
            log.flush()
            log.finished(5, {"valid/bleu": 1.0})

    with FaultyDisk(tmp_path) as disk:
        record(tmp_path / "whole")
    assert len(disk.done) > 5
    for number in range(1, len(disk.done) + 1):
        with (
            FaultyDisk(tmp_path, Failure(number)),
            pytest.raises(OSError, match="No space left on device"),
        ):
            record(tmp_path / str(number))


def test_the_hparams_page_finds_settings_and_scores_of_every_run(tmp_path: Path):
    runs = {
        "rnn": {"model.name": "rnn", "rate": 0.1, "tied": True, "none": None, "model": {"a": 1}},
        "long-name": {"model.name": "transformer", "rate": 0.1, "tied": False, "heads": 4},
    }
    for bleu, (name, settings) in enumerate(runs.items(), start=20):
        log = TensorBoardLog(tmp_path / name, settings=settings)
        log.scalars(1, {"train/loss": 3.0, "valid/bleu": 1.0})
        log.best(1, {"valid/bleu": 1.0})
        log.finished(2, {"valid/bleu": 2.0, "test/bleu": bleu})
        log.close()
    experiment, sessions = read_hparams(tmp_path)

    infos = {info.name: info for info in experiment.hparam_infos}
    assert infos.keys() == {"model.name", "rate", "tied", "heads"}
    assert {name for name, info in infos.items() if info.differs} == {"model.name", "tied"}
    assert [info.name for info in experiment.hparam_infos][:2] == ["model.name", "tied"]
    tied = infos["tied"].domain_discrete.values
    assert {value.string_value for value in tied} == {"true", "false"}
    metrics = [info.name.tag for info in experiment.metric_infos]
    assert metrics[:2] == ["best/test_bleu", "best/valid_bleu"]  # before all curves
    status = {group.sessions[0].name: group.sessions[0].status for group in sessions}
    assert status == dict.fromkeys(runs, api_pb2.STATUS_SUCCESS)
    last = {
        group.sessions[0].name: {v.name.tag: v.value for v in group.metric_values}
        for group in sessions
    }
    assert last["rnn"]["best/test_bleu"] == 20
    assert last["long-name"]["best/test_bleu"] == 21
    assert last["rnn"]["best/valid_bleu"] == 2


@pytest.mark.parametrize("descending", [False, True])
def test_the_hparams_page_sorts_runs_by_a_score_and_by_a_setting(tmp_path: Path, descending: bool):
    for name, rate, bleu in (("a", 0.2, 10.0), ("b", 0.3, 30.0), ("c", 0.1, 20.0)):
        log = TensorBoardLog(tmp_path / name, settings={"rate": rate, "seed": 1})
        log.finished(1, {"test/bleu": bleu})
        log.close()
    order = api_pb2.ORDER_DESC if descending else api_pb2.ORDER_ASC
    by_score = api_pb2.ColParams(metric=api_pb2.MetricName(tag="best/test_bleu"), order=order)
    by_rate = api_pb2.ColParams(hparam="rate", order=order)
    for column, expected in ((by_score, "acb"), (by_rate, "cab")):
        _, groups = read_hparams(tmp_path, [column])
        found = "".join(group.sessions[0].name for group in groups)
        assert found == (expected[::-1] if descending else expected)


def read_hparams(folder: Path, columns=()):
    """Return the experiment and the session groups that TensorBoard's own page would show."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    context = TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(folder)))
    backend, request = Context(context), RequestContext()
    metadata = backend.hparams_metadata(request, "")
    found = backend.hparams_from_data_provider(request, "", limit=None)
    experiment = backend.experiment_from_metadata(request, "", True, metadata, found)
    wanted = api_pb2.ListSessionGroupsRequest(
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_UNKNOWN],
        col_params=list(columns)
        or [
            api_pb2.ColParams(metric=info.name, include_in_result=True)
            for info in experiment.metric_infos
        ],
        slice_size=9,
        include_metrics=True,
    )
    handler = list_session_groups.Handler(request, backend, "", wanted)
    return experiment, handler.run().session_groups


def test_an_unfinished_run_is_not_shown_as_finished(tmp_path: Path):
    log = TensorBoardLog(tmp_path / "run", settings={"rate": 0.1})
    log.best(1, {"valid/bleu": 1.0})
    log.close()
    _, (group,) = read_hparams(tmp_path)
    assert group.sessions[0].status == api_pb2.STATUS_UNKNOWN


@pytest.mark.parametrize(
    "text",
    [
        "a | b",
        "*no* _emphasis_ `code` ~~x~~",
        "<script>alert(1)</script> &amp; &#124;",
        "[link](http://example.org) ![](x) <http://example.org>",
        "# heading",
        "1. one",
        "\\| \\\\",
        "---",
        "$x_1^2$",
        "نحن نطير",
    ],
)
def test_a_sample_table_shows_every_character_as_itself(text):
    table = sample_table([(text, "plain", text)])
    page = ElementTree.fromstring(f"<div>{markdown_to_safe_html(table.encode())}</div>")
    cells = [[cell.text for cell in row] for row in page.iter("tr")]
    assert cells == [["source", "reference", "translation"], [text, "plain", text]]
    assert not [element.tag for element in page.iter() if element.tag in ("a", "em", "img", "code")]


def test_control_characters_of_a_sample_are_escaped():
    assert sample_table([("a\nb", "\x1b[1m", "c")]).count("\n") == 3


def test_files_of_one_second_are_sorted_as_they_were_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorBoard reads the files of a folder in the order of their names."""
    monkeypatch.setattr(event_file.time, "time", lambda: 1.0)
    made = []
    for _ in range(11):
        EventFile(tmp_path).close()
        made += sorted({path.name for path in tmp_path.iterdir()} - set(made))
    assert made == sorted(made)
