"""Pairs of transformed views: neighbours, draws, augmentation, schedule and batches."""
