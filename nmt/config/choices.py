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
        "none": model.NoAttentionConfig,
    },
    schema.ScheduleConfig: {
        "constant": schema.ConstantScheduleConfig,
        "inverse_sqrt": schema.InverseSqrtScheduleConfig,
        "cosine": schema.CosineScheduleConfig,
        "plateau": schema.PlateauScheduleConfig,
    },
}

GROUPS: dict[type, str] = {
    data.DataConfig: "data",
    model.EncoderConfig: "model/encoder",
    model.DecoderConfig: "model/decoder",
    model.AttentionConfig: "model/decoder/attention",
    schema.ScheduleConfig: "schedule",
}
