"""`nmt translate` and `nmt evaluate` with invalid models, files and options."""

import io
import os
import pickle
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch

from nmt.checkpoint import sealed

Refused = Callable[..., str]


def _pickle() -> bytes:
    return pickle.dumps({"format_version": 1})


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.txt", "no model")
    return buffer.getvalue()


def _torch(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _damage(run: Path, part: str, value: object) -> bytes:
    content = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    return _torch(content | {part: value})


NO_CHECKPOINTS = {
    "nothing": b"",
    "random bytes": bytes(range(256)) * 20,
    **{f"random bytes {seed}": Random(seed).randbytes(200) for seed in range(20)},
    "junk": b"junk",
    "text": b"one\ntwo\n",
    "a pickle": _pickle(),
    "a zip": _zip(),
    "a tensor": _torch(torch.zeros(3)),
    "weights of something": _torch({"layer.weight": torch.zeros(3)}),
    "a mapping without content": _torch({"format_version": 1}),
    "a mapping of wrong things": _torch(
        {
            "format_version": 1,
            "config": {},
            "source_tokenizer": b"no tokenizer",
            "target_tokenizer": b"no tokenizer",
            "model": {},
            "training": None,
            "metrics": {},
        }
    ),
}


@pytest.mark.parametrize("content", list(NO_CHECKPOINTS))
def test_a_file_that_is_not_a_checkpoint(content: str, refused: Refused, tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(NO_CHECKPOINTS[content])
    assert str(file) in refused("translate", "--model", file, "one")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95, 0.999])
def test_a_truncated_checkpoint(share: float, refused: Refused, run: Path, tmp_path: Path) -> None:
    whole = (run / "checkpoints" / "best.pt").read_bytes()
    file = tmp_path / "model.pt"
    file.write_bytes(whole[: int(share * len(whole))])
    assert str(file) in refused("translate", "--model", file, "one")


@pytest.mark.parametrize("part", ["config", "source_tokenizer", "format_version"])
@pytest.mark.parametrize("value", [b"no such thing", 5, None])
def test_a_checkpoint_with_a_part_of_another_type(
    part: str, value: object, refused: Refused, run: Path, tmp_path: Path
) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(_damage(run, part, value))
    assert str(file) in refused("translate", "--model", file, "one")


@pytest.mark.parametrize("part", ["config", "source_tokenizer", "model"])
def test_a_checkpoint_that_lacks_a_part(
    part: str, refused: Refused, run: Path, tmp_path: Path
) -> None:
    content = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    del content[part]
    (tmp_path / "model.pt").write_bytes(sealed(content))
    message = refused("translate", "--model", tmp_path / "model.pt", "one")
    assert str(tmp_path / "model.pt") in message


def test_a_checkpoint_whose_weights_do_not_fit(refused: Refused, run: Path, tmp_path: Path) -> None:
    content = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    content["model"].popitem()
    (tmp_path / "model.pt").write_bytes(sealed(content))
    message = refused("translate", "--model", tmp_path / "model.pt", "one")
    assert "weights do not match" in message


def test_a_missing_model(refused: Refused, tmp_path: Path) -> None:
    assert str(tmp_path / "none") in refused("translate", "--model", tmp_path / "none", "one")
    assert "best.pt" in refused("translate", "--model", tmp_path, "one")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--n-best", "3"], "--beam-size 3"),
        (["--n-best", "0"], "--n-best"),
        (["--beam-size", "0"], "beam size is 0"),
        (["--batch-size", "0"], "batch size is 0"),
        (["--length-penalty", "-1"], "length penalty is -1"),
        (["--length-penalty", "nan"], "length penalty is nan"),
        (["--length-penalty", "1000"], "length penalty is 1000"),
        (["--device", "nonsense"], "nonsense"),
        (["--attention", "picture.gif"], ".png"),
    ],
)
def test_an_option_out_of_range(options: list[str], part: str, refused: Refused, run: Path) -> None:
    assert part in refused("translate", "--model", run, *options, "one two")


