"""Fast paths of the models' layers; each file begins with the plain PyTorch formulation."""
