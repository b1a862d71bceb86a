"""What cannot be combined with hierarchical attention is refused; the message names settings."""

from collections.abc import Callable

import pytest

from nmt.config.checks.check_config import check_config
from nmt.config.checks.packable import packing_obstacle
from nmt.config.schema import Config
from nmt.decoding.document_search import common_context
from nmt.errors import UserError

Make = Callable[..., Config]

READS = ["data=phrasebook_documents", "data.context_sentences=2"]
HIERARCHICAL = [*READS, "model.encoder.context=hierarchical"]
JOINT = [*HIERARCHICAL, "data.context_targets=1", "model.decoder.context=hierarchical"]
DECODER = [*READS, *JOINT[-2:]]
TO_RNN = ["model/decoder=rnn", "model.tying=decoder"]

ACCEPTED = {
    "alone": HIERARCHICAL,
    "experiment": ["experiment=documents_hierarchical"],
    "cosine": [*HIERARCHICAL, "model.encoder.self_attention=cosine"],
    "depth": [*HIERARCHICAL, "model.encoder.depth=adaptive"],
    "decoder": [*HIERARCHICAL, "model.decoder.self_attention=local"],
    "joint": JOINT,
    "rnn decoder": [*HIERARCHICAL, *TO_RNN, "model/decoder/attention=luong_general"],
}
REFUSED = {
    "no context": (["model.encoder.context=hierarchical"], "data.context_sentences is 0"),
    "targets": ([*HIERARCHICAL, "data.context_targets=1"], "data.context_targets=1 makes it write"),
    "kind": (
        [*HIERARCHICAL, "model.encoder.self_attention=linear"],
        "model.encoder.self_attention=linear does not support: choose full or cosine",
    ),
    "window": (
        [
            *(*HIERARCHICAL, *TO_RNN, "model/decoder/attention=luong_general"),
            "model.decoder.attention.window=local_p",
        ],
        "model.decoder.attention.window=local_p attends by the position in the whole row",
    ),
    "location": (
        [*HIERARCHICAL, *TO_RNN, "model/decoder/attention=luong_location"],
        "luong_location attends by the position",
    ),
    "packed": (
        [*HIERARCHICAL, "training.batch_shapes=packed"],
        "training.batch_shapes=packed does not support model.encoder.context=hierarchical",
    ),
    "no targets": (
        [*READS, "model.decoder.context=hierarchical"],
        "previous target sentences, but data.context_targets is 0: set it to 1",
    ),
    "decoder kind": (
        [*DECODER, "model.decoder.self_attention=local"],
        "model.decoder.self_attention=local does not support: choose full or cosine",
    ),
    "decoder packed": (
        [*DECODER, "training.batch_shapes=packed"],
        "training.batch_shapes=packed does not support model.decoder.context=hierarchical",
    ),
    "features": (
        [*DECODER, "model.features.combination=gated", "model.features.size=8"],
        "model.features.combination=gated reads features of the current sentence alone",
    ),
    "name": ([*READS, "model.encoder.context=tree"], "concatenated"),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_hierarchical_attention_is_a_setting_of_a_transformer(case: str, config: Make) -> None:
    made = config(*ACCEPTED[case])
    check_config(made)
    assert packing_obstacle(made) == "model.encoder.context=hierarchical"


@pytest.mark.parametrize("encoder", ["transformer", "rnn"])
def test_hierarchical_attention_of_a_decoder_needs_none_of_the_encoder(
    encoder: str, config: Make
) -> None:
    choice = ["model/encoder=rnn", "model.tying=decoder"] if encoder == "rnn" else []
    made = config(*DECODER, *choice)
    check_config(made)
    assert packing_obstacle(made) == "model.decoder.context=hierarchical"


def test_decoders_that_read_targets_in_two_ways_are_no_ensemble(config: Make) -> None:
    joint, alone = config(*JOINT), config(*DECODER)
    assert common_context([joint, alone]).targets == 1
    concatenated = config(*READS, "data.context_targets=1")
    with pytest.raises(UserError, match="model.decoder.context=hierarchical and another decoder"):
        common_context([joint, concatenated])


@pytest.mark.parametrize("case", REFUSED)
def test_an_impossible_combination_is_refused(case: str, config: Make) -> None:
    overrides, message = REFUSED[case]
    with pytest.raises(UserError, match=message) as refused:
        check_config(config(*overrides))
    assert "\n" not in str(refused.value)
