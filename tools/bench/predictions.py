"""Time of the command `iic predict` in comparison with the network alone."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from iic.core.files import read_arrays
from iic.model.network import predict
from iic.model.store import load_network
from iic.pipeline.paths import IMAGES, MODEL
from iic.serving.predict import FEW
from tools.bench.timing import take_turns
from tools.command import call

ROUNDS = 9


def measure() -> dict[str, float]:
    """Measure predictions of the test images.

    Returns:
        `images`, the number of images, `least`, the smallest number that needs TensorFlow, and
        seconds: `network` of the network alone, `one` of the command with one image, `start` of the
        command with `least` images, `npz` and `png` of the command with all images in an NPZ file
        and in PNG files.
    """
    images = read_arrays(IMAGES, ["test_images"])["test_images"]
    network = load_network(MODEL)
    least = FEW // images[0].size + 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _save_images(images, folder)
        np.savez(folder / "least.npz", images=np.resize(images, (least, *images.shape[1:])))
        works: dict[str, Callable[[], object]] = {
            "network": lambda: predict(network, images),
            "one": lambda: _predict(folder / "png/00000.png", folder),
            "start": lambda: _predict(folder / "least.npz", folder),
            "npz": lambda: _predict(folder / "test.npz", folder),
            "png": lambda: _predict(folder / "png", folder),
        }
        seconds = take_turns(works, ROUNDS)
    rounded = {name: round(value, 3) for name, value in seconds.items()}
    return {"images": len(images), "least": least} | rounded


def _save_images(images: np.ndarray, folder: Path) -> None:
    np.savez(folder / "test.npz", images=images)
    (folder / "png").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"png/{number:05d}.png")


def _predict(source: Path, folder: Path) -> None:
    """Run the command as a user does."""
    program = Path(sys.executable).with_name("iic")
    command = [str(program), "predict", str(source), "--out", str(folder / "out.csv")]
    call(*command, cwd=Path())
