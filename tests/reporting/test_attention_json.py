"""Attention as JSON: strict, of the documented schema, and read back without loss."""

import json

import numpy as np
import pytest

from nmt.reporting.attention_json import load_attention_json, save_attention_json


def test_records_are_read_back_to_the_last_bit(tmp_path, make_record):
    awkward = ["</script>", '"', "\u2028", "\ud800", "\x00", "", "你好", "▁weiß"]
    records = [
        make_record(2, 3, source_text="eins", target_text="one", title="first"),
        make_record(1, 2, awkward, awkward[:3], source_text="\ud800\n"),
    ]
    records[0].weights[0, 1, 2, 3] = np.nan
    records[0].weights[1, 0, 0] = [
        1e-45,
        np.float32(0.1),
        1 / 3,
        1 - 2**-24,
    ]  # floats with many digits
    path = tmp_path / "new" / "attention.json"
    save_attention_json(records, path)
    loaded = load_attention_json(path)
    assert len(loaded) == 2
    for ours, theirs in zip(records, loaded, strict=True):
        assert theirs.weights.dtype == np.float32
        np.testing.assert_array_equal(theirs.weights, ours.weights)
        for field in ("source", "target", "title", "source_text", "target_text"):
            assert getattr(theirs, field) == getattr(ours, field)
    assert list(path.parent.iterdir()) == [path]


def test_random_float32_are_read_back_exactly(tmp_path, make_record):
    record = make_record(4, 4, 20, 20)
    bits = np.random.default_rng(1).integers(1, 0x3F800000, record.weights.shape, dtype=np.uint32)
    record.weights[:] = bits.view(np.float32)  # all magnitudes in [0, 1] are equally likely
    save_attention_json([record], tmp_path / "a.json")
    (loaded,) = load_attention_json(tmp_path / "a.json")
    np.testing.assert_array_equal(loaded.weights, record.weights)


def test_the_schema_is_the_documented_one_and_strict(tmp_path, make_record):
    record = make_record(2, 1, ["a", "b"], ["x"], source_text="a b", target_text="x", title="t")
    record.weights[:] = [[[[0.25, np.nan]]], [[[np.inf, 0.1]]]]
    save_attention_json([record], tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text(encoding="ascii")

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    assert json.loads(text, parse_constant=refuse) == {
        "format": "nmt-attention-1",
        "sentences": [
            {
                "title": "t",
                "source": ["a", "b"],
                "target": ["x"],
                "source_text": "a b",
                "target_text": "x",
                "weights": [[[[0.25, None]]], [[[None, 0.1]]]],
            }
        ],
    }
    assert "0.1]" in text, "a float32 should not be written with digits it does not have"


@pytest.mark.parametrize("sizes", [(0, 2), (2, 0), (0, 0)])
def test_sentences_without_tokens_keep_their_shape(tmp_path, make_record, sizes):
    record = make_record(2, 3, *sizes)
    save_attention_json([record], tmp_path / "a.json")
    (loaded,) = load_attention_json(tmp_path / "a.json")
    assert loaded.weights.shape == record.weights.shape


def test_no_sentences_are_a_valid_file(tmp_path):
    save_attention_json([], tmp_path / "a.json")
    assert load_attention_json(tmp_path / "a.json") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "format None, but 'nmt-attention-1'"),
        ('{"format": "nmt-attention-9"}', "format 'nmt-attention-9', but"),
        ('{"format": "nmt-attention-1", "sentences": [{}]}', "sentence 1: has no 'source'"),
        (
            '{"format": "nmt-attention-1", "sentences": [{"source": ["a"], "target": ["x"],'
            '"weights": [[[[1, 0]]]], "title": "", "source_text": "", "target_text": ""}]}',
            r"sentence 1: .*shape \(1, 1, 1, 2\)",
        ),
        (
            '{"format": "nmt-attention-1", "sentences": [{"source": ["a"], "target": ["x"],'
            '"weights": [[[[1, 0], [1]]]], "title": "", "source_text": "", "target_text": ""}]}',
            "sentence 1: ",
        ),
    ],
)
def test_invalid_files_raise_with_their_name(tmp_path, text, message):
    path = tmp_path / "odd.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"odd\.json.*" + message):
        load_attention_json(path)


def test_a_failed_save_keeps_the_previous_file(tmp_path, make_record):
    path = tmp_path / "a.json"
    path.write_text("old", encoding="utf-8")
    broken = make_record(title=object())  # not JSON; detected after the first sentence is written
    with pytest.raises(TypeError):
        save_attention_json([make_record(), broken], path)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
