"""Lab 6: kernels for a GPU in Numba-CUDA, which run in Numba's simulator where there is no GPU."""
