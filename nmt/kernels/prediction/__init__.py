"""The output layer over the vocabulary: cross-entropy, and best continuations in search."""
