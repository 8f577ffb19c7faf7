"""What to measure about a net beyond norms: one measure a file, each with its formula and where it comes from."""
