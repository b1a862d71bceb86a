"""Measures the speed of training and translation, and of matrix products as an upper bound."""
