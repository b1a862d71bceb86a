"""Each rule of `check_config`, with a value it refuses and its neighbour that it lets pass."""

from collections.abc import Callable

import pytest

from nmt.config.check import check_config
from nmt.config.schema import Config
from nmt.errors import UserError

Make = Callable[..., Config]

RNN = "model=rnn"
NO_TYING = "model.tying=none"
RULES = [  # overrides all along; refused; let pass
    ([], "seed=-1", "seed=0"),
    ([], "data.max_length=0", "data.max_length=1"),
    ([], "data.target_language=en", "data.target_language=de"),
    ([], "data.target_language=fr", "data.target_language=de"),
    (["data=multi30k"], "data.target_language=en", "data.target_language=fr"),
    ([], "tokenizer.name=word", "tokenizer.name=bpe"),
    ([], "tokenizer.vocab_size=7", "tokenizer.vocab_size=8"),
    ([], "tokenizer.character_coverage=0.89", "tokenizer.character_coverage=0.9"),
    ([], "tokenizer.character_coverage=1.01", "tokenizer.character_coverage=1"),
    ([], "tokenizer.normalization=nfc", "tokenizer.normalization=identity"),
    ([], "model.tying=both", "model.tying=decoder"),
    (["tokenizer.joint=false"], "model.tying=three_way", "model.tying=decoder"),
    ([], "model.encoder.hidden_size=128", "model.encoder.hidden_size=256"),
    ([RNN], "model.encoder.embedding_size=128", "model.encoder.embedding_size=256"),
    ([RNN], "model.decoder.hidden_size=128", "model.decoder.hidden_size=256"),
    ([RNN], "model.encoder.cell=rnn", "model.encoder.cell=lstm"),
    ([RNN], "model.encoder.hidden_size=0", "model.encoder.hidden_size=1"),
    ([RNN, NO_TYING], "model.decoder.embedding_size=0", "model.decoder.embedding_size=1"),
    ([RNN], "model.decoder.num_layers=0", "model.decoder.num_layers=1"),
    ([RNN], "model.decoder.dropout=1", "model.decoder.dropout=0.99"),
    ([RNN], "model.decoder.dropout=-0.1", "model.decoder.dropout=0"),
    ([RNN], "model.decoder.bridge=none", "model.decoder.bridge=zero"),
    (
        [RNN, "model/decoder/attention=none"],
        "model.decoder.bridge=zero",
        "model.decoder.bridge=linear",
    ),
    ([RNN], "model.decoder.attention.size=0", "model.decoder.attention.size=1"),
    (
        [RNN, "model/decoder/attention=luong_concat"],
        "model.decoder.attention.size=0",
        "model.decoder.attention.size=1",
    ),
    ([], "model.encoder.norm=both", "model.encoder.norm=post"),
    ([], "model.encoder.num_heads=3", "model.encoder.num_heads=8"),
    ([], "model.encoder.num_heads=0", "model.encoder.num_heads=1"),
    ([NO_TYING, "model.decoder.num_heads=1"], "model.decoder.hidden_size=9", "seed=1"),
    ([], "model.decoder.feed_forward_size=0", "model.decoder.feed_forward_size=1"),
    ([], "model.decoder.attention_dropout=1", "model.decoder.attention_dropout=0.5"),
    ([], "model.decoder.feed_forward_dropout=2", "model.decoder.feed_forward_dropout=0"),
    ([], "optimizer.name=sgd", "optimizer.name=adamw"),
    ([], "optimizer.learning_rate=0", "optimizer.learning_rate=1e-9"),
    ([], "optimizer.learning_rate=nan", "optimizer.learning_rate=1"),
    ([], "optimizer.learning_rate=inf", "optimizer.learning_rate=1"),
    ([], "optimizer.epsilon=0", "optimizer.epsilon=1e-9"),
    ([], "optimizer.beta1=1", "optimizer.beta1=0"),
    ([], "optimizer.beta2=1", "optimizer.beta2=0.999"),
    ([], "optimizer.weight_decay=-1", "optimizer.weight_decay=0"),
    ([], "optimizer.weight_decay=nan", "optimizer.weight_decay=0"),
    ([], "schedule.warmup=-1", "schedule.warmup=0"),
    (["schedule=inverse_sqrt"], "schedule.warmup=0", "schedule.warmup=1"),
    ([], "schedule.final_factor=1.1", "schedule.final_factor=1"),
    (["schedule=plateau"], "schedule.factor=1", "schedule.factor=0.9"),
    (["schedule=plateau"], "schedule.patience=0", "schedule.patience=1"),
    ([], "training.max_updates=0", "training.max_updates=1"),
    ([], "training.accumulation=0", "training.accumulation=1"),
    ([], "training.validate_every=0", "training.validate_every=1"),
    ([], "training.save_every=0", "training.save_every=1"),
    ([], "training.validation_beam_size=0", "training.validation_beam_size=1"),
    (["training.accumulation=4"], "training.batch_tokens=3", "training.batch_tokens=4"),
    ([], "training.max_minutes=0", "training.max_minutes=0.001"),
    ([], "training.clip_norm=0", "training.clip_norm=null"),
    ([], "training.patience=0", "training.patience=null"),
    ([], "training.threads=0", "training.threads=1"),
    ([], "training.ema_decay=1", "training.ema_decay=0.999"),
    ([], "training.label_smoothing=1", "training.label_smoothing=0"),
    ([], "training.precision=float16", "training.precision=bfloat16"),
    ([], "training.best_metric=ter", "training.best_metric=perplexity"),
    ([], "decoding.beam_size=0", "decoding.beam_size=1"),
    ([], "decoding.batch_size=0", "decoding.batch_size=1"),
    ([], "decoding.max_length_extra=0", "decoding.max_length_extra=1"),
    ([], "decoding.length_penalty=-1", "decoding.length_penalty=0"),
    ([], "decoding.length_penalty=nan", "decoding.length_penalty=0"),
    ([], "decoding.max_length_ratio=-1", "decoding.max_length_ratio=0"),
    ([], "decoding.max_length_ratio=inf", "decoding.max_length_ratio=0"),
    ([], "logging.log_every=0", "logging.log_every=1"),
    ([], "logging.samples=-1", "logging.samples=0"),
]


@pytest.mark.parametrize(("along", "refused", "passed"), RULES)
def test_a_rule_refuses_one_value_naming_its_key_and_lets_its_neighbour_pass(
    along: list[str], refused: str, passed: str, config: Make
) -> None:
    check_config(config(*along, passed))
    with pytest.raises(UserError) as raised:
        check_config(config(*along, refused))
    assert refused.split("=")[0] in str(raised.value)


def test_a_file_cannot_be_both_sides(config: Make, fill: Callable[[str], list[str]]) -> None:
    files = ["data=files", *fill("files")]
    check_config(config(*files))
    for split in ("train", "valid", "test"):
        same = f"data.{split}.target={split}.en"
        with pytest.raises(UserError, match=f"data.{split}.source and .* the same file"):
            check_config(config(*files, same))


def test_all_faults_are_told_at_once(config: Make) -> None:
    wrong = ["training.max_updates=0", "optimizer.beta1=2", "model.tying=x", "logging.samples=-1"]
    with pytest.raises(UserError) as raised:
        check_config(config(*wrong))
    message = str(raised.value)
    assert "\n" not in message
    assert all(override.split("=")[0] in message for override in wrong)
