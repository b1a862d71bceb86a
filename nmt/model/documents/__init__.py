"""Attention to the previous sentences of a document, in an encoder and in a decoder."""
