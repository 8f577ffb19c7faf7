"""Lab 2: im2col, and the convolution as a product of matrices."""
