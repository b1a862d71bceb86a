"""The formulas: attention, RNN and Transformer in folders; `build` makes a model of them."""
