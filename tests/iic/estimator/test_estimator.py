"""The estimator: conventions of scikit-learn, equality with the pipeline, errors, files."""

import copy
import csv
import inspect
import json
import pickle
import random as python_random
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import keras
import numpy as np
import pytest
from conftest import ROOT, environment
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

import stages.augment
import stages.neighbors
import stages.train
from iic import IIC, load_images
from iic.cli.main import cli
from iic.core.constants import Head
from iic.core.files import read_arrays, read_table, sha256_of, write_arrays
from iic.core.shapes import shape_of
from iic.estimator import backend
from iic.model.assignments import Assignments
from iic.model.network import as_input, build_network
from iic.model.store import load_network
from iic.training.fit import TrainingResult
from iic.training.recorder import Recorder

# Our own warnings are errors in tests; a short training always brings some.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*are they like the training images:UserWarning"),
]

TINY = {
    "n_overclusters": 20,
    "random_state": 3,
    "augment__views": 2,
    "augment__neighbors": 5,
    "model__widths": [8],
    "model__head_widths": [],
    "train__epochs": 2,
    "train__batch_size": 60,
}
_ONE_CLUSTER = "sets n_clusters=1, but the mutual information of one cluster is always 0"
_BLOBS = "points of two dimensions are no images: nothing stays the same when they are transformed"
EXPECTED_FAILURES = {
    "check_dont_overwrite_parameters": _ONE_CLUSTER,
    "check_methods_subset_invariance": _ONE_CLUSTER,
    "check_fit2d_predict1d": _ONE_CLUSTER,
    "check_clustering": _BLOBS,
    "check_methods_sample_order_invariance": (
        "compares float32 numbers to 1e-9; the last bit depends on the place in the batch"
    ),
}


@pytest.fixture(scope="module")
def images(digits) -> np.ndarray:
    return digits.train_images[:200]


@pytest.fixture(scope="module")
def fitted(images) -> IIC:
    """A fitted estimator, which no test may change."""
    return IIC(**TINY).fit(images)


@pytest.fixture
def untrained(monkeypatch) -> None:
    """Leave out training and tracing; `fit` then gives the network with its initial weights."""

    def outputs(network, images):
        return [np.asarray(soft) for soft in network(as_input(images), training=False)]

    def train(data, params, *, verbose, keep_interrupted):
        keras.utils.set_random_seed(params.seed)
        network = build_network(params.model, shape_of(data.test_images))
        snapshots, row = {}, {"epoch": 1.0, "loss": 0.0}
        for head, soft in zip(Head, outputs(network, data.test_images), strict=True):
            k = soft.shape[1]
            snapshots[f"{head}_joint"] = np.full((1, k, k), k**-2)
            snapshots[f"{head}_test"] = soft.argmax(axis=1)[None]
            row |= {f"{head}s_used": 1.0, f"{head}_mutual_information": 0.0}
        return TrainingResult(network, [row], snapshots)

    def embed(network, images):
        both = keras.Model(network.input, network.get_layer("features").output)
        return np.asarray(both(as_input(images), training=False)), None

    monkeypatch.setattr(backend, "train", train)
    monkeypatch.setattr(backend, "predict", lambda *args: Assignments(*outputs(*args)))
    monkeypatch.setattr(backend, "embed", embed)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_conventions_of_scikit_learn(untrained):
    """All of scikit-learn's checks, without the steps of the trainings, which take minutes."""
    estimator = IIC(
        n_clusters=2,
        n_overclusters=3,
        image_shape=(1, -1),
        augment__views=2,
        augment__neighbors=2,
        augment__ops=[],
        model__widths=[4],
        model__head_widths=[],
        train__epochs=1,
        train__batch_size=10,
    )
    results = check_estimator(
        estimator, expected_failed_checks=EXPECTED_FAILURES, on_skip=None, on_fail=None
    )
    bad = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert not bad
    failed = {r["check_name"] for r in results if r["status"] == "xfail"}
    # Rounding differs between machines, and chance may put blobs in order.
    assert failed >= {name for name, why in EXPECTED_FAILURES.items() if why == _ONE_CLUSTER}


def _enlarged(images, factor):
    return np.kron(images, np.ones((factor, factor), np.uint8))


