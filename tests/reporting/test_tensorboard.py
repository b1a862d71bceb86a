"""TensorBoard: event files are read back with TensorBoard's own reader."""

import time
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.heatmaps.rendering import heatmap_image
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
    (text,) = events.Tensors("samples/text_summary")
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
