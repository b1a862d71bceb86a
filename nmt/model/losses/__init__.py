"""The training loss, losses on attention weights, and divergences of two models."""
