"""Transformer encoder and decoder: layers, residual connections, positions, search state."""
