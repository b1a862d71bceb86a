"""Fast paths of what the models compute; each file begins with the plain PyTorch formulation."""
