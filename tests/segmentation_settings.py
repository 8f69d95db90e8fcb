"""Settings small enough for a test of segmentation."""

from conftest import ROOT, override

from iic.segmentation.params import SegmentationParams, parse_segmentation_params

TEXT = (ROOT / "segmentation/params.yaml").read_text("utf-8")
TINY = {
    "data.tile": 32,
    "data.train_tiles": 12,
    "data.test_tiles": 3,
    "views.rotation": 10.0,
    "views.mix_from": 0.5,
    "model.widths": [4, 6],
    "model.overclusters": 5,
    "loss.reach": 2,
    "train.epochs": 3,
    "train.batch_size": 4,
}


def settings(values: dict[str, object] | None = None) -> SegmentationParams:
    """The committed parameters, made tiny, with some other values."""
    return parse_segmentation_params(override(TEXT, TINY | (values or {})), "params.yaml")
