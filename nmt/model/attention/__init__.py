"""Attention: scores -> masked softmax -> context. `core` has the steps that all kinds share."""
