"""Typed parameters of segmentation; segmentation/params.yaml explains each key.

An unknown, missing, mistyped or out-of-range key is refused by name.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from iic.core.constants import Head
from iic.core.params import (
    Channels,
    Fraction,
    Location,
    ObjectiveParams,
    OptimizerParams,
    Section,
    Width,
    validated,
)
from iic.core.yaml_text import read_tree
from iic.pipeline.stage import read_params_text
from iic.segmentation.constants import MOST_CLASSES

Range = Annotated[float, Field(ge=0, le=1)]
Reach = Annotated[int, Field(ge=0, le=32)]
Outputs = Annotated[int, Field(ge=2, le=MOST_CLASSES)]

# Largest side of a tile: half a photograph's, and a third of the width of the first two blocks of
# longitude, the second of which is for testing.
_LARGEST_TILES = {"textures": 256, "earth": 450, "custom": 512}
# Defaults of data.path and data.masks, which DVC needs to exist.
_NO_PICTURES, NO_MASKS = Path("stages/no-images"), Path("stages/no-masks")


class ScenesParams(Section):
    """The pictures, cut into square tiles."""

    name: Literal["textures", "earth", "custom"]
    path: Location
    masks: Location
    classes: Annotated[list[Location], Field(min_length=1, max_length=MOST_CLASSES)] | None
    channels: Channels | None
    tile: Annotated[int, Field(ge=32, le=512)]
    train_tiles: Annotated[int, Field(ge=2, le=100_000)]
    test_tiles: Annotated[int, Field(ge=1, le=100_000)]

    @model_validator(mode="after")
    def _is_consistent(self) -> "ScenesParams":
        if self.name == "custom":
            if Path(self.path) == _NO_PICTURES:
                raise ValueError("path: set it to your pictures, since data.name is custom")
            if self.classes and Path(self.masks) == NO_MASKS:
                raise ValueError("classes: names the values of masks; set data.masks to theirs")
            return self
        defaults: dict[str, object] = {
            "path": str(_NO_PICTURES),
            "masks": str(NO_MASKS),
            "classes": None,
            "channels": None,
        }
        for key, default in defaults.items():
            if getattr(self, key) != default:
                shown = "null" if default is None else default
                raise ValueError(
                    f"{key}: is only for data.name custom, not for {self.name}; set it to {shown}, "
                    "or data.name to custom"
                )
        return self


class ViewParams(Section):
    """The operations that make the two views of a tile."""

    symmetries: bool
    rotation: Annotated[float, Field(ge=0, le=45)]
    brightness: Range
    contrast: Range
    saturation: Range
    hue: Annotated[float, Field(ge=0, le=0.5)]
    noise: Range
    mix_from: Fraction


class TrunkParams(Section):
    """The network: a fully convolutional trunk shared by two heads."""

    widths: Annotated[list[Width], Field(min_length=1, max_length=16)]
    poolings: Annotated[int, Field(ge=0, le=5)]
    clusters: Outputs
    overclusters: Outputs
    grouped: bool

    @property
    def head_sizes(self) -> dict[Head, int]:
        """Number of outputs of each head."""
        return {Head.CLUSTER: self.clusters, Head.OVERCLUSTER: self.overclusters}

    @model_validator(mode="after")
    def _is_consistent(self) -> "TrunkParams":
        if self.poolings > len(self.widths):
            raise ValueError(
                f"poolings: {self.poolings} poolings need as many blocks, but model.widths has "
                f"{len(self.widths)}; lower it"
            )
        if self.grouped and self.overclusters < self.clusters:
            raise ValueError(
                f"grouped: {self.clusters} groups need as many overclusters, but "
                f"model.overclusters is {self.overclusters}; raise it"
            )
        return self


class SegmentationLossParams(ObjectiveParams):
    """The weights of the terms of the loss, and its displacements."""

    grouping_alpha: Annotated[float, Field(gt=0, le=1000)]
    reach: Reach
    reach_final: Reach
    reach_falls_at: Fraction


class SegmentationParams(Section):
    """All parameters in segmentation/params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**31)]
    data: ScenesParams
    views: ViewParams
    model: TrunkParams
    loss: SegmentationLossParams
    train: OptimizerParams

    @model_validator(mode="after")
    def _is_consistent(self) -> "SegmentationParams":
        step = 2**self.model.poolings
        if self.data.tile % step:
            raise ValueError(
                f"data.tile: {self.data.tile} pixels cannot be halved {self.model.poolings} times; "
                f"choose a multiple of {step}, or lower model.poolings"
            )
        most = _LARGEST_TILES[self.data.name]
        if self.data.tile > most:
            raise ValueError(
                f"data.tile: tiles of {self.data.name} have at most {most}×{most} pixels; lower it"
            )
        outputs = self.data.tile // step
        for key in ("reach", "reach_final"):
            if getattr(self.loss, key) >= outputs:
                raise ValueError(
                    f"loss.{key}: displacements have to be smaller than the {outputs} outputs of "
                    "a tile along each axis; lower it"
                )
        return self


def parse_segmentation_params(text: str, source: str) -> SegmentationParams:
    """Parse and validate the text of a parameter file.

    Args:
        text: YAML.
        source: Name of the file, for messages.

    Returns:
        The validated parameters.

    Raises:
        InputError: One line for each key that is unknown, missing, mistyped or out of range.
    """
    return validated(SegmentationParams, read_tree(text, source), source)


def read_segmentation_params(path: Path) -> SegmentationParams:
    """Read and validate a parameter file; raise InputError on any mistake in it."""
    return parse_segmentation_params(read_params_text(path), str(path))
