"""Paths of the files of the segmentation pipeline."""

from pathlib import Path

TILES = Path("data/segmentation/tiles.npz")
MASKS = Path("data/segmentation/masks.npz")
SNAPSHOTS = Path("data/segmentation/snapshots.npz")
MODEL = Path("segmentation/model")
REPORTS = Path("reports/segmentation")
HISTORY = REPORTS / "history.csv"
ACCURACY = REPORTS / "accuracy.csv"
METRICS = REPORTS / "metrics.json"
SEGMENTS = Path("data/segmentation/segments.npz")
