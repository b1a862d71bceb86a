"""Composition of the embedded English-German phrasebook corpus from a grammar."""
