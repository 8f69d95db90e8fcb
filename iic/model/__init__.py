"""The network, its files, and what its outputs mean."""
