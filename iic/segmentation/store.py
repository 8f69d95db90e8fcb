"""The files of a trained segmentation network."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from iic.core.constants import Head
from iic.core.params import Channels, Precision
from iic.model.store import CONFIG, load_checked, read_config, write_model
from iic.segmentation.params import TrunkParams

if TYPE_CHECKING:
    import keras

# Bytes of a description that are searched for its kind.
_BEGINNING = 1 << 16
_REMEDY = "delete the folder and run `make segment`, or `dvc pull` the model"


class SavedTrunk(TrunkParams):
    """The parameters of a saved network.

    Attributes:
        channels: Channels of the pictures, 1 for grey and 3 for colours.
        precision: Precision of the training's steps.
    """

    channels: Channels
    precision: Precision

    @property
    def weights(self) -> int:
        """Number of weights: kernels, biases, four per channel of each BatchNorm, and groups."""
        widths = [int(self.channels), *self.widths]
        trunk = sum(9 * before * after + 5 * after for before, after in pairwise(widths))
        heads = {head: (widths[-1] + 5) * k for head, k in self.head_sizes.items()}
        if self.grouped:
            heads[Head.CLUSTER] = self.clusters * self.overclusters
        return trunk + sum(heads.values())


def save_trunk(
    network: "keras.Model", params: TrunkParams, folder: Path, precision: Precision
) -> None:
    """Write the parameters of a network and its weights, the same bytes each time.

    Args:
        network: Network from build_trunk.
        params: Parameters from which the network was built.
        folder: Folder to write into.
        precision: Precision of the training's steps.
    """
    more = {"channels": network.input_shape[-1], "precision": precision}
    write_model(network, params.model_dump() | more, folder)


def read_trunk_params(folder: Path) -> SavedTrunk:
    """Read the parameters of a saved network; raise InputError on a missing or damaged file."""
    return read_config(folder, SavedTrunk, _REMEDY, _REMEDY)


def is_trunk(folder: Path) -> bool:
    """Return whether a folder contains a segmentation network, and not one of clustering."""
    file = folder / CONFIG
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        # A damaged file is reported by whoever reads it.
        return b'"channels"' in opened.read(_BEGINNING)


def load_trunk(folder: Path) -> "keras.Model":
    """Load a saved network.

    Only parameters and numbers are read, never code.

    Args:
        folder: Folder that save_trunk wrote.

    Returns:
        Network in float32, as from build_trunk.

    Raises:
        InputError: A file is missing, damaged or not what save_trunk writes.
    """
    from iic.segmentation.network import build_trunk

    params = read_trunk_params(folder)
    return load_checked(
        lambda: build_trunk(params, params.channels), params.weights, folder, _REMEDY
    )
