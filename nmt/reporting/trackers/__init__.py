"""Experiment trackers beside TensorBoard: MLflow, Weights & Biases and Trackio."""
