"""What a run takes from other runs: initial weights, tokenizers, a teacher."""
