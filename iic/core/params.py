"""Typed parameters; params.yaml explains each key.

An unknown, missing, mistyped or out-of-range key is refused by name.
"""

import unicodedata
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from iic.core.constants import IMAGE_SIZE, TEACH_ALL, Head
from iic.core.errors import InputError
from iic.core.machine import has_bfloat16
from iic.core.shapes import ImageShape
from iic.core.validation import explain_all
from iic.core.yaml_text import read_tree

# Upper limit of parts of overclusters times clusters; training keeps two numbers for each.
_MAX_MOVES = 200_000_000

Operation = Literal["rotation", "distortion", "binarization", "noise", "flip", "color"]
Precision = Literal["float32", "mixed_bfloat16"]
Fitting = Literal["fit", "stretch", "crop", "refuse"]
Ink = Literal["auto", "light", "dark"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
# The operations of the article.
ARTICLE_OPERATIONS = OPERATIONS[:4]


def shown_operations(used: Collection[str]) -> list[Operation]:
    """Return the operations that the report shows: the article's, and others that a run uses."""
    return [name for name in OPERATIONS if name in ARTICLE_OPERATIONS or name in used]


def _one_line(text: str) -> str:
    """Refuse text that would break the lines of messages, tables and pages."""
    # Control characters, line separators and paragraph separators.
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
        raise PydanticCustomError("one_line", "Text should be one line without control characters")
    return text


def _more_than_one(pairs: int) -> int:
    if pairs == 1:
        raise PydanticCustomError(
            "one_pair", "Number should be at least 2: a single pair has no joint distribution"
        )
    return pairs


Fraction = Annotated[float, Field(ge=0, le=1)]
Width = Annotated[int, Field(ge=1, le=4096)]
# Largest height and width of the network's images.
MAX_SIDE = 128
Side = Annotated[int, Field(ge=16, le=MAX_SIDE)]
Channels = Literal[1, 3]
Poolings = Annotated[int, Field(ge=0, le=7)] | None
Location = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_one_line)]


class Section(BaseModel):
    """Base class of all sections: strict types (an integer is valid for a float), known keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


_S = TypeVar("_S", bound=Section)


class DataParams(Section):
    """The data set, and how custom images are read."""

    name: Literal["mnist", "fashion-mnist", "digits", "custom"]
    local_dir: Location | None
    path: Location
    image_size: Side
    channels: Channels
    size: Fitting
    color: Literal["grey", "refuse"]
    ink: Ink
    broken: Literal["refuse", "skip"]
    test_share: Annotated[float, Field(gt=0, lt=1)]
    max_images: Annotated[int, Field(ge=2, lt=2**31)]

    @property
    def input_shape(self) -> ImageShape:
        """Height, width and channels of the network's images."""
        return (self.image_size, self.image_size, self.channels)

    @model_validator(mode="after")
    def _is_consistent(self) -> "DataParams":
        if self.name != "custom":
            for key, fixed in (("image_size", IMAGE_SIZE), ("channels", 1)):
                if getattr(self, key) != fixed:
                    raise ValueError(
                        f"{key}: the images of {self.name} have {IMAGE_SIZE}×{IMAGE_SIZE} grey "
                        f"pixels; set it to {fixed}, or data.name to custom"
                    )
        elif self.channels == 3:
            _check_colors(self.size, self.color, self.ink)
        return self


def _check_colors(size: Fitting, color: str, ink: Ink) -> None:
    """Refuse settings that have no meaning for images in colour."""
    if ink != "auto":
        raise ValueError(
            "ink: images in colour have no ink and paper; set it to auto, or data.channels to 1"
        )
    if size == "crop":
        raise ValueError(
            "size: images in colour have no ink to crop to; set it to fit or stretch, or "
            "data.channels to 1"
        )
    if color == "refuse":
        raise ValueError("color: refuses the colours that data.channels 3 asks for; set it to grey")