def _colored(images):
    """Color the images (n, 28, 28) by their position, at 20×20 pixels: (n, 20, 20, 3)."""
    shades = np.random.default_rng(0).uniform(0.2, 1, (len(images), 1, 1, 3))
    return (images[:, 4:24, 4:24, None] * shades).astype(np.uint8)


IN_COLOR = {
    "data__image_size": 20,
    "data__channels": 3,
    "augment__ops": ["rotation", "distortion", "flip", "color"],
}


@pytest.mark.parametrize(
    ("settings", "convert"),
    [({}, np.asarray), pytest.param(IN_COLOR, _colored, marks=pytest.mark.long)],
)
def test_weights_are_those_of_the_pipeline(
    images, fitted, tmp_path, monkeypatch, digits, settings, convert
):
    """The stages, on the same images and with the same parameters, write the same bytes."""
    monkeypatch.chdir(tmp_path)
    converted, test_images = convert(images), convert(digits.test_images[:50])
    estimator = IIC(**TINY | settings).fit(converted) if settings else fitted
    write_arrays(Path("data/images.npz"), {"train_images": converted, "test_images": test_images})
    for stage in (stages.augment, stages.neighbors, stages.train):
        stage.main(estimator.params_)
    estimator.save("saved/model")
    for file in ("model.json", "model.weights.h5"):
        assert sha256_of(tmp_path / "model" / file) == sha256_of(tmp_path / "saved/model" / file)
    history = read_table(Path("reports/history.csv"))
    assert set(history) == set(estimator.history_)
    # These two count the images whose assignments are recorded: here the training images.
    for name in set(history) - {"clusters_used", "overclusters_used"}:
        # The table has six digits.
        np.testing.assert_allclose(estimator.history_[name], history[name], 1e-5, err_msg=name)
    joints = read_arrays(Path("data/snapshots.npz"), ["cluster_joint"])["cluster_joint"]
    np.testing.assert_array_equal(estimator.joint_, joints[-1])


