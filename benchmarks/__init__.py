"""Timings, measured side by side, and the parts of the README that are made from them."""
