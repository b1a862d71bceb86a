"""Preparation: filters judge the text, tokenizers are trained, pieces are encoded and cached."""
