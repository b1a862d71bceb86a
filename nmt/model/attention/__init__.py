"""Attention: scores -> masked softmax -> context. `core` is shared; each kind adds its scores."""
