"""Fast paths of layers and losses, each beside its plain PyTorch formulation."""