class AugmentParams(Section):
    """The operations that make transformed views of an image, their ranges, and the pairs."""

    ops: list[Operation]
    views: Annotated[int, Field(ge=1, le=1000)]
    both_views: bool
    rotation: Annotated[float, Field(ge=0, le=180)]
    shear: Annotated[float, Field(ge=0, le=2)]
    scale: Annotated[float, Field(ge=0, lt=1)]
    shift: Annotated[float, Field(ge=0, le=28)]
    elastic: Annotated[float, Field(ge=0, le=28)]
    binarization: Fraction
    noise: Annotated[float, Field(ge=0, le=2)]
    flip: Fraction
    brightness: Annotated[float, Field(ge=0, le=1)]
    contrast: Annotated[float, Field(ge=0, le=1)]
    saturation: Annotated[float, Field(ge=0, le=1)]
    hue: Annotated[float, Field(ge=0, le=0.5)]
    strength_final: Fraction
    neighbors: Annotated[int, Field(ge=0, le=10_000)]
    neighbor_share: Fraction
    neighbor_until: Fraction

    @field_validator("ops")
    @classmethod
    def _sorted(cls, ops: list[Operation]) -> list[Operation]:
        """Sort the operations, since their order has no meaning."""
        return sorted(ops, key=OPERATIONS.index)

    @model_validator(mode="after")
    def _is_consistent(self) -> "AugmentParams":
        if len(set(self.ops)) != len(self.ops):
            raise ValueError("ops: names an operation twice; list each once")
        if self.both_views and self.views < 2:
            raise ValueError("views: a pair of two transformed views needs at least 2")
        return self


class ModelParams(Section):
    """The network: a convolutional backbone shared by two heads."""

    widths: Annotated[list[Width], Field(min_length=1, max_length=8)]
    head_widths: Annotated[list[Width], Field(max_length=8)]
    clusters: Annotated[int, Field(ge=2, le=10_000)]
    overclusters: Annotated[int, Field(ge=2, le=10_000)]
    pool_first: bool
    normalize_logits: bool
    poolings: Poolings

    @property
    def head_sizes(self) -> dict[Head, int]:
        """Number of outputs of each head."""
        return {Head.CLUSTER: self.clusters, Head.OVERCLUSTER: self.overclusters}


class ObjectiveParams(Section):
    """The weights of the mutual information of both heads, in clustering and in segmentation."""

    alpha: Annotated[float, Field(gt=0, le=1000)]
    alpha_final: Annotated[float, Field(gt=0, le=1000)] | None
    alpha_falls_from: Fraction
    alpha_falls_until: Fraction
    overclustering_weight: Fraction

    @model_validator(mode="after")
    def _is_consistent(self) -> "ObjectiveParams":
        if self.alpha_falls_from >= self.alpha_falls_until:
            raise ValueError("alpha_falls_until: should be greater than loss.alpha_falls_from")
        return self


class LossParams(ObjectiveParams):
    """The weights of the terms of the loss."""

    teaching_weight: Annotated[float, Field(ge=0, le=100)]
    teaching_from: Fraction


class OptimizerParams(Section):
    """The optimiser, its schedule and the numeric precision."""

    epochs: Annotated[int, Field(ge=1, le=100_000)]
    batch_size: Annotated[int, AfterValidator(_more_than_one), Field(ge=2, lt=2**31)]
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    learning_rate_final: Annotated[float, Field(ge=0, le=10)]
    precision: Precision | Literal["auto"]

    @property
    def used_precision(self) -> Precision:
        """Precision in which the layers compute on this machine."""
        if self.precision != "auto":
            return self.precision
        return "mixed_bfloat16" if has_bfloat16() else "float32"


class TrainParams(OptimizerParams):
    """The optimiser, and a second training."""

    second_seed: Annotated[int, Field(ge=0, lt=2**31)] | None


class StudentParams(Section):
    """The student: a final network that is taught the clusters of networks trained before it."""

    teachers: Annotated[int, Field(ge=0, le=100)]
    teacher_width: Annotated[float, Field(gt=0, le=4)]
    length: Annotated[float, Field(gt=0, le=100)]
    margin: Annotated[float, Field(ge=TEACH_ALL, le=2)]
    sure: Annotated[float, Field(ge=0, le=1)]


