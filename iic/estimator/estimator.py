"""The estimator IIC: `fit`, `predict`, `transform` and `score` as in scikit-learn."""

import difflib
import inspect
import math
import os
import traceback
import warnings
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from iic.core.appearance import Appearance
from iic.core.errors import InputError, shorten
from iic.core.params import DataParams, Params, Precision
from iic.core.quiet import quiet
from iic.data.check import assignment_warnings
from iic.estimator.images import (
    Converted,
    Shape,
    as_loaded,
    as_rows,
    lost_detail,
    network_input,
    shape_of_rows,
)
from iic.estimator.load import LoadedImages
from iic.estimator.settings import (
    DEFAULT,
    SETTINGS,
    in_arguments,
    make_params,
    plain,
    recipe_names,
    value_errors,
)
from iic.estimator.store import State, read_state, write_state
from iic.evaluation.card import ModelCard, card_path, ink_share, write_card
from iic.model.assignments import Assignments
from iic.model.matching import contingency_table, hungarian_accuracy
from iic.model.store import hash_of_weights, load_network, read_model_params, save_network

_SEED_LIMIT = 2**31
# Columns of the history that are metrics in a card.
_METRICS = {
    "mutual_information": "cluster_mutual_information",
    "over_mutual_information": "overcluster_mutual_information",
    "clusters_used": "clusters_used",
    "loss": "loss",
}


