"""Export of the network for other runtimes, with a check of the exported file.

The input of all formats is images as they are stored, uint8, (n, h, w) or (n, h, w, 3) in colour;
the file scales them itself. A file that expected pixels from 0 to 1 would give plausible but wrong
results for unscaled images.
"""

import importlib.util
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from iic.core.errors import InputError
from iic.core.files import read_arrays, write_text
from iic.core.plurals import counted
from iic.core.shapes import ImageShape, array_shape, shape_of
from iic.evaluation.card import Card, ModelCard, check_images
from iic.model.assignments import Assignments
from iic.model.network import predict
from iic.model.store import hash_of_weights, load_network
from iic.pipeline.paths import IMAGES
from iic.segmentation.card import SegmentationCard
from iic.segmentation.network import build_fine
from iic.segmentation.paths import TILES
from iic.segmentation.store import is_trunk, load_trunk, read_trunk_params
from iic.serving.info import Facts, versions

# Largest allowed difference of a probability; rounding causes about a hundredth of it.
TOLERANCE = 1e-4
# Images of the check, and the pixels that all of them have at most (256 images of 64×64).
_CHECKED, _CHECKED_PIXELS = 256, 1 << 20
# ONNX operator set of 2022, which older runtimes support as well.
_OPSET = 17
# Height and width of the tiles of a segmentation network without a card.
_TILE = 96
_INPUT = "images"

Runtime = Callable[[np.ndarray], Assignments]


class Format(NamedTuple):
    """An export format.

    Attributes:
        suffix: Suffix of the file name.
        packages: Import names of the optional packages that writing and checking need.
        write: Function that writes a network; it stores the description (JSON) in the file if the
            format allows.
        load: Function that loads a file into its own runtime and returns a function from images
            to assignments.
    """

    suffix: str
    packages: tuple[str, ...]
    write: Callable[[keras.Model, Path, str], None]
    load: Callable[[Path], Runtime]


class Exported(NamedTuple):
    """Result of an export and of its check.

    Attributes:
        path: Path of the file, or of the folder.
        description: Path of the JSON file beside it.
        size: Size of the file, or of all files in the folder, in bytes.
        difference: Largest difference of a probability between file and network.
        images: Images of the check, in words.
    """

    path: Path
    description: Path
    size: int
    difference: float
    images: str


def export(model: Path, name: str, out: Path | None, images: Path, *, force: bool) -> Exported:
    """Export a trained network, check the file, and describe it in a JSON file beside it.

    Args:
        model: Folder of the network; the model card beside it is optional.
        name: Name of the format, a key of FORMATS.
        out: Path to write; None for a file named after the data, in the current folder.
        images: Path of the pipeline's images. The check uses its test images, or generated images
            if the file does not exist.
        force: Whether to replace an existing export.

    Returns:
        Paths, size and largest difference of the exported file.

    Raises:
        InputError: The model or a package is missing, the target already exists, the converter
            fails, the file computes other probabilities, or the model was trained on other images.
            Nothing is written in these cases.
    """
    check_installed(name)
    card: Card | None
    if is_trunk(model):
        card = SegmentationCard.of(model)
        load = partial(_tile_network, model, card.tile if card else _TILE)
    else:
        card = clustering_card = ModelCard.of(model)
        check_images(clustering_card, model, images)
        load = partial(load_network, model)
    target = _target(name, out, card)
    beside = target.with_name(f"{target.name}.json")
    _check_target(name, target, beside, force)
    network = load()
    text = json.dumps(_describe(network, card, hash_of_weights(model)), indent=2) + "\n"
    checked, source = _images(images, network.input_shape[1:])
    # Computed first, since a converter could change the network.
    expected = predict(network, checked)
    with _placing(target, beside) as (temporary, temporary_beside):
        write_text(temporary_beside, text)
        with _one_line(name):
            FORMATS[name].write(deployable(network), temporary, text)
            difference = check(name, temporary, checked, expected)
    return Exported(target, beside, _size(target), difference, source)


def check_installed(name: str) -> None:
    """Raise InputError if a package that the format needs is not installed."""
    for package in FORMATS[name].packages:
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"{package}: not installed; `make setup EXTRAS=export` installs "
                "requirements/export.txt"
            )


