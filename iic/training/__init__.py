"""The objective, its optimisation, and the records of a training."""
