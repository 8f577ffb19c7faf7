"""What to measure about a net beyond norms: one measure a file, each with its formula and where it comes from.

paths          the gradient in exact parts by the number of branches that it came through
split          the gradient at each block's input: shortcut part and branch part
lesion         error without a block, without k, without the last ones, in another order
signal         mean and variance of the stream and of the branches, block by block
response       std of every layer's response, figure 7 of the paper
coactivation   ReLUs that are on together, dead and constant units
initial        gradient by depth over initial scale, batch norm and shortcuts
shattered      autocorrelation of gradients along a line of inputs, cosines between neighbours
jacobian       singular values of the map from input to output, or of a part of it
hessian        both ends of the spectrum of the Hessian
landscape      the loss along filter-normalised directions
deepen         a plain net made deeper by exact identity layers

trace          one forward pass written down; branches: its blocks; walk: back over it; units: what can be taken out
state          what batch norm does meanwhile, and everything put back afterwards
"""
