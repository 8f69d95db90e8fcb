"""The objective, its optimisation, and what is recorded of a training."""
