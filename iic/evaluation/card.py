"""What is known of a trained model beside its weights: data, settings, names of its clusters."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter, ValidationError

from iic.core.errors import InputError
from iic.core.files import is_writable_name, read_text, write_text
from iic.core.params import Fitting, Ink, Section
from iic.core.validation import explain_first
from iic.model.store import hash_of_weights

# Of a card, and letters of a name in it; those of a hundred thousand classes are fewer.
_BYTES = 1 << 24
_LONGEST = 10_000


def _writable(name: str) -> str:
    if not is_writable_name(name) or len(name) > _LONGEST:
        raise ValueError(f"control characters, or more than {_LONGEST:,} letters")
    return name


# Of a card that others wrote, which is printed.
Name = Annotated[str, AfterValidator(_writable)]
_METRICS = TypeAdapter(dict[Name, float])


class ModelCard(Section):
    """Stored at evaluation beside the model's folder.

    Attributes:
        recipe: what the settings were called.
        seed: of the training.
        data: name of the data set.
        size: how images of another size were made to fit.
        ink: what was taken for ink in custom images.
        labels: names of the classes; empty where the data have no labels.
        clusters: class of each cluster, an index into labels; None where it has none.
        overclusters: the most frequent class of each overcluster, likewise.
        metrics: reports/metrics.json.
        weights_sha256: of the weights that all this is said of.
    """

    recipe: Name
    seed: int
    data: Name
    size: Fitting
    ink: Ink
    labels: list[Name]
    clusters: list[int | None]
    overclusters: list[int | None]
    metrics: dict[Name, float]
    weights_sha256: str

    def cluster_names(self) -> list[str | None]:
        """Name of the class that each cluster stands for, or None."""
        return self._names(self.clusters)

    def overcluster_names(self) -> list[str | None]:
        """Name of the most frequent class of each overcluster, or None."""
        return self._names(self.overclusters)

    def _names(self, classes: list[int | None]) -> list[str | None]:
        return [None if label is None else self.labels[label] for label in classes]


def card_path(model: Path) -> Path:
    """Where the card of a model's folder lies: beside it, since the folder is training's own."""
    return model.with_name(f"{model.name}-card.json")


def write_card(card: ModelCard, path: Path) -> None:
    """Write a card as JSON, atomically."""
    write_text(path, card.model_dump_json(indent=2) + "\n")


def read_card(path: Path) -> ModelCard | None:
    """Read a card; None where there is none.

    Raises:
        InputError: it is damaged, or its clusters name labels that it lacks.
    """
    if not path.exists():
        return None
    try:
        card = ModelCard.model_validate_json(read_text(path, "", _REMEDY, _BYTES))
    except ValidationError as error:
        raise InputError(f"{path}: {explain_first(error)}; {_REMEDY}") from error
    named = [label for label in (*card.clusters, *card.overclusters) if label is not None]
    if named and not 0 <= min(named) <= max(named) < len(card.labels):
        raise InputError(f"{path}: names a label that it does not list; {_REMEDY}")
    return card


def read_metrics(path: Path) -> dict[str, float]:
    """Metrics as evaluation stores them beside the card.

    Raises:
        InputError: they are missing, or something else.
    """
    try:
        return _METRICS.validate_json(read_text(path, _REMEDY, _REMEDY, _BYTES))
    except ValidationError as error:
        raise InputError(f"{path}: no metrics ({explain_first(error)}); {_REMEDY}") from error


def card_of(model: Path) -> ModelCard | None:
    """The card that lies beside a model's folder; None where there is none.

    Raises:
        InputError: it is damaged, or says what it says of other weights.
    """
    path = card_path(model)
    card = read_card(path)
    if card and card.weights_sha256 != hash_of_weights(model):
        raise InputError(f"{path}: of other weights than those in {model}; {_REMEDY}, or remove it")
    return card


_REMEDY = "run `dvc repro evaluate`, or `dvc pull` it"
