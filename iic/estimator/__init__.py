"""The estimator: clustering of images by a call, with the conventions of scikit-learn."""