def _tile_network(model: Path, side: int) -> keras.Model:
    """Load a segmentation network for tiles of one size, since not all formats take any."""
    params = read_trunk_params(model)
    tile = keras.Input((side, side, params.channels), name="tile")
    return keras.Model(tile, build_fine(load_trunk(model), params.poolings)(tile))


def deployable(network: keras.Model) -> keras.Model:
    """Wrap a network so that it takes stored images and names its outputs.

    Args:
        network: Network from `iic.model.network.build_network`, or of tiles.

    Returns:
        Model of Keras layers with the input "images", uint8, (n, h, w) or (n, h, w, 3), and the
        outputs "cluster" (n, k) and "overcluster" (n, k'), or (n, h, w, k) and (n, h, w, k').
    """
    shape = network.input_shape[1:]
    images = keras.Input(array_shape(shape), dtype="uint8", name=_INPUT)
    scaled = layers.Rescaling(1 / 255, name="scale")(images)
    outputs = network(layers.Reshape(shape, name="channel")(scaled))
    return keras.Model(images, Assignments(*outputs)._asdict(), name="iic_export")


def check(name: str, path: Path, images: np.ndarray, expected: Assignments) -> float:
    """Compare an exported file, run in its own runtime, with the network.

    Args:
        name: Name of the format.
        path: Path of the file.
        images: Images as the file takes them; run as one batch, and the first one alone.
        expected: Probabilities of the network for these images.

    Returns:
        Largest difference of a probability.

    Raises:
        InputError: The difference exceeds TOLERANCE or is NaN.
    """
    run = FORMATS[name].load(path)
    difference = max(
        float(np.max(np.abs(got - wanted[:n])))
        for n in (len(images), 1)
        for got, wanted in zip(run(images[:n]), expected, strict=True)
    )
    # `not <=` instead of `>`, so that NaN fails.
    if not difference <= TOLERANCE:
        raise InputError(
            f"{name}: probabilities differ by {difference:.2g} from the network's, more than "
            f"{TOLERANCE:g}; nothing was written, please report this"
        )
    return difference


def _target(name: str, out: Path | None, card: Card | None) -> Path:
    suffix = FORMATS[name].suffix
    if out is None:
        return Path(f"iic-{card.data}{suffix}" if card else f"iic{suffix}")
    if not out.name:
        raise InputError(f"{out}: not a name for a file; choose another path")
    # Keras and LiteRT require their suffix. Folders may have any name; model servers use numbers.
    if name != "savedmodel" and out.suffix != suffix:
        raise InputError(f"{out}: files of the format {name} must end in {suffix}")
    return out


def _check_target(name: str, target: Path, beside: Path, force: bool) -> None:
    """Refuse existing paths without `force`, and anything that is not an export even with it."""
    for path in (target, beside):
        if path.exists() and not force:
            raise InputError(f"{path}: already exists; --force replaces it")
    is_export = (target / "saved_model.pb").exists() if target.is_dir() else target.is_file()
    if target.exists() and (not is_export or target.is_dir() != (name == "savedmodel")):
        raise InputError(
            f"{target}: not of the format {name}, so it is not replaced; choose another path"
        )


def _describe(network: keras.Model, card: Card | None, weights: str) -> Facts:
    """Description of the file: input, outputs, names of the clusters, and origin."""
    heads = dict(zip(Assignments._fields, network.outputs, strict=True))
    # Without labels, a card has no class for any cluster.
    names = [card.cluster_names(), card.overcluster_names()] if card and card.labels else [[], []]
    shape = network.input_shape[1:]
    tiles = len(network.outputs[0].shape) == 4
    grey = "black (0) to white (255)" if tiles else "ink light (255) on dark paper (0)"
    meaning = grey if shape[2] == 1 else "red, green, blue (0 to 255)"
    return {
        "input": {
            "name": _INPUT,
            "dtype": "uint8",
            "shape": ["n", *array_shape(shape)],
            "meaning": f"{meaning}, as stored in {TILES if tiles else IMAGES}",
            # Values of the user's own images that became 0 and 255, by their type.
            "ranges": card.appearance.ranges if card and card.appearance else None,
        },
        "outputs": {
            head: {
                "dtype": "float32",
                "shape": ["n", *output.shape[1:]],
                "meaning": f"probability of each{' for each pixel' if tiles else ''}",
                "names": known or None,
            }
            for (head, output), known in zip(heads.items(), names, strict=True)
        },
        "model": {
            "card": card and card.model_dump(include={"data", "size", "ink", "recipe", "seed"}),
            "metrics": card and card.metrics,
            "weights_sha256": weights,
        },
        "versions": versions(),
    }


