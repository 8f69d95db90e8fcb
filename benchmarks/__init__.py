"""Measurements over several runs, and the parts of the README that are made from them."""
