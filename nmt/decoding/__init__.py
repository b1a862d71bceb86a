"""Search over the decoder protocol, and translation of text with it."""
