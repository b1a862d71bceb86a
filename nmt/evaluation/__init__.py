"""Scores of translations and of models."""
