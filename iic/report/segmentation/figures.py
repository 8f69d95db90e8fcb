"""Figures of the report of a segmentation."""

import numpy as np
from matplotlib.figure import Figure

from iic.core.constants import Head
from iic.core.plurals import counted
from iic.core.sampling import evenly
from iic.model.matching import contingency_table, majority_match
from iic.render import figures, matrices, mosaics
from iic.render.names import short_names
from iic.render.palette import painted
from iic.render.pictures import Picture, animation, sharp_png
from iic.report.curves import accuracy_curves, loss_curves
from iic.report.segmentation.run import SegmentedRun, Study
from iic.segmentation.constants import IGNORED
from iic.segmentation.paths import ACCURACY, HISTORY, RESULTS, SEGMENTS, SNAPSHOTS, TILES

COMMAND = "dvc repro segmentation/dvc.yaml:report"
# Tiles of the first figure and of the animation, its most frames, and their most bytes on the page.
_TILES, _SHOWN, _FRAMES, _FRAME_BYTES = 6, 4, 8, 400_000
# Largest number of overclusters that are shown, patches of each, and patches along a tile.
_ROWS, _PATCHES, _ALONG = 24, 7, 3
# Colours of a wrong and of an unscored pixel.
_WRONG, _UNSCORED = np.array([213, 40, 0], np.uint8), np.array([90, 90, 90], np.uint8)


def render_pictures(run: SegmentedRun) -> list[Picture]:
    """Draw all figures that the data of a run allow, in the order of the page."""
    drawn = [
        scenes(run),
        training(run),
        accuracy(run) if run.is_scored_by_epoch else None,
        losses(run),
        confusion(run) if run.is_labelled else None,
        overclusters(run),
        textures(run),
        study(run.study) if run.study else None,
    ]
    return [picture for picture in drawn if picture is not None]


def scenes(run: SegmentedRun) -> Picture:
    """Draw test tiles beside their segments, truth and errors."""
    chosen = evenly(len(run.tiles), _TILES)
    tiles, segments = run.tiles[chosen], run.segments[Head.CLUSTER][chosen]
    columns = {"picture": _colored(tiles), "segments": painted(segments, run.colors[Head.CLUSTER])}
    if run.is_labelled:
        masks = run.masks[chosen]
        columns["truth"] = painted(masks, run.class_colors)
        columns["errors"] = _errors(tiles, masks, run.predicted[chosen])
        meaning = (
            "Segments have the colour of the class that they are matched to, so equal colours in "
            "the second and third column mean a right pixel. Wrong pixels are red in the last "
            "column, and pixels that are not scored dark."
        )
    else:
        over = run.segments[Head.OVERCLUSTER][chosen]
        columns["overclusters"] = painted(over, run.colors[Head.OVERCLUSTER])
        meaning = "Each segment and each overcluster has a colour."
    return Picture(
        "scenes.png",
        "Segments of test tiles",
        f"An even sample of the {counted(len(run.tiles), 'test tile')}, not a selection. {meaning}",
        f"{counted(len(chosen), 'row')} of {', '.join(columns)}.",
        f"{TILES}, {SEGMENTS}",
        run.seed,
        sharp_png(
            mosaics.grid_figure(np.stack([*columns.values()], axis=1), [f" {c}" for c in columns])
        ),
        COMMAND,
    )


def training(run: SegmentedRun) -> Picture:
    """Animate the segments of test tiles over the epochs."""
    chosen = evenly(len(run.snapshots["tiles"]), _SHOWN)
    epochs = len(run.history["epoch"])
    content, frames = animation(
        [
            (_epoch_title(run, epoch), _strips(run, chosen, epoch))
            for epoch in evenly(epochs, _FRAMES).tolist()
        ],
        _FRAME_BYTES,
    )
    return Picture(
        "training.gif",
        "Training by epoch",
        "Test tiles and, below them, their segments after each epoch. The colours are those of the "
        "last epoch's segments.",
        f"Two rows of tiles and their segments at {len(frames)} of {counted(epochs, 'epoch')}.",
        f"{TILES}, {SNAPSHOTS} (cluster_test)",
        run.seed,
        content,
        COMMAND,
        frames,
    )