def test_colours_and_sizes_are_kept_by_every_way_to_store_a_model(
    images, untrained, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    colored = _colored(images)
    estimator = IIC(**TINY | IN_COLOR).fit(colored)
    assert estimator.network_.input_shape == (None, 20, 20, 3)
    expected = estimator.predict_proba(colored)
    # The colours count.
    assert (estimator.predict_proba(colored[..., ::-1]) != expected).any()
    estimator.save("model")
    for other in (IIC.load("model"), pickle.loads(pickle.dumps(estimator))):  # noqa: S301 - our own
        np.testing.assert_array_equal(other.predict_proba(colored), expected)
    Path("model/estimator.npz").unlink()
    by_pipeline = IIC.load("model")
    assert by_pipeline.get_params()["data__channels"] == 3
    np.testing.assert_array_equal(by_pipeline.predict_proba(colored), expected)
    np.save("new.npy", colored)
    cli.main(["predict", "--model", "model", "new.npy"], standalone_mode=False)
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [int(row["cluster"]) for row in rows] == estimator.labels_.tolist()


@pytest.mark.parametrize(
    ("factor", "channels", "message"),
    [
        (5, 1, "140×140 to 28×28 pixels; set data__image_size=128 to keep .* data__image_size=28$"),
        (1, 3, "from colour to grey; set data__channels=3 to keep"),
        (2, 3, "28×28 pixels and from colour .* data__image_size=56 and data__channels=3 to keep"),
    ],
)
def test_a_conversion_that_nobody_chose_is_named(factor, channels, message, images, untrained):
    larger = _enlarged(images[:100], factor)
    if channels == 3:
        larger = larger[..., None].repeat(3, axis=3)
    with pytest.warns(UserWarning, match=message) as said:
        IIC(**TINY).fit(larger)
    # The warning names the line of the caller.
    assert {Path(warning.filename).name for warning in said} == {Path(__file__).name}


def test_same_seed_gives_the_same_labels(images, fitted, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    again = clone(fitted)
    np.testing.assert_array_equal(
        again.fit_predict(images.reshape(len(images), -1)), fitted.labels_
    )
    np.testing.assert_array_equal(again.overclusters_, fitted.overclusters_)
    np.testing.assert_array_equal(again.joint_, fitted.joint_)
    # Nothing is printed or written unless asked.
    assert capsys.readouterr().out == ""
    assert not list(tmp_path.iterdir())


def test_other_seed_gives_other_labels(images, untrained):
    labels = IIC(**TINY).fit_predict(images)
    assert (IIC(**TINY | {"random_state": 4}).fit_predict(images) != labels).any()


def test_attributes_of_a_training(images, fitted):
    assert fitted.labels_.shape == fitted.overclusters_.shape == (200,)
    assert fitted.labels_.dtype == np.int64
    assert fitted.n_features_in_ == 784
    assert fitted.image_shape_ == (28, 28)
    assert fitted.n_iter_ == 2
    np.testing.assert_array_equal(fitted.history_["epoch"], [1, 2])
    np.testing.assert_allclose(fitted.joint_.sum(), 1, rtol=1e-5)
    assert fitted.snapshots_["overcluster_joint"].shape == (2, 20, 20)
    np.testing.assert_array_equal(fitted.predict(images), fitted.labels_)
    soft = fitted.predict_proba(images)
    assert soft.shape == (200, 10)
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(soft.argmax(axis=1), fitted.labels_)
    assert fitted.transform(images).shape == (200, 8)


def test_single_images_get_the_same_assignment(images, fitted):
    """What check_methods_subset_invariance and …_sample_order_invariance would check."""
    some = images[:6]
    expected = fitted.predict_proba(some)
    single = np.concatenate([fitted.predict_proba(image[None]) for image in some])
    np.testing.assert_allclose(single, expected, rtol=1e-5)
    np.testing.assert_allclose(fitted.predict_proba(some[::-1])[::-1], expected, rtol=1e-5)


def test_images_may_be_bytes_floats_lists_or_have_a_channel(images, fitted):
    expected = fitted.labels_[:50]
    for same in (
        images[:50] / 255,
        images[:50, ..., None],
        images[:50, None],
        images[:50].tolist(),
    ):
        np.testing.assert_array_equal(fitted.predict(same), expected)
    np.testing.assert_array_equal(fitted.predict(images[:50].reshape(50, -1)), expected)


@pytest.mark.parametrize("axis", [1, 3])
def test_what_fit_takes_all_methods_take(axis, images, untrained):
    one_channel = np.expand_dims(images, axis)
    estimator = IIC(**TINY)
    features = estimator.fit_transform(one_channel)
    assert estimator.image_shape_ == (28, 28)
    np.testing.assert_array_equal(features, estimator.transform(images))
    np.testing.assert_array_equal(estimator.predict(one_channel), estimator.labels_)
    assert estimator.score(one_channel, estimator.labels_) == 1
    for other in (images[:, None, :27], images[:, None, None], images.reshape(-1, 2, 14, 28)):
        with pytest.raises(ValueError, match="images of shape .* but IIC is expecting"):
            estimator.predict(other)


def test_other_sizes_and_colours_are_converted_as_custom_images(images, untrained):
    large = _enlarged(images[:100], 2)
    estimator = IIC(**TINY, data__size="fit", data__image_size=28, data__channels=1)
    estimator.fit(large)
    assert estimator.image_shape_ == (56, 56)
    np.testing.assert_array_equal(
        estimator.predict(large), clone(estimator).fit_predict(images[:100])
    )
    colored = np.repeat(images[:100, ..., None], 3, axis=3)
    np.testing.assert_array_equal(clone(estimator).fit_predict(colored), estimator.labels_)
    rows = colored.reshape(100, -1)
    by_rows = clone(estimator).set_params(image_shape=(28, -1, 3)).fit(rows)
    assert by_rows.image_shape_ == (28, 28, 3)
    np.testing.assert_array_equal(by_rows.labels_, estimator.labels_)


def test_score_is_the_hungarian_accuracy(images, fitted):
    permuted = np.array(list("jihgfedcba"))[fitted.labels_]
    assert fitted.score(images, permuted) == 1
    wrong = permuted.copy()
    wrong[:50] = "k"
    assert fitted.score(images, wrong) >= 0.75
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fitted.score(images, permuted[:10])


def test_clone_and_set_params_keep_settings():
    estimator = IIC(5, recipe="fast", train__epochs=3)
    other = clone(estimator)
    assert other.get_params() == estimator.get_params()
    assert other.get_params()["train__epochs"] == 3
    other.set_params(train__epochs=4, n_clusters=6)
    assert (other.get_params()["train__epochs"], other.n_clusters) == (4, 6)
    assert estimator.get_params()["train__epochs"] == 3
    assert "train__epochs=3" in repr(estimator)
    assert "data__size" in inspect.signature(IIC).parameters


def test_pipeline_grid_search_and_feature_names(images, untrained, digits):
    chain = make_pipeline(FunctionTransformer(lambda x: x / 255), IIC(**TINY))
    chain.set_params(iic__train__epochs=7)
    assert chain.fit_predict(images).shape == (200,)
    assert chain[-1].params_.train.epochs == 7
    assert chain.transform(images[:3]).shape == (3, 8)
    assert list(chain[-1].get_feature_names_out()[:2]) == ["iic0", "iic1"]
    search = GridSearchCV(IIC(**TINY), {"model__widths": [[4], [8]]}, cv=2)
    search.fit(images, digits.train_labels[:200])
    assert search.best_params_["model__widths"] in ([4], [8])


def test_pandas_output(images, fitted):
    pandas = pytest.importorskip("pandas")
    frame = copy.deepcopy(fitted).set_output(transform="pandas").transform(images[:3])
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns[:2]) == ["iic0", "iic1"]


def test_global_random_states_are_left_alone(images, untrained):
    before = python_random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002 - global
    IIC(**TINY).fit(images)
    after = python_random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002 - global
    assert before == after
    seeds = [IIC(**TINY | {"random_state": None}).fit(images).params_.seed for _ in range(2)]
    assert seeds[0] != seeds[1]
    for state in (np.random.RandomState(5), 2**32 - 1):
        IIC(**TINY | {"random_state": state}).fit(images)


def test_interruption_leaves_the_last_finished_epoch(images, fitted, monkeypatch, capsys):
    finish = Recorder.on_epoch_end

    def interrupted(self, epoch, logs=None):
        if epoch == 0:
            finish(self, epoch, logs)
            return
        # In the middle of the records of an epoch.
        self._network.set_weights([0 * weights for weights in self._network.get_weights()])
        self._keep("cluster_joint", np.zeros((10, 10)))
        raise KeyboardInterrupt

    estimator = clone(fitted).set_params(train__epochs=3, verbose=1)
    monkeypatch.setattr(Recorder, "on_epoch_end", interrupted)
    with pytest.warns(
        ConvergenceWarning, match="interrupted after epoch 1 of 3; the model is that"
    ):
        estimator.fit(images)
    # The bar of Keras.
    assert "Epoch 1/3" in (output := capsys.readouterr().out)
    assert "3/3" in output
    assert estimator.n_iter_ == len(estimator.snapshots_["cluster_joint"]) == 1
    assert estimator.joint_.sum() == pytest.approx(1, rel=1e-5)
    np.testing.assert_array_equal(estimator.predict(images), estimator.labels_)


def test_interruption_before_the_first_epoch_is_raised(images, fitted, monkeypatch):
    def interrupted(self, logs=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(Recorder, "on_train_begin", interrupted, raising=False)
    estimator = clone(fitted)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(images)
    with pytest.raises(NotFittedError):
        estimator.predict(images)


def _fails(error):
    def train(*args, **kwargs):
        raise error

    return train


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda wide: wide[:50], ValueError),  # fewer than a batch
        (np.zeros_like, ValueError),  # all the same
        (lambda wide: wide[None], ValueError),  # no images
        (lambda wide: wide, KeyboardInterrupt),
    ],
)
def test_a_failed_refit_leaves_no_model(change, error, images, untrained, tmp_path, monkeypatch):
    estimator = IIC(**TINY).fit(images)
    wide = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    if error is KeyboardInterrupt:
        monkeypatch.setattr(backend, "train", _fails(KeyboardInterrupt()))
    with pytest.raises(error):
        estimator.fit(change(wide))
    assert not [name for name in vars(estimator) if name.endswith("_")]
    for use in (estimator.predict, estimator.transform, estimator.network_input):
        with pytest.raises(NotFittedError):
            use(images)
    with pytest.raises(NotFittedError):
        estimator.save(tmp_path / "model")