def _number_as_text(value: object) -> object:
    """Convert an integer to text, since the label 7 is a name."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


class ReportParams(Section):
    """The choices of the report."""

    label: Annotated[
        str,
        BeforeValidator(_number_as_text),
        Field(min_length=1, max_length=200),
        AfterValidator(_one_line),
    ]


class Params(Section):
    """All parameters in params.yaml; `recipe` is only a name for tables and pages."""

    recipe: Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_one_line)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    data: DataParams
    augment: AugmentParams
    model: ModelParams
    loss: LossParams
    train: TrainParams
    student: StudentParams
    report: ReportParams

    @property
    def student_epochs(self) -> int:
        """Epochs of the student; 0 without teachers."""
        if not self.student.teachers:
            return 0
        return max(1, round(self.student.length * self.train.epochs))

    @property
    def epochs(self) -> int:
        """Epochs of the history: of the only network, or of the first teacher and the student."""
        return self.train.epochs + self.student_epochs

    def with_values(self, **sections: Mapping[str, object]) -> "Params":
        """Return a copy in which some keys of some sections have other, valid values."""
        return self.model_copy(
            update={
                name: getattr(self, name).model_copy(update=values)
                for name, values in sections.items()
            }
        )

    @model_validator(mode="after")
    def _is_consistent(self) -> "Params":
        parts = self.model.overclusters * self.model.clusters
        if self.loss.teaching_weight and parts * self.model.clusters > _MAX_MOVES:
            raise ValueError(
                f"model.clusters: {parts:,} parts of overclusters that may move to "
                f"{self.model.clusters:,} clusters need gigabytes of memory; lower it or "
                "model.overclusters, or set loss.teaching_weight to 0"
            )
        if self.model.poolings is not None and not self.data.image_size >> self.model.poolings:
            raise ValueError(
                f"model.poolings: {self.model.poolings} poolings leave no pixel of images of "
                f"{self.data.image_size}×{self.data.image_size} pixels; lower it"
            )
        if self.train.second_seed == self.seed:
            raise ValueError(
                f"train.second_seed: {self.seed} is the seed of the first training; "
                "choose another, or null for no second training"
            )
        return self


def parse_params(text: str, source: str) -> Params:
    """Parse and validate the text of a parameter file.

    Args:
        text: YAML.
        source: Name of the file, for messages.

    Returns:
        The validated parameters.

    Raises:
        InputError: One line for each key that is unknown, missing, mistyped or out of range.
    """
    return validate_params(read_tree(text, source), source)


def validate_params(tree: dict[str, Any], source: str) -> Params:
    """Validate the content of a parameter file.

    Args:
        tree: Nested sections and keys.
        source: Name of the file, for messages.

    Returns:
        The validated parameters.

    Raises:
        InputError: One line for each key that is unknown, missing, mistyped or out of range.
    """
    return validated(Params, tree, source)


def validated(kind: type[_S], tree: dict[str, Any], source: str) -> _S:
    """Validate nested sections and keys; raise InputError with one line for each mistake.

    Args:
        kind: Section that contains all others.
        tree: Nested sections and keys.
        source: Name of the file, for messages.
    """
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise InputError(explain_all(error, source, list(_annotations(kind)))) from error


def text_keys() -> dict[str, bool]:
    """Return the dotted keys whose values are text, and whether each may be null instead."""
    found = {}
    for key, annotation in _annotations(Params).items():
        options = get_args(annotation) if type(None) in get_args(annotation) else (annotation,)
        if any(_is_text(option) for option in options):
            found[key] = type(None) in options
    return found


def _is_text(annotation: object) -> bool:
    """Return whether a type is a string or a choice of strings."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    return annotation is str or any(isinstance(choice, str) for choice in choices)


def _annotations(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Return the type of each key and section by its dotted name."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        found[prefix + name] = field.annotation
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= _annotations(field.annotation, f"{prefix}{name}.")
    return found
