"""The card of a segmentation network: its data, the classes of its segments, and metrics."""

from pathlib import Path
from typing import ClassVar, Self

from iic.core.errors import InputError
from iic.evaluation.card import Card, card_path
from iic.segmentation.store import read_trunk_params


class SegmentationCard(Card):
    """The card of a segmentation network, which evaluation stores beside its folder.

    Attributes:
        tile: Height and width of the tiles that it was trained on, pixels.
    """

    remedy: ClassVar[str] = "run `dvc repro segmentation/dvc.yaml`, or `dvc pull` it"

    tile: int

    @classmethod
    def of(cls, model: Path) -> Self | None:
        """Read the card of a model, as Card.of, and check its number of segments."""
        card = super().of(model)
        if card and len(card.clusters) != read_trunk_params(model).clusters:
            raise InputError(f"{card_path(model)}: describes another network; {cls.remedy}")
        return card
