"""What `iic predict` costs beside the bare network: whole processes, taking turns."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from iic.core.errors import InputError
from iic.core.files import read_arrays
from iic.model.network import predict
from iic.model.store import load_network
from iic.pipeline.paths import IMAGES, MODEL
from tools.bench.timing import take_turns

ROUNDS = 9


def measure() -> dict[str, float]:
    """Seconds for the test images from an NPZ file and from PNG files, and of the network alone.

    `start` is the time of a call with one image: Python, TensorFlow and the model.
    """
    images = read_arrays(IMAGES, ["test_images"])["test_images"]
    network = load_network(MODEL)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _save(images, folder)
        works: dict[str, Callable[[], object]] = {
            "network": lambda: predict(network, images),
            "start": lambda: _call(folder / "png/00000.png", folder),
            "npz": lambda: _call(folder / "test.npz", folder),
            "png": lambda: _call(folder / "png", folder),
        }
        seconds = take_turns(works, ROUNDS)
    return {"images": len(images)} | {name: round(value, 3) for name, value in seconds.items()}


def _save(images: np.ndarray, folder: Path) -> None:
    np.savez(folder / "test.npz", images=images)
    (folder / "png").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"png/{number:05d}.png")


def _call(source: Path, folder: Path) -> None:
    """The command as a user gives it."""
    program = Path(sys.executable).with_name("iic")
    command = [str(program), "predict", str(source), "--out", str(folder / "out.csv")]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)  # noqa: S603 - a list, no shell
    if done.returncode != 0:
        raise InputError(f"{' '.join(command)}: {done.stderr.strip()}")
