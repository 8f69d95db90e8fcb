"""Paths of the files of the segmentation pipeline."""

from pathlib import Path

from iic.pipeline.paths import MEASUREMENTS

SOURCE = Path("data/segmentation/source.json")
TILES = Path("data/segmentation/tiles.npz")
MASKS = Path("data/segmentation/masks.npz")
SNAPSHOTS = Path("data/segmentation/snapshots.npz")
APPEARANCE = Path("data/segmentation/appearance.json")
MAP = Path("data/segmentation/map.npz")
MODEL = Path("segmentation/model")
MODEL_CARD = Path("segmentation/model-card.json")
REPORTS = Path("reports/segmentation")
HISTORY = REPORTS / "history.csv"
ACCURACY = REPORTS / "accuracy.csv"
METRICS = REPORTS / "metrics.json"
SEGMENTS = Path("data/segmentation/segments.npz")
FIGURES = REPORTS / "figures"
# Measured by a command, not by a stage.
RESULTS = MEASUREMENTS / "segmentation.json"
PAGE = REPORTS / "index.html"
