"""Kinds of self-attention of a Transformer. Each kind has its own file; `kinds` lists them."""
