"""The objective and its optimisation."""
