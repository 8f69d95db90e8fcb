"""Uses of a trained model: predictions, the cluster explorer, exports and information."""
