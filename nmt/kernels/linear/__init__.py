"""Linear layers: their products, the layout and dtype of their weights, the feed-forward block."""