def test_pickle_joblib_and_copies_assign_the_same(images, fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    for other in (
        pickle.loads(pickle.dumps(fitted)),  # noqa: S301 - our own
        joblib.load(tmp_path / "model.joblib"),
        copy.deepcopy(fitted),
    ):
        np.testing.assert_array_equal(other.predict_proba(images), fitted.predict_proba(images))
        np.testing.assert_array_equal(other.labels_, fitted.labels_)
    unfitted = pickle.loads(pickle.dumps(IIC(3, train__epochs=2)))  # noqa: S301 - our own
    assert unfitted.get_params() == IIC(3, train__epochs=2).get_params()


def test_saved_model_loads_with_its_records(images, fitted, tmp_path):
    fitted.save(f"{tmp_path}/model/")
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert files == {
        *("model/model.json", "model/model.weights.h5", "model/estimator.npz", "model-card.json")
    }
    loaded = IIC.load(tmp_path / "model")
    assert loaded.get_params() == fitted.get_params()
    assert loaded.params_ == fitted.params_
    assert (loaded.n_features_in_, loaded.image_shape_, loaded.n_iter_) == (784, (28, 28), 2)
    np.testing.assert_array_equal(loaded.predict_proba(images), fitted.predict_proba(images))
    np.testing.assert_array_equal(loaded.joint_, fitted.joint_)
    np.testing.assert_array_equal(loaded.labels_, fitted.labels_)
    for name, column in fitted.history_.items():
        np.testing.assert_array_equal(loaded.history_[name], column)
    first = sha256_of(tmp_path / "model/estimator.npz")
    loaded.save(tmp_path / "model")
    assert sha256_of(tmp_path / "model/estimator.npz") == first


@pytest.mark.parametrize(
    "later",
    [
        {"n_clusters": 12},
        {"data__size": "crop"},
        {"data__image_size": 20},
        {"recipe": "fast", "random_state": 9, "verbose": 2},
        {"image_shape": (4, 5)},
    ],
)
def test_a_saved_model_has_the_arguments_of_its_training(later, images, untrained, tmp_path):
    wide = np.pad(images[:, 4:24, 4:24], ((0, 0), (0, 0), (6, 6)))
    estimator = IIC(**TINY | {"data__size": "stretch"}).fit(wide)
    before, expected = estimator.get_params(), estimator.network_input(wide)
    estimator.set_params(**later).save(tmp_path / "model")
    for _ in range(2):
        loaded = IIC.load(tmp_path / "model")
        assert loaded.get_params() == before
        np.testing.assert_array_equal(loaded.network_input(wide), expected)
        np.testing.assert_array_equal(loaded.predict(wide), estimator.labels_)
        loaded.set_params(**later).save(tmp_path / "model")


def test_a_seed_that_was_drawn_is_saved(images, untrained, tmp_path):
    estimator = IIC(**TINY | {"random_state": None}).fit(images)
    estimator.save(tmp_path / "model")
    loaded = IIC.load(tmp_path / "model")
    assert loaded.random_state == loaded.params_.seed == estimator.params_.seed
    np.testing.assert_array_equal(clone(loaded).fit_predict(images), estimator.labels_)


@pytest.fixture
def framed(images, tmp_path) -> Path:
    """A folder of images of light ink with a light frame, as photographs may have."""
    folder = tmp_path / "framed"
    folder.mkdir()
    for number, image in enumerate(images[:60, 2:-2, 2:-2]):
        page = np.pad(image, 2, constant_values=255)
        Image.fromarray(page).save(folder / f"{number:02}.png")
    return folder


@pytest.mark.filterwarnings("ignore:.* are dim:UserWarning")
def test_loaded_images_are_not_examined_again(framed, untrained):
    """Neither for ink, which would invert them all, nor for range or size."""
    loaded = load_images(framed, ink="light")
    dim = loaded._replace(images=loaded.images // 4)
    assert (IIC(**TINY).fit(loaded.images).network_input(loaded.images) != loaded.images).any()
    for images, arguments in ((loaded, {}), (dim, {}), (loaded, {"data__size": "crop"})):
        estimator = IIC(**TINY, **arguments)
        labels = estimator.fit_predict(images)
        np.testing.assert_array_equal(estimator.network_input(images), images.images)
        np.testing.assert_array_equal(estimator.predict(images), labels)
        assert estimator.score(images, labels) == 1
        assert estimator.fit_transform(images).shape == (60, 8)
        assert (estimator.n_features_in_, estimator.image_shape_) == (784, (28, 28))
    estimator = IIC(**TINY).fit(loaded)
    # The array alone is taken to look like the training images, with a word on its borders.
    with pytest.warns(UserWarning, match="have a border of ink, unlike the training set"):
        np.testing.assert_array_equal(estimator.network_input(loaded.images), loaded.images)


@pytest.mark.parametrize("settings", [{}, {"data__ink": "light"}])
def test_a_saved_model_knows_how_the_files_looked(
    settings, images, untrained, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    np.save("scans.npy", np.pad(255 - images, ((0, 0), (2, 2), (2, 2)), constant_values=255))
    loaded = load_images("scans.npy")
    assert loaded.appearance.ink == "dark"
    estimator = IIC(**TINY, **settings).fit(loaded)
    estimator.save("model")
    for again in (estimator, IIC.load("model")):
        again.save("model")
        for images_again in (loaded, loaded.images):
            np.testing.assert_array_equal(again.network_input(images_again), loaded.images)
        cli.main(["predict", "--model", "model", "scans.npy"], standalone_mode=False)
        output = capsys.readouterr()
        rows = list(csv.DictReader(output.out.splitlines()))
        assert [int(row["cluster"]) for row in rows] == estimator.labels_.tolist()
    # Without the records, arrays look like the files, as for `iic predict`.
    Path("model/estimator.npz").unlink()
    converted = IIC.load("model").network_input(np.load("scans.npy"))
    np.testing.assert_array_equal(converted, loaded.images)


def test_loaded_images_of_another_size_are_refused(framed):
    loaded = load_images(framed, image_size=32, ink="light")
    with pytest.raises(ValueError, match=r"shape \(32, 32\) .* image_size=28 .* data__image_size"):
        IIC(**TINY).fit(loaded)
    as_floats = loaded._replace(images=loaded.images / 255)
    with pytest.raises(ValueError, match="type float64, expected"):
        IIC(**TINY, data__image_size=32).fit(as_floats)


def test_new_loaded_images_are_compared_with_the_training_images(images, untrained, framed):
    estimator = IIC(**TINY).fit(images)
    with pytest.warns(UserWarning, match="but .* of the training images; their clusters mean"):
        estimator.network_input(load_images(framed, ink="dark"))


def test_uncertain_ink_is_a_warning(images, untrained):
    mixed = np.concatenate([255 - images[:60], images[60:]])
    with pytest.warns(UserWarning, match="60 of 200 disagree; uncertain, set data__ink to light"):
        IIC(**TINY).fit(mixed)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        IIC(**TINY, data__ink="light").fit(mixed)
    assert not [warning for warning in said if "uncertain" in str(warning.message)]


def test_iic_predict_reads_a_saved_model(images, fitted, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fitted.save("model")
    np.save("new.npy", images)
    cli.main(["predict", "--model", "model", "new.npy"], standalone_mode=False)
    output = capsys.readouterr()
    found = list(csv.DictReader(output.out.splitlines()))
    assert [int(row["cluster"]) for row in found] == fitted.labels_.tolist()
    assert [int(row["overcluster"]) for row in found] == fitted.overclusters_.tolist()
    # The card says that the ink is light; without it, the borders decide.
    assert "200 images, light ink on dark paper, as in training" in output.err
    card = json.loads(Path("model-card.json").read_text())
    assert (card["seed"], card["recipe"], card["labels"]) == (3, "default", [])
    assert card["metrics"]["loss"] == pytest.approx(fitted.history_["loss"][-1], abs=1e-6)
    cli.main(["info", "--model", "model"], standalone_mode=False)


def test_a_saved_model_names_the_precision_of_its_training(images, tmp_path):
    estimator = IIC(**TINY | {"train__epochs": 1, "train__precision": "mixed_bfloat16"}).fit(images)
    estimator.save(tmp_path / "model")
    IIC.load(tmp_path / "model").save(tmp_path / "again")
    for name in ("model", "again"):
        card = json.loads((tmp_path / f"{name}-card.json").read_text())
        model = json.loads((tmp_path / name / "model.json").read_text())
        assert card["precision"] == model["precision"] == "mixed_bfloat16"


def test_model_of_the_pipeline_is_loaded(pipeline_run, digits, tmp_path):
    loaded = IIC.load(pipeline_run / "model")
    with (pipeline_run / "reports/predictions.csv").open(newline="") as file:
        expected = [int(row["cluster"]) for row in csv.DictReader(file)]
    assert loaded.predict(digits.test_images).tolist() == expected
    metrics = json.loads((pipeline_run / "reports/metrics.json").read_text())
    assert loaded.score(digits.test_images, digits.test_labels) == pytest.approx(
        metrics["acc"], abs=1e-6
    )
    assert not hasattr(loaded, "labels_")
    large = _enlarged(digits.test_images, 2)
    assert loaded.predict(large).tolist() == expected
    loaded.save(tmp_path / "model")
    assert IIC.load(tmp_path / "model").predict(digits.test_images).tolist() == expected


def test_damaged_and_mixed_models_are_refused(fitted, tmp_path):
    with pytest.raises(ValueError, match=r"nothing/model\.json: not found"):
        IIC.load(tmp_path / "nothing")
    folder = tmp_path / "model"
    fitted.save(folder)
    network = load_network(folder)
    network.set_weights([weights + 1 for weights in network.get_weights()])
    network.save_weights(folder / "model.weights.h5")
    (tmp_path / "model-card.json").unlink()
    with pytest.raises(ValueError, match="describes other weights than those in"):
        IIC.load(folder)
    with pytest.raises(NotFittedError):
        IIC().save(folder)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (None, "not a readable NPZ file"),
        ({"other": "{}"}, "not a readable NPZ file .*state"),
        ({"state": "{"}, "Invalid JSON"),
        ({"state": "{}"}, "params: missing"),
        ({"state": None}, "not a readable NPZ file .*joint"),  # a history without its matrices
    ],
)
def test_a_damaged_file_of_the_estimator_names_its_own_remedy(arrays, message, fitted, tmp_path):
    """`dvc repro`, the remedy for the pipeline's files, would not write this one again."""
    fitted.save(tmp_path / "model")
    path = tmp_path / "model/estimator.npz"
    state = read_arrays(path, ["state"])["state"]
    if arrays is None:
        path.write_bytes(path.read_bytes()[:100])
    else:
        write_arrays(path, {name: np.array(text or state) for name, text in arrays.items()})
    with pytest.raises(ValueError, match=rf"estimator\.npz: {message}.*save the model again") as e:
        IIC.load(tmp_path / "model")
    assert "dvc" not in str(e.value)
    path.unlink()
    IIC.load(tmp_path / "model")


def _varied(random, n, *shape):
    return random.integers(0, 256, (n, *shape), np.uint8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda r: np.full((300, 28, 28), np.nan), "Input X contains NaN"),
        (lambda r: np.full((300, 28, 28), np.inf), "Input X contains infinity"),
        (lambda r: np.zeros((300, 28, 28)), "all 300 images are the same"),
        (lambda r: np.full((300, 784), 7, np.uint8), "all 300 images are the same"),
        (
            lambda r: _varied(r, 50, 28, 28),
            "n_samples=50 is less than a batch, train__batch_size=60",
        ),
        (
            lambda r: np.repeat(_varied(r, 7, 28, 28), 10, axis=0),
            "n_clusters: 10 clusters need at least as many different training images "
            r"\(70 training images, 7 different\); lower it",
        ),
        (lambda r: _varied(r, 1, 28, 28), "1 sample"),
        (lambda r: _varied(r, 28, 28), r"shape \(28, 28\); expected .*newaxis.*image_shape"),
        (lambda r: _varied(r, 100, 20), r"shape \(100, 20\); expected .* set image_shape"),
        (lambda r: _varied(r, 28, 28, 100), "if the images are last"),
        (lambda r: _varied(r, 100, 3, 28, 28), "if the channels are second"),
        (lambda r: _varied(r, 784), "Reshape your data"),
        (lambda r: np.array([*_varied(r, 2, 4, 4), np.zeros((5, 5))], object), "Reshape your data"),
        (lambda r: [np.zeros((4, 4)), np.zeros((5, 5))], "images of different sizes"),
        (lambda r: _varied(r, 100, 28, 28).astype(str).astype(object) + "x", "could not convert"),
        (lambda r: _varied(r, 100, 28, 28) * 1j, "Complex data not supported"),
    ],
)
def test_unusable_images_are_refused_in_one_line(make, message, random):
    with pytest.raises(ValueError, match=message) as raised:
        IIC(**TINY).fit(make(random))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_clusters": 1}, "n_clusters: 1 should be greater than or equal to 2"),
        ({"n_clusters": "ten"}, "n_clusters: 'ten' should be an integer"),
        ({"recipe": "fats"}, r"recipe: unknown value 'fats' \(one of default, "),
        ({"recipe": None}, "recipe: unknown value None"),
        ({"train__epochs": 0}, "train__epochs: 0 should be greater than or equal to 1"),
        ({"augment__ops": ["rotate"]}, r"augment__ops\[0\]: unknown value 'rotate'; did you mean"),
        ({"augment__views": 1}, "augment__views: a pair of two transformed views needs"),
        ({"augment__neighbors": 200}, "augment__neighbors: 200 neighbours need more than 200"),
        ({"random_state": -1}, "Seed must be between 0"),
        ({"random_state": "x"}, "'x' cannot be used to seed"),
        ({"image_shape": (8, 8)}, r"image_shape: \(8, 8\) does not fit rows of 784 pixels"),
        ({"image_shape": (-1, -1)}, r"image_shape: \(-1, -1\) should be a tuple"),
        ({"image_shape": 28}, "image_shape: 28 should be a tuple"),
        (
            {"data__size": "refuse", "image_shape": (14, 56)},
            "56×14 pixels .* set data__size to fit",
        ),
        ({"verbose": "x"}, "verbose: 'x' should be 0, 1 or 2"),
    ],
)
def test_wrong_parameters_are_named(arguments, message, images):
    with pytest.raises(ValueError, match=message) as raised:
        IIC(**TINY | arguments).fit(images.reshape(len(images), -1))
    assert "\n" not in str(raised.value)


