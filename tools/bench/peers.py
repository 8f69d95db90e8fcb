"""Deep clusterers of ClustPy, each with the library's own settings.

https://clustpy.readthedocs.io: an autoencoder of dense layers with ten values in the middle,
trained for 100 epochs, after which DEC, IDEC and DCN cluster these values in 150 epochs more. All
run on the processor, as IIC does.
"""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

# Other settings are ClustPy's. Functions import it: it is installed for the benchmark only.
SETTINGS = {"device": "cpu", "random_state": 0}


def nearest(places: np.ndarray, labels: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Assign each new place to the cluster of the nearest known one.

    Args:
        places: Known places (n, d).
        labels: Their clusters (n,); -1 for none.
        new: New places (m, d).

    Returns:
        Cluster of each new place, (m,); -1 for none.
    """
    return KNeighborsClassifier(1).fit(places, labels).predict(new)


def fit_predict(name: str, train: np.ndarray, test: np.ndarray, clusters: int) -> np.ndarray:
    """Cluster by a class of ClustPy.

    Args:
        name: `DEC`, deep embedded clustering (Xie et al. 2016); `IDEC`, which keeps the
            reconstruction in the loss (Guo et al. 2017); `DCN`, k-means with an autoencoder (Yang
            et al. 2017).
        train: Training images, (n, pixels) float32 in [0, 1].
        test: Test images, (m, pixels) float32 in [0, 1].
        clusters: Number of clusters.

    Returns:
        Cluster of each test image, (m,).
    """
    import clustpy.deep

    return getattr(clustpy.deep, name)(clusters, **SETTINGS).fit(train).predict(test)


def augmented_idec(train: np.ndarray, test: np.ndarray, clusters: int) -> np.ndarray:
    """Cluster by IDEC that assigns a transformed image as it does the original (Guo et al. 2018).

    Args:
        train: Training images, (n, side, side) or (n, side, side, 3), float32 in [0, 1].
        test: Test images, likewise.
        clusters: Number of clusters.

    Returns:
        Cluster of each test image, (m,).
    """
    import torch
    from clustpy.deep import IDEC, get_default_augmented_dataloaders

    # ClustPy wants channels first. Its loaders rotate, shift and shear, and standardise the pixels.
    first, later = (
        torch.from_numpy(np.moveaxis(x.reshape(*x.shape[:3], -1), -1, 1).copy())
        for x in (train, test)
    )
    loaders = get_default_augmented_dataloaders(first)
    # `predict` takes standardised pixels, so the test images pass the same steps.
    (prepare,) = loaders[1].dataset.orig_transforms_list
    model = IDEC(clusters, augmentation_invariance=True, custom_dataloaders=loaders, **SETTINGS)
    model.fit(train.reshape(len(train), -1))
    return model.predict(torch.stack([prepare(image) for image in later]).numpy())


def n2d(train: np.ndarray, test: np.ndarray, clusters: int) -> np.ndarray:
    """Cluster by N2D: an autoencoder, UMAP and a mixture of Gaussians (McConville et al. 2021).

    ClustPy's default, t-SNE with as many dimensions as clusters, refuses more than three, so UMAP
    has the settings of the authors, and no seed, as in `umap_mixture`. ClustPy's `predict` leaves
    UMAP out ("a very rough estimate"), so a test image gets the cluster of the nearest training
    image after UMAP. Arguments and result are those of `fit_predict`.
    """
    from clustpy.deep import N2D
    from umap import UMAP

    settings = {"n_components": clusters, "n_neighbors": 20, "min_dist": 0.0, "random_state": None}
    model = N2D(clusters, manifold_class=UMAP, manifold_params=settings, **SETTINGS).fit(train)
    places = model.manifold_.embedding_
    return nearest(places, model.labels_, model.manifold_.transform(model.transform(test)))
