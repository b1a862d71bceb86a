"""Comparison of runs: settings that differ, tests of differences in BLEU, curves."""
