"""Writes trained models for other programs: CTranslate2, Hugging Face, ONNX, safetensors."""
