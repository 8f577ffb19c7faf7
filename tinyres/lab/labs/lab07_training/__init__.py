"""Lab 7: the loss, stochastic gradient descent, schedules, and a training loop that reaches a target."""
