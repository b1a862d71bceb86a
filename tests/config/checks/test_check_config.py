"""Each rule of `check_config`, with a value that it refuses and a similar one that it accepts."""

import math
from collections.abc import Callable

import pytest

from nmt.config.checks.check_config import check_config
from nmt.config.schema import Config
from nmt.errors import UserError

Make = Callable[..., Config]

RNN = "model=rnn"
UNTIED = "model.tying=none"
RULES = [  # common overrides, a key, a value that is refused, a value that passes
    ([], "seed", -1, 0),
    ([], "data.max_length", 0, 1),
    ([], "data.target_language", "en", "de"),
    ([], "data.target_language", "fr", "de"),
    (["data=multi30k"], "data.target_language", "en", "fr"),
    ([], "tokenizer.name", "wordpiece", "char"),
    ([], "tokenizer.vocab_size", 7, 8),
    ([], "tokenizer.character_coverage", 0.97, 0.98),
    ([], "tokenizer.character_coverage", 1.01, 1),
    ([], "tokenizer.normalization", "nfd", "identity"),
    ([], "model.tying", "both", "decoder"),
    (["tokenizer.joint=false"], "model.tying", "three_way", "decoder"),
    ([], "model.encoder.hidden_size", 128, 256),
    ([RNN], "model.encoder.embedding_size", 128, 256),
    ([RNN], "model.decoder.hidden_size", 128, 256),
    ([RNN], "model.encoder.cell", "rnn", "lstm"),
    ([RNN], "model.encoder.hidden_size", 0, 1),
    ([RNN, UNTIED], "model.decoder.embedding_size", 0, 1),
    ([RNN], "model.decoder.num_layers", 0, 1),
    ([RNN], "model.decoder.dropout", 1, 0.99),
    ([RNN], "model.decoder.dropout", -0.1, 0),
    ([RNN], "model.decoder.bridge", "none", "zero"),
    ([RNN, "model/decoder/attention=none"], "model.decoder.bridge", "zero", "linear"),
    ([RNN], "model.decoder.attention.size", 0, 1),
    ([RNN, "model/decoder/attention=luong_concat"], "model.decoder.attention.size", 0, 1),
    ([], "model.encoder.norm", "both", "post"),
    ([], "model.encoder.num_heads", 3, 8),
    ([], "model.encoder.num_heads", 0, 1),
    ([UNTIED, "model.decoder.num_heads=1"], "model.decoder.hidden_size", 9, 10),
    ([], "model.decoder.feed_forward_size", 0, 1),
    ([], "model.decoder.attention_dropout", 1, 0.5),
    ([], "model.decoder.feed_forward_dropout", 2, 0),
    ([RNN], "model.decoder.attention.window", "local", "local_m"),
    ([RNN], "model.decoder.attention.window_size", 0, 1),
    ([RNN], "model.decoder.attention.coverage", "gru", "fertility"),
    ([RNN], "model.decoder.attention.maxout_size", 128, 256),
    ([RNN, UNTIED], "model.decoder.attention.maxout_size", 0, 1),
    (
        [RNN, "model/decoder/attention=luong_location"],
        "model.decoder.attention.max_source_length",
        0,
        1,
    ),
    ([RNN, "model/decoder/attention=multi_head"], "model.decoder.attention.num_heads", 3, 8),
    ([RNN, "model/decoder/attention=multi_head"], "model.decoder.attention.num_heads", 0, 1),
    ([RNN], "model.encoder.reverse", True, False),
    ([RNN, "model.encoder.reverse=true"], "model.encoder.bidirectional", True, False),
    ([], "model.encoder.num_kv_heads", 3, 2),
    ([], "model.decoder.num_kv_heads", 0, 1),
    ([], "model.decoder.positions", "shaw", "relative"),
    (["model.encoder.positions=rotary"], "model.encoder.num_heads", 256, 128),
    (["data.max_length=1024"], "model.encoder.positions", "learned", "sinusoidal"),
    (["model.decoder.positions=learned"], "data.max_length", 1024, 1023),
    ([], "model.encoder.norm_type", "group", "rms"),
    ([], "model.decoder.activation", "tanh", "swiglu"),
    ([], "optimizer.name", "adamw", "adam"),
    ([], "optimizer.name", "rmsprop", "adam"),
    ([RNN], "model.decoder.attention.name", "luong_dot", "bahdanau"),
    (["optimizer=sgd"], "optimizer.momentum", 1, 0),
    (["optimizer=sgd"], "optimizer.momentum", -0.1, 0.9),
    (["optimizer=sgd"], "optimizer.learning_rate", 0, 1),
    (["optimizer=adadelta"], "optimizer.rho", 1, 0.95),
    (["optimizer=adadelta"], "optimizer.epsilon", 0, 1e-6),
    ([], "optimizer.learning_rate", 0, 1e-9),
    ([], "optimizer.learning_rate", math.nan, 1),
    ([], "optimizer.learning_rate", math.inf, 1),
    ([], "optimizer.epsilon", 0, 1e-9),
    ([], "optimizer.beta1", 1, 0),
    ([], "optimizer.beta2", 1, 0.999),
    ([], "optimizer.weight_decay", -1, 0),
    ([], "optimizer.weight_decay", math.nan, 0),
    ([], "schedule.warmup", -1, 0),
    (["schedule=inverse_sqrt"], "schedule.warmup", 0, 1),
    ([], "schedule.final_factor", 1.1, 1),
    (["schedule=plateau"], "schedule.factor", 1, 0.9),
    (["schedule=plateau"], "schedule.patience", 0, 1),
    (["schedule=halving"], "schedule.start", -1, 0),
    (["schedule=halving"], "schedule.every", 0, 1),
    ([], "model.encoder.self_attention", "sparse", "strided"),
    ([], "model.decoder.self_attention", "low_rank", "local"),
    (["model.encoder.self_attention=local"], "model.encoder.positions", "alibi", "rotary"),
    (["model.encoder.self_attention=linear"], "model.encoder.positions", "rotary", "learned"),
    (["model.decoder.self_attention=favor"], "model.decoder.attention_dropout", 0.1, 0),
    (["model.decoder.self_attention=lsh"], "model.decoder.num_kv_heads", 2, None),
    (["model.decoder.self_attention=lsh"], "model.decoder.attention_buckets", 5, 4),
    (["model.decoder.self_attention=cosine"], "model.decoder.qk_norm", True, False),
    (["model.decoder.self_attention=local"], "model.decoder.attention_window", 0, 1),
    (["model.encoder.self_attention=local"], "training.batch_shapes", "packed", "padded"),
    ([], "model.encoder.depth", "shallow", "adaptive"),
    ([], "model.decoder.depth_loss", -1, 0),
    (["model.encoder.depth=adaptive"], "model.encoder.num_layers", 1, 2),
    (["model.decoder.depth=adaptive"], "model.decoder.layer_drop", 0.1, 0),
    (["model.decoder.depth=adaptive"], "training.batch_shapes", "packed", "padded"),
    (["schedule=halving"], "schedule.factor", 1, 0.5),
    (["schedule=halving"], "schedule.factor", 0, 0.5),
    ([], "training.max_updates", 0, 1),
    ([], "training.accumulation", 0, 1),
    ([], "training.validate_every", 0, 1),
    ([], "training.save_every", 0, 1),
    ([], "training.validation_beam_size", 0, 1),
    (["training.accumulation=4"], "training.batch_tokens", 3, 4),
    ([], "training.max_minutes", 0, 0.001),
    ([], "training.clip_norm", 0, None),
    ([], "training.patience", 0, None),
    ([], "training.threads", 0, 1),
    ([], "training.threads", 1025, 1024),
    ([], "training.ema_decay", 1, 0.999),
    ([], "training.label_smoothing", 1, 0),
    ([], "training.precision", "float8", "float16"),
    ([], "training.max_skipped", -1, 0),
    ([], "training.on_divergence", "hope", "rewind"),
    ([], "training.rewind_rate", 0, 1),
    ([RNN], "training.gradient_checkpointing", True, False),
    ([], "training.best_metric", "ter", "perplexity"),
    ([], "decoding.beam_size", 0, 1),
    ([], "decoding.batch_size", 0, 1),
    ([], "decoding.max_length_extra", 0, 1),
    ([], "decoding.length_penalty", -1, 0),
    ([], "decoding.length_penalty", 10.1, 10),
    ([], "decoding.length_penalty", math.nan, 0),
    ([], "decoding.max_length_ratio", -1, 0),
    ([], "decoding.max_length_ratio", math.inf, 0),
    ([], "logging.log_every", 0, 1),
    ([], "logging.samples", -1, 0),
    (["model.decoder.num_layers=2"], "logging.heatmap_layer", 3, 2),
    (["model.decoder.num_layers=2"], "logging.heatmap_layer", 0, None),
    (["model.decoder.num_layers=2"], "logging.heatmap_layer", -3, -2),
    ([RNN, "model.decoder.num_layers=2"], "logging.heatmap_layer", 2, 1),
]
NAMED_AS = {  # keys whose problems are part of another message
    ("data.target_language", "fr"): "data=phrasebook has en and de",
    ("model.encoder.hidden_size", 128): "model.tying=three_way needs equal embedding sizes",
    ("model.encoder.embedding_size", 128): "model.tying=three_way needs equal embedding sizes",
}


