"""Measurements of training and translation speed, and of the machine's ceiling."""
