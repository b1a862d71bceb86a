"""Kinds of self-attention of a Transformer; `kinds` lists them, and each has a file of its own."""