@pytest.fixture
def changed(config: Make) -> Callable[..., Config]:
    """A configuration with one value changed after it was composed."""

    def make(along: list[str], key: str, value: object) -> Config:
        made = config(*along)
        *path, name = key.split(".")
        section: object = made
        for part in path:
            section = getattr(section, part)
        assert hasattr(section, name)
        setattr(section, name, value)
        return made

    return make


@pytest.mark.parametrize(("along", "key", "refused", "passed"), RULES)
def test_a_rule_refuses_one_value_and_lets_its_neighbour_pass(
    along: list[str], key: str, refused: object, passed: object, changed: Make
) -> None:
    check_config(changed(along, key, passed))
    with pytest.raises(UserError) as raised:
        check_config(changed(along, key, refused))
    assert NAMED_AS.get((key, refused), key) in str(raised.value)


def test_a_file_cannot_be_both_sides(config: Make, fill: Callable[[str], list[str]]) -> None:
    files = ["data=files", *fill("files")]
    check_config(config(*files))
    for split in ("train", "valid", "test"):
        same = f"data.{split}.target={split}.en"
        with pytest.raises(UserError, match=f"data.{split}.source and .* the same file"):
            check_config(config(*files, same))


def test_all_problems_are_reported_at_once(config: Make) -> None:
    wrong = ["training.max_updates=0", "optimizer.beta1=2", "model.tying=x", "logging.samples=-1"]
    with pytest.raises(UserError) as raised:
        check_config(config(*wrong))
    message = str(raised.value)
    assert "\n" not in message
    assert all(override.split("=")[0] in message for override in wrong)
