"""The choices of `nmt export`. This module does not load torch."""

from enum import StrEnum


class ExportFormat(StrEnum):
    """The layouts in which a model can be exported."""

    CTRANSLATE2 = "ctranslate2"
    SAFETENSORS = "safetensors"
    HUGGING_FACE = "huggingface"
    ONNX = "onnx"


class Quantization(StrEnum):
    """The type in which CTranslate2 stores the matrices."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"
    INT8_FLOAT16 = "int8_float16"
    INT8_BFLOAT16 = "int8_bfloat16"
