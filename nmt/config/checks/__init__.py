"""Combinations of settings that are impossible, or allowed but doubtful."""
