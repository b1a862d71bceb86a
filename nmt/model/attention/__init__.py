"""Attention: scores -> masked softmax -> context happen once, in `core`; kinds add their scores."""