class IIC(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """Invariant Information Clustering of images.

    Images are arrays (n, h, w), (n, h, w, 3) or, as rows of pixels, (n, h·w); uint8 or floats from
    0 to 1. They are converted to the network's input as custom images of the pipeline are: to 28×28
    grey pixels, unless `data__image_size` and `data__channels` say otherwise. What `load_images`
    returns is taken as it is. The training is that of the pipeline: for the same images and
    parameters, the weights are the same, byte for byte.

    Attributes:
        labels_: (n,) cluster of each training image.
        overclusters_: (n,) overcluster of each training image.
        history_: Columns of the history by name, each (epochs,), as in reports/history.csv; the
            numbers of used clusters are those of the training images.
        joint_: (k, k) joint matrix of the clustering head in the last epoch.
        snapshots_: Joint matrices, (epochs, k, k), and assignments of the training images,
            (epochs, n), of both heads: `cluster_joint`, `cluster_test`, `overcluster_joint` and
            `overcluster_test`.
        n_iter_: Number of finished epochs.
        n_features_in_: Number of values of an image.
        image_shape_: Shape of an image.
        params_: All parameters of the training.
        network_: The Keras model; it returns the probabilities of both heads.
    """

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        n_overclusters: int = 50,
        recipe: str = DEFAULT,
        image_shape: tuple[int, ...] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        **settings: object,
    ) -> None:
        """Store the parameters; `fit` checks their values.

        Args:
            n_clusters: Number of clusters.
            n_overclusters: Number of outputs of the overclustering head.
            recipe: Recipe whose parameters are used, such as "fast".
            image_shape: Shape of an image, (h, w) or (h, w, 3), if images are rows of pixels; -1
                for a side that follows from the others. None reads rows as square images.
            random_state: Seed; the same integer gives the same clusters again.
            verbose: Keras's `verbose`: 0 for no output, 1 for a bar, 2 for a line per epoch.
            settings: Other parameters of params.yaml as section__key, such as `train__epochs`.

        Raises:
            TypeError: A keyword is no parameter.
        """
        if unknown := [name for name in settings if name not in SETTINGS]:
            raise TypeError(_unknown(unknown[0]))
        self.n_clusters = n_clusters
        self.n_overclusters = n_overclusters
        self.recipe = recipe
        self.image_shape = image_shape
        self.random_state = random_state
        self.verbose = verbose
        self._settings = settings

    @classmethod
    def _get_param_names(cls) -> list[str]:
        """Return the names of the parameters that every estimator has."""
        return list(_ALWAYS)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name, with the settings that were given."""
        return super().get_params(deep) | self._settings

    def set_params(self, **params: object) -> Self:
        """Set parameters, also settings such as `train__epochs`.

        Raises:
            ValueError: A name is no parameter.
        """
        own = super().get_params(deep=False)
        if unknown := [name for name in params if name not in own and name not in SETTINGS]:
            raise ValueError(f"Invalid parameter for estimator IIC: {_unknown(unknown[0])}")
        self._settings = self._settings | {
            name: value for name, value in params.items() if name in SETTINGS
        }
        return super().set_params(**{name: params[name] for name in params if name in own})

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ANN401, ARG002, N803 - scikit-learn's names
        """Train the network on images, without labels.

        An interruption (Ctrl+C) after the first epoch ends the training with a warning; the model
        is that of the last finished epoch. A failed training leaves no model, not even an earlier
        one.

        Args:
            X: Images, or what `load_images` returns.
            y: Ignored.

        Returns:
            The estimator.

        Raises:
            ValueError: The images or a parameter cannot be used; one line says why.
        """
        try:
            notes, findings = self._train(X)
        except BaseException:
            # What an earlier fit has found does not belong to the images of this one.
            self._forget()
            raise
        _warn(notes)
        _warn(findings, ConvergenceWarning)
        return self

    def predict(self, X: Any) -> np.ndarray:  # noqa: ANN401, N803 - scikit-learn's name
        """Return the most probable cluster of each image, (n,) integers."""
        return self._assign(X).hard_cluster

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: ANN401, N803 - scikit-learn's name
        """Return the probability of each cluster, (n, n_clusters) float32."""
        return self._assign(X).cluster

    def transform(self, X: Any) -> np.ndarray:  # noqa: ANN401, N803 - scikit-learn's name
        """Return the features of the network's backbone, (n, width) float32."""
        pixels = self.network_input(X)
        features, _ = _backend().describe(self.network_, pixels)
        return features

    def network_input(self, X: Any) -> np.ndarray:  # noqa: ANN401, N803 - array-like X of sklearn
        """Convert images as the training images were converted: what the network sees.

        Args:
            X: Images (n, h, w), (n, h, w, 3) or (n, h*w), or what `load_images` returns.

        Returns:
            Images, uint8: (n, h, w), light ink on dark paper, or (n, h, w, 3) in colour.

        Raises:
            ValueError: The images have another shape than the training images, or values that are
                not finite.
        """
        check_is_fitted(self)
        images = self._checked(X, reset=False)
        with value_errors():
            converted = _converted(X, images, self.params_.data, self._appearance, self._ink_share)
        _warn(converted.notes)
        return converted.images

    def score(self, X: Any, y: Any) -> float:  # noqa: ANN401, N803 - scikit-learn's names
        """Return the accuracy of the clusters against labels.

        Clusters are matched to classes one to one, so that the accuracy is highest (Hungarian
        method).

        Args:
            X: Images.
            y: (n,) labels.

        Returns:
            Share of the images whose cluster is matched to their class, 0 to 1.
        """
        clusters = self.predict(X)
        names, labels = np.unique(column_or_1d(y), return_inverse=True)
        check_consistent_length(clusters, labels)
        k = self.params_.model.clusters
        return hungarian_accuracy(contingency_table(labels, clusters, len(names), k))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a folder, and its card beside it, as the pipeline does.

        `iic predict --model PATH` and `IIC.load` read them. The arguments are those of the
        training, also if `set_params` has changed some since.

        Args:
            path: Folder; files of an earlier model in it are replaced.
        """
        check_is_fitted(self)
        folder = Path(path).absolute()
        save_network(self.network_, self.params_.model, folder, self._precision)
        digest = hash_of_weights(folder)
        history = getattr(self, "history_", {})
        state = State(
            params=self._arguments,
            image_shape=None if self.image_shape_ is None else list(self.image_shape_),
            appearance=self._appearance,
            file_appearance=self._file_appearance,
            ink_share=self._ink_share,
            history={name: column.tolist() for name, column in history.items()},
            weights_sha256=digest,
        )
        write_state(folder, state, getattr(self, "snapshots_", {}))
        write_card(self._card(digest), card_path(folder))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load a model that `save` or the pipeline has written.

        A model of the pipeline has no records (`labels_`, `history_` and so on). Its card does not
        name the size of the images, so it takes images of any size, as `iic predict` does.

        Args:
            path: Folder of the model; its card is beside it.

        Returns:
            A fitted estimator.

        Raises:
            ValueError: A file is missing or damaged, or belongs to another model.
        """
        folder = Path(path).absolute()
        with value_errors():
            card, found = ModelCard.of(folder), read_state(folder)
            state, snapshots = found or (_state_of(folder, card), {})
            try:
                loaded = cls(**state.params)
            except TypeError as error:
                raise InputError(f"{folder}: {error}") from error
            loaded.params_ = loaded._make_params()
            _backend()
            loaded.network_ = load_network(folder)
            params = loaded.params_
            saved = read_model_params(folder)
            if not saved.is_for(params.model, params.data.input_shape):
                raise InputError(f"{folder}: the files are of different models; save it again")
        loaded._arguments = state.params | {"random_state": params.seed}
        loaded._precision = saved.precision
        loaded._appearance, loaded._ink_share = state.appearance, state.ink_share
        loaded._file_appearance = state.file_appearance
        loaded.image_shape_ = None
        if state.image_shape is not None:
            loaded.image_shape_ = tuple(state.image_shape)
            loaded.n_features_in_ = math.prod(state.image_shape)
        if state.history:
            loaded._record(state.history, snapshots)
        return loaded

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickle and joblib, with the weights as arrays."""
        state = dict(super().__getstate__())
        if "network_" in state:
            state["network_"] = state["network_"].get_weights()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled state, and build the network."""
        super().__setstate__(state)
        if "network_" in state:
            _backend()
            from iic.model.network import build_network

            self.network_ = build_network(self.params_.model, self.params_.data.input_shape)
            self.network_.set_weights(state["network_"])

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there is a model; a failed training leaves none."""
        return hasattr(self, "network_")

    @property
    def _n_features_out(self) -> int:
        """Number of columns that `transform` returns."""
        return self.params_.model.widths[-1]

    def __sklearn_tags__(self) -> Tags:
        """Return the tags of scikit-learn: features are float32."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _make_params(self) -> Params:
        """Return the parameters of a training; raise an InputError if a value is not allowed."""
        return make_params(
            self.recipe, self._seed(), self.n_clusters, self.n_overclusters, self._settings
        )

    def _seed(self) -> int:
        """Return the random state as a seed of the pipeline; an integer is the seed itself."""
        given = self.random_state
        if isinstance(given, int | np.integer) and 0 <= given < _SEED_LIMIT:
            return int(given)
        return int(check_random_state(given).randint(_SEED_LIMIT - 1))

    def _train(self, given: object) -> tuple[list[str], list[str]]:
        """Train the network, and set all attributes of a fit.

        Args:
            given: Images, or what `load_images` returns.

        Returns:
            Warnings about the images, and about the training.
        """
        images = self._checked(given, reset=True)
        with value_errors():
            if self.verbose not in (0, 1, 2):
                raise InputError(f"verbose: {shorten(self.verbose)} should be 0, 1 or 2")
            params = self._make_params()
            pixels, _, appearance, notes = _converted(given, images, params.data)
            chosen = {name.removeprefix("data__") for name in self._settings}
            if lost := lost_detail(images, params.data, chosen):
                notes.append(lost)
            result, findings = _backend().train_on(pixels, params, self.verbose)

        arguments = {name: plain(value) for name, value in self.get_params().items()}
        self._arguments: dict[str, Any] = arguments | {"random_state": params.seed}
        self.params_ = params
        self._precision: Precision = params.train.used_precision
        self._appearance: Appearance | None = appearance
        self._file_appearance: Appearance | None = (
            given.appearance if isinstance(given, LoadedImages) else None
        )
        self._ink_share: tuple[float, float] | None = ink_share(pixels)
        self.image_shape_: Shape | None = images.shape[1:]
        self.network_ = result.network
        rows = result.history
        self._record({name: [row[name] for row in rows] for name in rows[0]}, result.snapshots)
        if self.n_iter_ < params.epochs:
            stopped = f"interrupted after epoch {self.n_iter_} of {params.epochs}"
            findings.append(f"{stopped}; the model is that of the last finished epoch")
        return notes, findings

    def _forget(self) -> None:
        """Remove the attributes of a fit, whose names end with an underscore."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)

    def _record(self, history: dict[str, list[float]], snapshots: dict[str, np.ndarray]) -> None:
        """Set the attributes that describe the training."""
        self.history_ = {name: np.array(column) for name, column in history.items()}
        self.snapshots_ = snapshots
        self.joint_ = snapshots["cluster_joint"][-1]
        self.labels_ = snapshots["cluster_test"][-1].astype(np.int64)
        self.overclusters_ = snapshots["overcluster_test"][-1].astype(np.int64)
        self.n_iter_ = len(self.history_["epoch"])

    def _assign(self, X: Any) -> Assignments:  # noqa: ANN401, N803 - scikit-learn's name
        pixels = self.network_input(X)
        soft = _backend().assign(self.network_, pixels)
        _warn(assignment_warnings(soft.hard_cluster.tolist(), soft.probability.tolist()))
        return soft

    def _checked(self, X: Any, *, reset: bool) -> np.ndarray:  # noqa: ANN401, N803 - sklearn
        """Check images; return them as (n, h, w) or (n, h, w, channels).

        Args:
            X: Images, rows of pixels, or what `load_images` returns.
            reset: Whether they are training images, which decide the shape.
        """
        known = None if reset else self.image_shape_
        with value_errors():
            rows, shape = as_rows(X.images if isinstance(X, LoadedImages) else X, known)
            rows = validate_data(
                self,
                rows,
                reset=reset,
                ensure_min_samples=2 if reset else 1,
                ensure_min_features=2 if reset else 1,
            )
            shape = shape or known or shape_of_rows(rows, self.image_shape)
        return rows.reshape(len(rows), *shape)

    def _card(self, digest: str) -> ModelCard:
        """Describe the model for `iic predict`: how its images looked, without labels."""
        params, model = self.params_, self.params_.model
        history = getattr(self, "history_", {})
        metrics = {name: float(history[key][-1]) for name, key in _METRICS.items() if history}
        files = self._file_appearance
        return ModelCard(
            recipe=params.recipe,
            seed=params.seed,
            data=params.data.name,
            size=params.data.size,
            # `data__ink` is about arrays; "auto" is the ink of the appearance.
            ink="auto" if files else params.data.ink,
            appearance=files or self._appearance,
            ink_share=self._ink_share,
            precision=self._precision,
            labels=[],
            clusters=[None] * model.clusters,
            overclusters=[None] * model.overclusters,
            metrics={name: round(value, 6) for name, value in metrics.items()},
            weights_sha256=digest,
        )


def _with_settings(signature: inspect.Signature) -> inspect.Signature:
    """Replace the keywords of a signature by all settings, for help and completion."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    settings = [inspect.Parameter(name, keyword, default=None) for name in sorted(SETTINGS)]
    return signature.replace(parameters=[*list(signature.parameters.values())[:-1], *settings])


