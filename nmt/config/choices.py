"""Which dataclass a section's ``name`` stands for: the one table of all choices."""

from nmt.config import data, model, schema

CHOICES: dict[type, dict[str, type]] = {
    data.DataConfig: {
        "phrasebook": data.PhrasebookDataConfig,
        "files": data.FilesDataConfig,
        "huggingface": data.HuggingFaceDataConfig,
    },
    model.EncoderConfig: {
        "rnn": model.RnnEncoderConfig,
        "transformer": model.TransformerEncoderConfig,
    },
    model.DecoderConfig: {
        "rnn": model.RnnDecoderConfig,
        "transformer": model.TransformerDecoderConfig,
    },
    model.AttentionConfig: {
        "bahdanau": model.BahdanauAttentionConfig,
        "luong_dot": model.LuongDotAttentionConfig,
        "luong_general": model.LuongGeneralAttentionConfig,
        "luong_concat": model.LuongConcatAttentionConfig,
        "luong_location": model.LuongLocationAttentionConfig,
        "scaled_dot": model.ScaledDotAttentionConfig,
        "multi_head": model.MultiHeadAttentionConfig,
        "none": model.NoAttentionConfig,
    },
    schema.OptimizerConfig: {
        "adam": schema.AdamConfig,
        "adamw": schema.AdamWConfig,
        "sgd": schema.SgdConfig,
        "adadelta": schema.AdadeltaConfig,
    },
    schema.ScheduleConfig: {
        "constant": schema.ConstantScheduleConfig,
        "inverse_sqrt": schema.InverseSqrtScheduleConfig,
        "cosine": schema.CosineScheduleConfig,
        "plateau": schema.PlateauScheduleConfig,
        "halving": schema.HalvingScheduleConfig,
    },
}

GROUPS: dict[type, str] = {
    data.DataConfig: "data",
    model.EncoderConfig: "model/encoder",
    model.DecoderConfig: "model/decoder",
    model.AttentionConfig: "model/decoder/attention",
    schema.OptimizerConfig: "optimizer",
    schema.ScheduleConfig: "schedule",
}