def accuracy(run: SegmentedRun) -> Picture:
    """Draw the accuracy of the test pixels by epoch, for both heads."""
    columns = (run.accuracy[name] for name in ("epoch", "pixel_acc", "over_purity"))
    content, alt = accuracy_curves(*columns)
    return Picture(
        "accuracy.png",
        "Pixel accuracy by epoch",
        "Share of the test pixels in the segment that is matched to their class (Hungarian), and "
        "in overclusters counted as the majority class of the same pixels (purity). Masks are read "
        "after training only; no epoch is selected by them, the last one is the result.",
        alt,
        f"{ACCURACY}",
        run.seed,
        content,
        COMMAND,
    )


def losses(run: SegmentedRun) -> Picture:
    """Draw loss and mutual information of both heads by epoch."""
    content, first, last = loss_curves(run.history)
    return Picture(
        "losses.png",
        "Loss and mutual information by epoch",
        "Left: loss of both heads, mean over the batches of an epoch and over all displacements. "
        "It rises while alpha falls, since alpha weights its terms. Right: mutual information of "
        "the joint matrix of all pixels of an epoch, without displacement; it does not depend on "
        "alpha.",
        f"Two panels of curves over {counted(len(run.history['epoch']), 'epoch')}; the mutual "
        f"information of the clustering head goes from {first:.2f} to {last:.2f} nats.",
        f"{HISTORY}",
        run.seed,
        content,
        COMMAND,
    )


def confusion(run: SegmentedRun) -> Picture:
    """Draw the test pixels by class and predicted class."""
    names, scored = short_names(run.card.labels), run.masks != IGNORED
    predicted, masks = run.predicted[scored], run.masks[scored]
    has_class = predicted != IGNORED
    k = len(names)
    table = contingency_table(masks[has_class], predicted[has_class], k, k)
    right = 100 * np.trace(table) / max(1, len(masks))
    return Picture(
        "confusion.png",
        "Confusion matrix",
        "Test pixels by class and by the class of their segment, with the share of the class as "
        "colour. Pixels of a segment without a class are in no cell.",
        f"Matrix of {k} classes; {right:.1f} % of the pixels lie on its diagonal.",
        f"{SEGMENTS}",
        run.seed,
        sharp_png(matrices.confusion_figure(table, names, "Test pixels", "pixels")),
        COMMAND,
    )


def overclusters(run: SegmentedRun) -> Picture:
    """Draw the test pixels by class, or by segment without masks, and overcluster."""
    k = run.outputs(Head.OVERCLUSTER)
    if run.is_labelled:
        table, names, rows = run.confusion(Head.OVERCLUSTER), short_names(run.card.labels), "class"
    else:
        cluster, over = (run.segments[head].ravel() for head in Head)
        table = contingency_table(cluster, over, run.outputs(Head.CLUSTER), k)
        names, rows = [str(segment) for segment in range(len(table))], "segment"
    order = np.lexsort((-table.max(axis=0), majority_match(table)))
    used = int((table.sum(axis=0) > 0).sum())
    return Picture(
        "overclusters.png",
        f"Overclusters by {rows}",
        f"Test pixels by {rows} and overcluster ({k} outputs), with the overclusters grouped by "
        f"their majority {rows}.",
        f"Heat map of {len(table)} rows and {k} columns, {used} of them with pixels.",
        f"{SEGMENTS}",
        run.seed,
        sharp_png(matrices.overclusters_figure(table, order, names, rows, "pixels")),
        COMMAND,
    )


