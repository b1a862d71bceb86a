"""The dataclass of each choice of a config group: the one table of all choices."""

import importlib
from collections.abc import Iterator, Mapping

from nmt.config import data, model, schema


class Choices(Mapping[str, type]):
    """The dataclasses of a group by the names of their choices.

    A dataclass that is in the file of its formula is given as ``module:class``. Such a file may
    need torch, so it is imported when the dataclass is first used.
    """

    def __init__(self, **classes: type | str) -> None:
        """Take the dataclasses by name."""
        self._classes = classes

    def __getitem__(self, name: str) -> type:
        found = self._classes[name]
        if isinstance(found, str):
            module, _, attribute = found.partition(":")
            found = self._classes[name] = getattr(importlib.import_module(module), attribute)
        assert isinstance(found, type)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)


CHOICES: dict[type, Choices] = {
    data.DataConfig: Choices(
        phrasebook=data.PhrasebookDataConfig,
        phrasebook_documents=data.PhrasebookDocumentsDataConfig,
        files=data.FilesDataConfig,
        huggingface=data.HuggingFaceDataConfig,
    ),
    model.EncoderConfig: Choices(
        rnn=model.RnnEncoderConfig,
        transformer=model.TransformerEncoderConfig,
        regions=model.RegionEncoderConfig,
    ),
    model.DecoderConfig: Choices(
        rnn=model.RnnDecoderConfig,
        transformer=model.TransformerDecoderConfig,
    ),
    model.AttentionConfig: Choices(
        bahdanau="nmt.model.attention.additive:BahdanauAttentionConfig",
        luong_dot="nmt.model.attention.dot:DotAttentionConfig",
        luong_general="nmt.model.attention.general:GeneralAttentionConfig",
        luong_concat="nmt.model.attention.concat:ConcatAttentionConfig",
        luong_location="nmt.model.attention.location:LocationAttentionConfig",
        scaled_dot="nmt.model.attention.scaled_dot:ScaledDotAttentionConfig",
        cosine="nmt.model.attention.cosine:CosineAttentionConfig",
        multi_head="nmt.model.attention.recurrent_multi_head:MultiHeadAttentionConfig",
        none="nmt.model.attention.none:NoAttentionConfig",
    ),
    schema.OptimizerConfig: Choices(
        adam=schema.AdamConfig,
        adamw=schema.AdamWConfig,
        sgd=schema.SgdConfig,
        adadelta=schema.AdadeltaConfig,
    ),
    schema.ScheduleConfig: Choices(
        constant="nmt.training.schedule:ConstantScheduleConfig",
        inverse_sqrt="nmt.training.schedule:InverseSqrtScheduleConfig",
        cosine="nmt.training.schedule:CosineScheduleConfig",
        plateau="nmt.training.schedule:PlateauScheduleConfig",
        halving="nmt.training.schedule:HalvingScheduleConfig",
    ),
}

GROUPS: dict[type, str] = {
    data.DataConfig: "data",
    model.EncoderConfig: "model/encoder",
    model.DecoderConfig: "model/decoder",
    model.AttentionConfig: "model/decoder/attention",
    schema.OptimizerConfig: "optimizer",
    schema.ScheduleConfig: "schedule",
}
