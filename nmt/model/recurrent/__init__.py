"""RNN encoder and decoders, and their cells."""
