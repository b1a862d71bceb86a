"""Forward and backward passes: shapes of batches, memory, dtype, CUDA graphs, compilation."""
