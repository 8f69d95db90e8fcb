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
    ObjectiveParams,
    OptimizerParams,
    Section,
    Width,
    validated,
)
from iic.core.yaml_text import read_tree
from iic.pipeline.stage import read_params_text

Range = Annotated[float, Field(ge=0, le=1)]
Reach = Annotated[int, Field(ge=0, le=32)]


# Largest side of a tile: half a photograph's, and a third of the width of the first two blocks of
# longitude, the second of which is for testing.
_LARGEST_TILES = {"textures": 256, "earth": 450}


class ScenesParams(Section):
    """The pictures, cut into square tiles."""

    name: Literal["textures", "earth"]
    tile: Annotated[int, Field(ge=32, le=512)]
    train_tiles: Annotated[int, Field(ge=2, le=100_000)]
    test_tiles: Annotated[int, Field(ge=1, le=100_000)]

    @property
    def channels(self) -> Channels:
        """Channels of the pictures: 1 for grey, 3 for colours."""
        return 1 if self.name == "textures" else 3


class ViewParams(Section):
    """The operations that make the two views of a tile."""

    symmetries: bool
    rotation: Annotated[float, Field(ge=0, le=45)]
    brightness: Range
    contrast: Range
    saturation: Range
    hue: Annotated[float, Field(ge=0, le=0.5)]
    noise: Range


class TrunkParams(Section):
    """The network: a fully convolutional trunk shared by two heads."""

    widths: Annotated[list[Width], Field(min_length=1, max_length=16)]
    poolings: Annotated[int, Field(ge=0, le=5)]
    clusters: Annotated[int, Field(ge=2, le=250)]
    overclusters: Annotated[int, Field(ge=2, le=250)]

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
        return self


class SegmentationLossParams(ObjectiveParams):
    """The weights of the terms of the loss, and its displacements."""

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