_SIGNATURE = inspect.signature(IIC.__init__)
# Without `self` and the settings, of which an estimator has those that were given.
_ALWAYS = sorted(list(_SIGNATURE.parameters)[1:-1])
setattr(IIC.__init__, "__signature__", _with_settings(_SIGNATURE))  # noqa: B010 - no attribute that mypy knows


def _backend() -> ModuleType:
    """Import TensorFlow, which takes seconds, at its first use, without its notes."""
    with quiet():
        from iic.estimator import backend

    return backend


def _converted(
    given: object,
    images: np.ndarray,
    data: DataParams,
    known: Appearance | None = None,
    known_ink: tuple[float, float] | None = None,
) -> Converted:
    """Convert images to the network's input, unless `load_images` has done so.

    Args:
        given: What the user gave.
        images: The same images, checked.
        data: Parameters of the conversion.
        known: Appearance of the training images, for new ones; None finds it.
        known_ink: Mean and standard deviation of their ink, for new ones.
    """
    if isinstance(given, LoadedImages):
        return as_loaded(images, data, known_ink)
    return network_input(images, data, known, known_ink)


def _unknown(name: str) -> str:
    """Describe a name that is no parameter, with the nearest one that is."""
    known = [*_ALWAYS, *SETTINGS]
    remedy = {"model__clusters": "n_clusters", "model__overclusters": "n_overclusters"}
    near = [remedy[name]] if name in remedy else difflib.get_close_matches(name, known, n=1)
    return f"{name!r} is no parameter of IIC" + (f"; did you mean {near[0]!r}?" if near else "")


