"""The network as a file for other runtimes, and the check that the file computes the same.

All formats take images as they are stored, (n, 28, 28) uint8, and scale them inside: a file that
expects pixels between 0 and 1 gives plausible nonsense to whoever forgets to divide by 255.
"""

import importlib.util
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from iic.core.constants import IMAGE_SIZE
from iic.core.errors import InputError
from iic.core.files import read_arrays, write_text
from iic.evaluation.card import ModelCard, card_of
from iic.model.assignments import Assignments
from iic.model.network import predict
from iic.model.store import hash_of_weights, load_network
from iic.serving.info import Facts, versions

# Largest difference of a probability; rounding alone makes a hundredth of it.
TOLERANCE = 1e-4
_CHECKED = 256
# Version of ONNX's operations, of 2022: older runtimes read it than the newest one's.
_OPSET = 17
_INPUT = "images"

Runtime = Callable[[np.ndarray], Assignments]


class Format(NamedTuple):
    """A format: how it is written, and how its own runtime reads it.

    Attributes:
        suffix: of its files.
        packages: optional ones that writing or checking needs, by their names in Python.
        write: writes a network and its description, as JSON, where the format has a place for it.
        load: gives the function that a file computes.
    """

    suffix: str
    packages: tuple[str, ...]
    write: Callable[[keras.Model, Path, str], None]
    load: Callable[[Path], Runtime]


class Exported(NamedTuple):
    """What was written, and how it was checked.

    Attributes:
        path: of the file, or of the folder.
        description: of the JSON beside it.
        size: of the file, or of all files in the folder, in bytes.
        difference: largest one of a probability between file and network.
        images: what was compared, in words.
    """

    path: Path
    description: Path
    size: int
    difference: float
    images: str


def export(model: Path, name: str, out: Path | None, images: Path, *, force: bool) -> Exported:
    """Write a trained network in another format, checked, with a JSON that describes it beside it.

    Args:
        model: folder of the network; its card, if any, lies beside it.
        name: of the format, a key of FORMATS.
        out: path of the file; None = named after the data, in the current folder.
        images: arrays of the pipeline; its test images are compared if the file is there.
        force: whether to replace what is there.

    Raises:
        InputError: the model is missing, a package is, the target is there already, the converter
            fails, or the file computes something else. Nothing is left then.
    """
    check_installed(name)
    card = card_of(model)
    target = _target(name, out, card)
    beside = target.with_name(f"{target.name}.json")
    _check_target(name, target, beside, force)
    network = load_network(model)
    text = json.dumps(_describe(network, card, hash_of_weights(model)), indent=2) + "\n"
    checked, source = _images(images)
    # Before the converter has had the network in its hands.
    expected = predict(network, checked)
    with _placing(target, beside) as (temporary, temporary_beside):
        write_text(temporary_beside, text)
        with _one_line(name):
            FORMATS[name].write(deployable(network), temporary, text)
            difference = check(name, temporary, checked, expected)
    return Exported(target, beside, _size(target), difference, source)


def check_installed(name: str) -> None:
    """Raise InputError if a package that this format needs is not installed."""
    for package in FORMATS[name].packages:
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"{package}: not installed; `make setup EXTRAS=export` installs "
                "requirements/export.txt"
            )


def deployable(network: keras.Model) -> keras.Model:
    """(n, 28, 28) uint8 -> {"cluster": (n, k), "overcluster": (n, k')}, of Keras's layers alone."""
    images = keras.Input((IMAGE_SIZE, IMAGE_SIZE), dtype="uint8", name=_INPUT)
    scaled = layers.Rescaling(1 / 255, name="scale")(images)
    outputs = network(layers.Reshape((IMAGE_SIZE, IMAGE_SIZE, 1), name="channel")(scaled))
    return keras.Model(images, Assignments(*outputs)._asdict(), name="iic_export")


