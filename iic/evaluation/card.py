"""The card of a trained model: its data, settings, classes of its clusters, and metrics."""

from pathlib import Path
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import AfterValidator, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from iic.core.appearance import Appearance
from iic.core.errors import InputError
from iic.core.files import is_writable_name, read_text, sha256_of, write_text
from iic.core.params import Fitting, Ink, Precision, Section
from iic.core.validation import explain_first
from iic.model.store import hash_of_weights

# Upper limits of the file and, in characters, of a name; 100,000 classes need less.
_MAX_BYTES = 1 << 24
_MAX_NAME = 10_000
CARD_REMEDY = "run `dvc repro evaluate`, or `dvc pull` it"


def _writable(name: str) -> str:
    if not is_writable_name(name) or len(name) > _MAX_NAME:
        raise PydanticCustomError(
            "writable",
            f"Text should have at most {_MAX_NAME:,} characters and no control characters",
        )
    return name


# Names are checked, since they are printed and a card may come from someone else.
Name = Annotated[str, AfterValidator(_writable)]
_METRICS = TypeAdapter(dict[Name, float])


class Card(Section):
    """What the cards of both pipelines have.

    Attributes:
        seed: Seed of the training.
        data: Name of the data set.
        appearance: How the custom images of the training looked; None for published data sets, and
            in cards of earlier versions.
        precision: Precision of the training's steps.
        labels: Names of the classes; empty if the data have no labels.
        clusters: Class of each cluster as an index into `labels`; None for a cluster without a
            test image of its class.
        overclusters: Most frequent class of each overcluster, likewise.
        metrics: Metrics of the run by name.
        weights_sha256: SHA-256 of the weights file that the card describes.
    """

    remedy: ClassVar[str] = CARD_REMEDY

    seed: int
    data: Name
    appearance: Appearance | None = None
    precision: Precision = "float32"
    labels: list[Name]
    clusters: list[int | None]
    overclusters: list[int | None]
    metrics: dict[Name, float]
    weights_sha256: str

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read a card; return None if the file does not exist.

        Raises:
            InputError: The card is damaged, or a cluster's class is not in its list of labels.
        """
        if not path.exists():
            return None
        try:
            card = cls.model_validate_json(read_text(path, "", cls.remedy, _MAX_BYTES))
        except ValidationError as error:
            raise InputError(f"{path}: {explain_first(error)}; {cls.remedy}") from error
        named = [label for label in (*card.clusters, *card.overclusters) if label is not None]
        if named and not 0 <= min(named) <= max(named) < len(card.labels):
            raise InputError(f"{path}: refers to a label that it does not list; {cls.remedy}")
        return card

    @classmethod
    def of(cls, model: Path) -> Self | None:
        """Read the card of a model; return None if there is none.

        Args:
            model: Folder of the model.

        Raises:
            InputError: The card is damaged, or it describes other weights than the model's.
        """
        path = card_path(model)
        card = cls.read(path)
        if card and card.weights_sha256 != hash_of_weights(model):
            raise InputError(
                f"{path}: describes other weights than those in {model}; {cls.remedy}, or remove it"
            )
        return card

    def cluster_names(self) -> list[str | None]:
        """Return the name of the class of each cluster, or None."""
        return self._names(self.clusters)

    def overcluster_names(self) -> list[str | None]:
        """Return the name of the most frequent class of each overcluster, or None."""
        return self._names(self.overclusters)

    def _names(self, classes: list[int | None]) -> list[str | None]:
        return [None if label is None else self.labels[label] for label in classes]


class ModelCard(Card):
    """The card of a trained model, which evaluation stores beside the model's folder.

    Attributes:
        recipe: Name of the recipe.
        size: How images of other sizes were converted to the network's input size.
        ink: Which grey values were taken for ink in custom images.
        ink_share: Mean and standard deviation of the ink of the training images, as a share of full
            ink; None in cards of earlier versions.
        images_sha256: SHA-256 of the pipeline's file of images; None in older cards.
    """

    recipe: Name
    size: Fitting
    ink: Ink
    ink_share: tuple[float, float] | None = None
    images_sha256: str | None = None


def card_path(model: Path) -> Path:
    """Return the path of a model's card, which is beside the folder that training writes."""
    return model.with_name(f"{model.name}-card.json")


def write_card(card: Card, path: Path) -> None:
    """Write a card as JSON, atomically."""
    write_text(path, card.model_dump_json(indent=2) + "\n")


def ink_share(images: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of the ink of training images (n, h, w), uint8.

    `iic predict` recognises images of another kind by them.
    """
    ink = images.reshape(len(images), -1).mean(axis=1) / 255
    return round(float(ink.mean()), 4), round(float(ink.std()), 4)


def read_metrics(path: Path) -> dict[str, float]:
    """Read the metrics file that evaluation writes.

    Returns:
        Metrics by name.

    Raises:
        InputError: The file is missing or does not contain metrics.
    """
    try:
        return _METRICS.validate_json(read_text(path, CARD_REMEDY, CARD_REMEDY, _MAX_BYTES))
    except ValidationError as error:
        raise InputError(f"{path}: no metrics ({explain_first(error)}); {CARD_REMEDY}") from error


def check_images(card: ModelCard | None, model: Path, images: Path) -> None:
    """Check that a file of images, if it exists, is the one that a model was trained on.

    Args:
        card: Card of the model; None and older cards allow no check.
        model: Folder of the model.
        images: Path of the pipeline's file of images.

    Raises:
        InputError: The file contains other images.
    """
    if card and card.images_sha256 and images.exists() and sha256_of(images) != card.images_sha256:
        raise InputError(
            f"{images}: not the images that {model} was trained on; run `dvc repro`, or give the "
            "--model of these images"
        )