def test_unknown_keywords_are_refused():
    with pytest.raises(
        TypeError, match="'train__epoch' is no parameter of IIC; did you mean 'train"
    ):
        IIC(train__epoch=3)
    with pytest.raises(TypeError, match="did you mean 'n_clusters'"):
        IIC(model__clusters=3)
    with pytest.raises(ValueError, match="Invalid parameter for estimator IIC: 'data__path'"):
        IIC().set_params(data__path="x")


def test_new_images_of_another_shape_or_range(images, fitted):
    with pytest.raises(
        ValueError, match=r"images of shape \(14, 56\), but IIC is expecting \(28, 28"
    ):
        fitted.predict(images.reshape(-1, 14, 56))
    with pytest.raises(ValueError, match="X has 100 features, but IIC is expecting 784"):
        fitted.predict(images.reshape(len(images), -1)[:, :100])
    with pytest.raises(NotFittedError):
        IIC().predict(images)
    with pytest.warns(UserWarning, match="have a border of ink, unlike .* set data__ink to dark"):
        fitted.predict(255 - images)


def test_importing_iic_imports_nothing_else():
    code = (
        "import sys, iic; assert 'IIC' in dir(iic); heavy = ('numpy', 'sklearn', 'keras', "
        "'tensorflow', 'pydantic'); print([name for name in heavy if name in sys.modules]); "
        "from iic import IIC; IIC(); print('tensorflow' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert result.stdout.split("\n")[:2] == ["[]", "False"], result.stderr
    with pytest.raises(ImportError, match="cannot import name 'KMeans'"):
        from iic import KMeans  # noqa: F401 - the import is tested


def test_example_of_the_page_runs(untrained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    few = tuple(array[:200] for array in load_digits(return_X_y=True))
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda **_: few)
    page = (ROOT / "docs/estimator.md").read_text("utf-8")
    names = {}
    exec(page.partition("```python\n")[2].partition("```")[0], names)  # noqa: S102 - our page
    assert 0 < float(capsys.readouterr().out) <= 1
    assert names["again"].predict(names["images"]).tolist() == names["labels"].tolist()
