"""Metrics of translations, of word alignments and of attention; validation of models."""
