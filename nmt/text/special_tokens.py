"""The ids of the special tokens, defined only here."""

PAD, UNK, BOS, EOS = 0, 1, 2, 3
"""Ids of padding, unknown piece, beginning and end of sentence, the same in all vocabularies."""

EOS_SURFACE = "</s>"
"""The end of a sentence as shown in figures."""

WORD_START = "\u2581"
"""SentencePiece's mark of a piece at the beginning of a word."""

SENTENCE_BREAK = "<brk>"
"""The symbol between a sentence and the previous sentences of its document."""