def check(name: str, path: Path, images: np.ndarray, expected: Assignments) -> float:
    """Largest difference of a probability between a file in its own runtime and the network.

    Args:
        name: of the format.
        path: of the file.
        images: (n, 28, 28) uint8; run all at once, and the first one alone.
        expected: the network's probabilities of these images.

    Raises:
        InputError: it is above TOLERANCE, or none.
    """
    run = FORMATS[name].load(path)
    difference = max(
        float(np.max(np.abs(got - wanted[:n])))
        for n in (len(images), 1)
        for got, wanted in zip(run(images[:n]), expected, strict=True)
    )
    # Written so that NaN, which is not below anything, fails.
    if not difference <= TOLERANCE:
        raise InputError(
            f"{name}: probabilities differ by {difference:.2g} from the network's, more than "
            f"{TOLERANCE:g}; nothing was written, please report it"
        )
    return difference


def _target(name: str, out: Path | None, card: ModelCard | None) -> Path:
    suffix = FORMATS[name].suffix
    if out is None:
        return Path(f"iic-{card.data}{suffix}" if card else f"iic{suffix}")
    if not out.name:
        raise InputError(f"{out}: no name for a file; choose another")
    # Keras and LiteRT insist on theirs. A folder may have any name: servers want numbers.
    if name != "savedmodel" and out.suffix != suffix:
        raise InputError(f"{out}: a file of the format {name} is to end in {suffix}")
    return out


def _check_target(name: str, target: Path, beside: Path, force: bool) -> None:
    """Refuse to replace what is there, and whatever happens a folder that is no export."""
    for path in (target, beside):
        if path.exists() and not force:
            raise InputError(f"{path}: is there already; --force replaces it")
    is_export = (target / "saved_model.pb").exists() if target.is_dir() else target.is_file()
    if target.exists() and (not is_export or target.is_dir() != (name == "savedmodel")):
        raise InputError(f"{target}: not of the format {name}, so not replaced; choose another")


def _describe(network: keras.Model, card: ModelCard | None, weights: str) -> Facts:
    """What one has to know to use the file: input, outputs, names of clusters, where it is from."""
    heads = dict(zip(Assignments._fields, network.outputs, strict=True))
    names = [card.cluster_names(), card.overcluster_names()] if card else [[], []]
    return {
        "input": {
            "name": _INPUT,
            "dtype": "uint8",
            "shape": ["n", IMAGE_SIZE, IMAGE_SIZE],
            "meaning": "ink light (255) on dark paper (0), as stored in data/images.npz",
        },
        "outputs": {
            head: {
                "dtype": "float32",
                "shape": ["n", output.shape[-1]],
                "meaning": "probability of each",
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


def _images(path: Path) -> tuple[np.ndarray, str]:
    """Images to compare on, real ones if there are any, and what they are."""
    if path.exists():
        images = read_arrays(path, ["test_images"])["test_images"][:_CHECKED]
        if len(images):
            return images, f"{len(images)} test images of {path}"
    return generated_images(_CHECKED), f"{_CHECKED} generated images"


def generated_images(n: int) -> np.ndarray:
    """Noise of four grains (n, 28, 28) uint8, so that not all of it looks the same to a network."""
    random = np.random.default_rng(0)
    images = np.empty((n, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    for index in range(n):
        grain = (1, 4, 7, 14)[index % 4]
        coarse = random.integers(0, 256, (IMAGE_SIZE // grain,) * 2, np.uint8)
        images[index] = np.kron(coarse, np.ones((grain, grain), np.uint8))
    return images


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


@contextmanager
def _placing(target: Path, beside: Path) -> Iterator[tuple[Path, Path]]:
    """Yield temporary paths that take the places of both once the block has succeeded.

    iic.core.files.replacing does so for one file; a folder cannot be put over another one.
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
    """Whatever a converter or a runtime raises becomes a line that names the format."""
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{name}: the converter or its runtime failed ({said})") from error


def _write_savedmodel(network: keras.Model, path: Path, description: str) -> None:
    network.export(path, format="tf_saved_model", verbose=False)
    # The folder that TensorFlow keeps for what others add.
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

    # Keras takes the signature of a network that was called, or what it is given.
    signature = [keras.InputSpec("uint8", (None, IMAGE_SIZE, IMAGE_SIZE), name=_INPUT)]
    network.export(
        path, format="onnx", verbose=False, opset_version=_OPSET, input_signature=signature
    )
    proto = onnx.load(path)
    for value in (*proto.graph.input, *proto.graph.output):
        # The converter numbers this dimension, so that input and outputs seem unrelated.
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