def test_a_picture_is_of_one_sentence(refused: Refused, run: Path, tmp_path: Path) -> None:
    picture = ["--attention", tmp_path / "picture.png"]
    assert "exactly one" in refused("translate", "--model", run, *picture, "one", "two")
    assert "exactly one" in refused("translate", "--model", run, *picture, stdin=b"one\n")
    assert "blank" in refused("translate", "--model", run, *picture, " ")
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_cannot_be_written(refused: Refused, run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    picture = tmp_path / "file" / "picture.png"
    arguments = ["translate", "--model", run, "--attention", picture, "one"]
    assert str(picture) in refused(*arguments, after_progress=True)


def test_standard_input_that_is_not_utf_8(refused: Refused, run: Path) -> None:
    text = "fünf\none\n".encode("latin-1")
    message = refused("translate", "--model", run, stdin=text)
    assert "not UTF-8" in message


def test_an_argument_with_a_line_break(refused: Refused, run: Path) -> None:
    assert "line break" in refused("translate", "--model", run, "one\ntwo")


def test_evaluate_refuses_files_that_do_not_belong_together(
    refused: Refused, run: Path, tmp_path: Path
) -> None:
    two, three = tmp_path / "two", tmp_path / "three"
    two.write_text("one\ntwo\n")
    three.write_text("eins\nzwei\ndrei\n")
    evaluate = ["evaluate", "--model", run, "--source", two, "--reference"]
    message = refused(*evaluate, three)
    assert f"{two} has 2 lines" in message
    assert f"{three} has 3" in message
    assert f"{tmp_path / 'none'}" in refused(*evaluate, tmp_path / "none")
    assert f"{tmp_path}" in refused(*evaluate, tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("command", ["translate", "average"])
def test_a_model_that_is_a_pipe_or_a_device_is_refused_without_waiting(
    command: str, refused: Refused, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    output = ["--output", tmp_path / "out.pt"] if command == "average" else []
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        model = [path] if command == "average" else ["--model", path, "one"]
        assert refused(command, *output, *model).startswith(f"{path} is a device or a pipe; give")


@pytest.mark.parametrize(
    "arguments",
    [
        ["translate", "--model", "{}", "one"],
        ["translate", "--model", "m", "--input", "{}"],
        ["translate", "--model", "m", "--output", "{}", "one"],
        ["score", "--model", "m", "--source", "{}", "--target", "t"],
        ["evaluate", "--model", "m", "--source", "s", "--reference", "{}"],
        ["align", "--model", "m", "--source", "s", "--target", "t", "--gold", "{}"],
        ["attention", "--model", "m", "--output", "{}", "one"],
        ["average", "--output", "{}", "a", "b"],
        ["average", "--output", "o", "a", "{}"],
        ["data", "check", "a", "b", "--html", "{}"],
        ["bench", "decode", "--model", "{}"],
        ["bench", "train", "--json", "{}"],
    ],
)
@pytest.mark.parametrize("name", ["a" * 5000, "loop"])
def test_a_path_that_no_file_can_have(
    arguments: list[str],
    name: str,
    refused: Refused,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    message = refused(*(argument.format(name) for argument in arguments), after_progress=True)
    assert ("name too long" if len(name) > 10 else "symbolic links") in message


@pytest.mark.parametrize(
    "setting",
    ["tokenizer.model", "training.init_from", "data.root", "data.dropped", "run.dir", "model"],
)
def test_a_setting_with_a_path_that_no_file_can_have(
    setting: str, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    others = ["data=multi30k"] if setting == "data.root" else []
    message = refused("train", *others, f"{setting}={'a' * 5000}", after_progress=True)
    assert "aaaa" in message


def _global(name: str) -> bytes:
    return b"c" + name.replace(" ", "\n").encode() + b"\n"


LARGE = b"J" + (1 << 30).to_bytes(4, "little")
HOSTILE_INDEXES = {
    "bytearray": _global("builtins bytearray") + LARGE + b"\x85R",
    "storage": _global("torch.storage UntypedStorage") + LARGE + b"\x85R",
    "tensor": _global("torch FloatTensor") + LARGE + b"\x85R",
    "meta": _global("torch._utils _rebuild_meta_tensor_no_storage") + b")R",
    "counter": _global("collections Counter") + b"]\x85R",
    "system": _global("os system") + b"X\x01\x00\x00\x00x\x85R",
    "bytes": b"]("
    + b"X\x00\x00\x10\x00"
    + b"a" * (1 << 20)
    + b"q\x01X\x06\x00\x00\x00latin1q\x02"
    + _global("_codecs encode")
    + b"q\x03"
    + b"h\x01h\x02\x86R"
    + b"h\x03h\x01h\x02\x86R" * 2000
    + b"e",
}


@pytest.mark.parametrize("name", HOSTILE_INDEXES)
def test_the_index_of_a_checkpoint_calls_nothing_else(
    name: str, refused: Refused, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + HOSTILE_INDEXES[name] + b".")
        archive.writestr("archive/byteorder", b"little")
        archive.writestr("archive/version", b"3\n")
    began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "not a checkpoint of nmt, or is damaged" in refused("translate", "--model", path, "one")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - began < 100 << 10  # kilobytes