def _images(path: Path, shape: ImageShape) -> tuple[np.ndarray, str]:
    """Images for the check, and their description; generated images if there are no real ones."""
    n = max(2, min(_CHECKED, _CHECKED_PIXELS // (shape[0] * shape[1])))
    if path.exists():
        name = "test_tiles" if path.name == TILES.name else "test_images"
        images = read_arrays(path, [name])[name][:n]
        if len(images) and shape_of(images) == shape:
            return images, f"{counted(len(images), 'test image')} of {path}"
    return generated_images(n, shape), f"{n} generated images"


def generated_images(n: int, shape: ImageShape) -> np.ndarray:
    """Generate noise images, uint8, (n, h, w) or (n, h, w, 3), of four grain sizes."""
    random = np.random.default_rng(0)
    height, width, *channels = array_shape(shape)
    images = np.empty((n, height, width, *channels), np.uint8)
    for index in range(n):
        grain = (1, 4, 7, 14)[index % 4]
        coarse = random.integers(
            0, 256, (-(-height // grain), -(-width // grain), *channels), np.uint8
        )
        fine = coarse.repeat(grain, axis=0).repeat(grain, axis=1)
        images[index] = fine[:height, :width]
    return images


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


@contextmanager
def _placing(target: Path, beside: Path) -> Iterator[tuple[Path, Path]]:
    """Yield temporary paths for both; they replace the targets if the block succeeds.

    `iic.core.files.replacing` does this for one file, but a folder cannot replace another folder.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        new, old = Path(folder) / "new", Path(folder) / "old"
        new.mkdir()
        yield new / target.name, new / beside.name
        if target.is_dir():
            target.rename(old)
        try:
            (new / target.name).replace(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
        (new / beside.name).replace(beside)


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Convert any exception of a converter or runtime into an InputError of one line."""
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{name}: the converter or its runtime failed ({reason})") from error


def _write_savedmodel(network: keras.Model, path: Path, description: str) -> None:
    network.export(path, format="tf_saved_model", verbose=False)
    # The folder that the SavedModel format reserves for files of users.
    write_text(path / "assets.extra" / "iic.json", description)


def _load_savedmodel(path: Path) -> Runtime:
    served = tf.saved_model.load(path)

    def run(images: np.ndarray) -> Assignments:
        outputs = served.signatures["serving_default"](**{_INPUT: tf.constant(images)})
        return Assignments(**{head: output.numpy() for head, output in outputs.items()})

    return run


def _write_keras(network: keras.Model, path: Path, description: str) -> None:  # noqa: ARG001
    network.save(path)


def _load_keras(path: Path) -> Runtime:
    network = keras.models.load_model(path, compile=False, safe_mode=True)
    return lambda images: Assignments(**network.predict(images, verbose=0))


def _write_onnx(network: keras.Model, path: Path, description: str) -> None:
    import onnx

    # Keras needs a signature for a network that has not been called.
    signature = [keras.InputSpec("uint8", network.input_shape, name=_INPUT)]
    network.export(
        path, format="onnx", verbose=False, opset_version=_OPSET, input_signature=signature
    )
    proto = onnx.load(path)
    for value in (*proto.graph.input, *proto.graph.output):
        # The converter gives this dimension another name in each input and output.
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    onnx.helper.set_model_props(proto, {"iic": description})
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)


def _load_onnx(path: Path) -> Runtime:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: Assignments(*session.run(Assignments._fields, {_INPUT: images}))


def _write_litert(network: keras.Model, path: Path, description: str) -> None:  # noqa: ARG001
    network.export(path, format="litert", verbose=False)


def _load_litert(path: Path) -> Runtime:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path)).get_signature_runner("serving_default")
    return lambda images: Assignments(**runner(**{_INPUT: images}))


FORMATS = {
    "savedmodel": Format(".savedmodel", (), _write_savedmodel, _load_savedmodel),
    "keras": Format(".keras", (), _write_keras, _load_keras),
    "onnx": Format(".onnx", ("tf2onnx", "onnx", "onnxruntime"), _write_onnx, _load_onnx),
    "litert": Format(".tflite", ("ai_edge_litert",), _write_litert, _load_litert),
}
