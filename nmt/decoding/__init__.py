"""Translation of text: beam search, sampling, constraints and scores."""