def textures(run: SegmentedRun) -> Picture | None:
    """Draw patches of the pictures that lie in one overcluster; None if there are none."""
    over = run.segments[Head.OVERCLUSTER]
    side = over.shape[1] // _ALONG
    places = range(0, over.shape[1] - side + 1, max(1, side // 2))
    sizes = np.bincount(over.ravel(), minlength=run.outputs(Head.OVERCLUSTER))
    rows = []
    for overcluster in np.argsort(-sizes, kind="stable")[:_ROWS].tolist():
        inside = over == overcluster
        shares = np.stack(
            [
                inside[:, y : y + side, x : x + side].mean(axis=(1, 2))
                for y in places
                for x in places
            ],
            axis=1,
        )
        # The best patch of each tile, so that patches come from different tiles.
        tiles = np.argsort(-shares.max(axis=1), kind="stable")[:_PATCHES]
        patches = []
        for tile in tiles:
            row, column = divmod(int(shares[tile].argmax()), len(places))
            y, x = places[row], places[column]
            patches.append(_colored(run.tiles[tile : tile + 1, y : y + side, x : x + side])[0])
        share = 100 * sizes[overcluster] / sizes.sum()
        title = f"overcluster {overcluster}\n{share:.1f} % of the pixels"
        rows.append((title, np.stack(patches), np.zeros(len(patches), bool)))
    return Picture(
        "textures.png",
        "Overclusters as textures",
        f"One row for each overcluster, largest first, at most {_ROWS}: the patches of the test "
        f"tiles, {side}×{side} pixels, with the largest share of pixels in it, at most one of a "
        "tile.",
        f"{counted(len(rows), 'row')} of patches, alike within a row.",
        f"{TILES}, {SEGMENTS}",
        run.seed,
        sharp_png(mosaics.samples_figure(rows, _PATCHES)),
        COMMAND,
    )


def study(runs: Study) -> Picture:
    """Draw the pixel accuracy by alpha and reach, over several seeds.

    Args:
        runs: Rows, as from complete_study.
    """
    values = {name: [row["pixel_acc"] for row in rows.values()] for name, rows in runs.items()}
    alphas, reaches = ([*dict.fromkeys(part)] for part in zip(*map(str.split, values), strict=True))
    curves = {
        f"alpha {float(alpha):g}": [
            100 * np.array([values[f"{alpha} {reach}"] for reach in reaches]).T
        ]
        for alpha in alphas
    }
    seeds = len(next(iter(values.values())))
    best = max(values, key=lambda name: float(np.mean(values[name])))
    alpha, reach = best.split()
    return Picture(
        "study.png",
        "Study: alpha and the displacements",
        f"Accuracy of the test pixels of textures, mean and range over {seeds} seeds, of trainings "
        "with a constant alpha and a constant largest displacement T.",
        f"{len(alphas)} curves over T; the highest mean, {100 * np.mean(values[best]):.1f} %, has "
        f"alpha {float(alpha):g} and T = {reach}.",
        f"{RESULTS} (study)",
        f"0 to {seeds - 1}",
        sharp_png(
            figures.variants_figure(
                [("Textures", "pixel accuracy, test (%)")], curves, int(reaches[0]), "T, cells"
            )
        ),
        COMMAND,
    )


def _colored(tiles: np.ndarray) -> np.ndarray:
    """Return tiles in colours, (n, s, s, 3) uint8."""
    return tiles if tiles.ndim == 4 else np.repeat(tiles[..., None], 3, axis=3)


def _errors(tiles: np.ndarray, masks: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Paint wrong pixels red and unscored ones dark over pale tiles, (n, s, s, 3) uint8."""
    shown = 128 + (_colored(tiles) >> 1)
    shown[(masks != IGNORED) & (masks != predicted)] = _WRONG
    shown[masks == IGNORED] = _UNSCORED
    return shown


def _strips(run: SegmentedRun, chosen: np.ndarray, epoch: int) -> Figure:
    """Draw the chosen ones of the recorded tiles above their segments after an epoch."""
    segments = run.snapshots[f"{Head.CLUSTER}_test"][epoch][chosen]
    tiles = run.tiles[run.snapshots["tiles"][chosen]]
    strips = np.stack([_colored(tiles), painted(segments, run.colors[Head.CLUSTER])])
    return mosaics.strips_figure(strips, _epoch_title(run, epoch))


def _epoch_title(run: SegmentedRun, epoch: int) -> str:
    title = f"epoch {int(run.history['epoch'][epoch])}"
    if run.is_scored_by_epoch:
        return f"{title}: pixel accuracy {100 * run.accuracy['pixel_acc'][epoch]:.1f} %"
    information = run.history[f"{Head.CLUSTER}_mutual_information"][epoch]
    return f"{title}: mutual information {information:.3f} nats"
