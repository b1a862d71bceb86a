"""Tokenization: text to piece ids and back."""
