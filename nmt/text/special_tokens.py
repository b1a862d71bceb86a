"""The ids of the special tokens: the only place they are written."""

PAD, UNK, BOS, EOS = 0, 1, 2, 3
"""Padding, unknown piece, beginning and end of sentence; the same in every vocabulary."""

EOS_SURFACE = "</s>"
"""How the end of a sentence is shown in pictures."""

WORD_START = "\u2581"
"""SentencePiece's mark of a piece that begins a word."""
