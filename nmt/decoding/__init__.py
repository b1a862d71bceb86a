"""Beam search and sampling over the decoder protocol, and the translation of text with them."""