def _warn(messages: Iterable[str], category: type[Warning] = UserWarning) -> None:
    """Warn in the name of the line outside this file that called a public method."""
    frames = traceback.extract_stack(limit=10)[::-1]
    level = next((n for n, frame in enumerate(frames, 1) if frame.filename != __file__), 1)
    for message in messages:
        warnings.warn(in_arguments(message), category, stacklevel=level)


def _state_of(folder: Path, card: ModelCard | None) -> State:
    """Return the state of a model that the pipeline has written, from its parameters and card."""
    model = read_model_params(folder)
    settings: dict[str, object] = {
        f"model__{name}": value
        for name, value in model.model_dump().items()
        if f"model__{name}" in SETTINGS
    }
    size, _, channels = model.input_shape
    settings |= {"data__image_size": size, "data__channels": channels}
    if card:
        settings |= {"data__size": card.size, "data__ink": card.ink}
    return State(
        params={
            "n_clusters": model.clusters,
            "n_overclusters": model.overclusters,
            "recipe": card.recipe if card and card.recipe in recipe_names() else DEFAULT,
            "random_state": card.seed if card else None,
            **settings,
        },
        image_shape=None,
        appearance=card.appearance if card else None,
        ink_share=card.ink_share if card else None,
        history={},
        weights_sha256=hash_of_weights(folder),
    )
