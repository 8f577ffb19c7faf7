"""Lab 4: batch norm forward, in evaluation and backward."""
