"""Lab 1: automatic differentiation. In which order a gradient goes back, and what each operation does to it."""
