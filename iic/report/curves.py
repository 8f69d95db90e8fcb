"""Parts of the learning curves that the reports of both pipelines share."""

from collections.abc import Mapping

import numpy as np

from iic.core.constants import Head
from iic.core.plurals import counted
from iic.render import figures
from iic.render.pictures import sharp_png


def loss_curves(history: Mapping[str, np.ndarray]) -> tuple[bytes, float, float]:
    """Draw loss and mutual information of both heads by epoch.

    Args:
        history: Columns of a history, one row per epoch.

    Returns:
        PNG, and the clustering head's mutual information in the first and in the last epoch.
    """
    panels = [
        (title, "nats", {head.full_name: history[f"{head}_{column}"] for head in Head})
        for title, column in (("Loss", "loss"), ("Mutual information", "mutual_information"))
    ]
    information = history[f"{Head.CLUSTER}_mutual_information"]
    figure = figures.curves_figure(history["epoch"], panels)
    return sharp_png(figure), float(information[0]), float(information[-1])


def accuracy_curves(epochs: np.ndarray, acc: np.ndarray, purity: np.ndarray) -> tuple[bytes, str]:
    """Draw the test accuracy of both heads by epoch.

    Args:
        epochs: Numbers (e,) of the epochs, from 1.
        acc: Accuracy (e,) of the clustering head, 0 to 1.
        purity: Purity (e,) of the overclustering head, 0 to 1.

    Returns:
        PNG, and its alternative text.
    """
    curves = {
        "clustering head (Hungarian)": acc,
        "overclustering head (purity)": purity,
    }
    alt = (
        f"Two curves over {counted(len(acc), 'epoch')}: the clustering head goes from "
        f"{100 * acc[0]:.1f} to {100 * acc[-1]:.1f} %, the overclustering head from "
        f"{100 * purity[0]:.1f} to {100 * purity[-1]:.1f} %."
    )
    return sharp_png(figures.accuracy_figure(epochs, curves)), alt
