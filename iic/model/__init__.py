"""The network, its files, its assignments, and how clusters match classes."""
