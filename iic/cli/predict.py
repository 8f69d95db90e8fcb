"""`iic predict`: clusters of a user's images."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from iic.cli.options import model_option
from iic.core.errors import InputError
from iic.pipeline.quiet import quiet

if TYPE_CHECKING:
    from iic.data.images import ImageSource
    from iic.evaluation.card import ModelCard
    from iic.model.assignments import Assignments

_COLUMNS = ("path", "cluster", "overcluster", "probability")


@click.command(short_help="Assign your own images to clusters.")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@model_option
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="File to write, .csv or .jsonl.  [default: print CSV]",
)
@click.option(
    "--ink",
    type=click.Choice(["auto", "light", "dark"]),
    help="Brightness of the ink; auto judges by the borders.  [default: as in training]",
)
@click.option(
    "--size",
    type=click.Choice(["fit", "stretch", "crop", "refuse"]),
    help="How to make other sizes 28×28: keep the shape and pad, distort, crop to the ink as MNIST "
    "does, or refuse.  [default: as in training]",
)
@click.option("--skip-broken", is_flag=True, help="Skip files that cannot be read, and count them.")
@click.option(
    "--max-images",
    metavar="N",
    type=click.IntRange(1),
    default=1_000_000,
    help="Largest number of images in one folder or file; more are refused.",
)
def predict(
    images: tuple[Path, ...],
    model: Path,
    out: Path | None,
    ink: str | None,
    size: str | None,
    skip_broken: bool,
    max_images: int,
) -> None:
    """Assign IMAGES to the clusters of a trained model.

    IMAGES are PNG, JPEG, BMP, TIFF or WebP files, folders of them, NPZ or IDX files. The output
    has one row per image with its cluster, its overcluster and the probability of the cluster. If
    labels were known at evaluation, it also has the label that the cluster stands for.
    """
    if out is not None and out.suffix not in _WRITERS:
        raise click.UsageError(f"--out {out}: a name that ends in .csv or .jsonl is needed")
    from tqdm import tqdm

    from iic.data.images import Reading, describe_skipped, ground_of
    from iic.evaluation.card import card_of, card_path

    card = card_of(model)
    if card is None:
        click.echo(
            f"{card_path(model)}: not found, so clusters have no names; size fit and ink auto "
            "unless you say otherwise",
            err=True,
        )
    reading = Reading(
        size=size or (card.size if card else "fit"),  # type: ignore[arg-type] # click has checked
        ink=ink or (card.ink if card else "auto"),  # type: ignore[arg-type] # click has checked
        broken="skip" if skip_broken else "refuse",
    )
    sources = _sources(images, max_images)
    grounds = [ground_of([source], reading) for source in sources]
    for source, ground in zip(sources, grounds, strict=True):
        click.echo(f"{source.title}: {len(source.names):,} images, {ground}", err=True)

    # After the images have been found, since TensorFlow takes seconds to import.
    with quiet():
        from iic.model.store import load_network
        from iic.serving.predict import predict_source

        network = load_network(model)
    labels = _labels(card, network.outputs[0].shape[1])
    skipped: list[InputError] = []
    total = sum(len(source.names) for source in sources)
    with _opened(out) as file, tqdm(total=total, unit="image", leave=False, disable=None) as bar:
        write = _WRITERS[out.suffix if out else ".csv"](file, labels is not None)
        for source, ground in zip(sources, grounds, strict=True):
            for batch in predict_source(network, source, ground, reading, skipped.append):
                write(_rows([source.names[index] for index in batch.indices], batch.soft, labels))
                bar.update(len(batch.indices))
    for line in describe_skipped(skipped, total):
        click.echo(line, err=True)
    if out is not None:
        click.echo(str(out), err=True)


def _labels(card: "ModelCard | None", clusters: int) -> list[str | None] | None:
    """Return the names of the clusters, or None if the card has none."""
    if card is None or not card.labels:
        return None
    if len(card.clusters) != clusters:
        from iic.evaluation.card import CARD_REMEDY

        raise InputError(
            f"the model's card names {len(card.clusters)} clusters, the network has {clusters}; "
            f"{CARD_REMEDY}"
        )
    return card.cluster_names()


def _sources(paths: Sequence[Path], max_images: int) -> "list[ImageSource]":
    """Return the sources of images; single files form one source, like those of a folder."""
    from iic.data.images import SUFFIXES, FileSource
    from iic.data.readers import check_name, sources_of

    files = [path for path in paths if path.is_file() and path.suffix.lower() in SUFFIXES]
    sources: list[ImageSource] = []
    for path in files:
        check_name(path)
    if files:
        title = str(files[0]) if len(files) == 1 else f"{len(files):,} files"
        sources.append(FileSource(title, files))
    others = set(paths) - set(files)
    for path in paths:
        if path in others:
            sources += sources_of(path, max_images)
    return sources


def _rows(
    names: Sequence[str], soft: "Assignments", labels: Sequence[str | None] | None
) -> Iterator[dict[str, Any]]:
    """Yield one row per image; `labels` are the names of the clusters, if they have any."""
    columns = (soft.hard_cluster, soft.hard_overcluster, soft.probability)
    for name, cluster, overcluster, probability in zip(
        names, *(column.tolist() for column in columns), strict=True
    ):
        row = {
            "path": name,
            "cluster": cluster,
            "overcluster": overcluster,
            "probability": probability,
        }
        yield row if labels is None else row | {"label": labels[cluster]}


@contextmanager
def _opened(out: Path | None) -> Iterator[TextIO]:
    """Open the output file, which appears only once it is complete, or standard output."""
    from iic.core.files import replacing

    if out is None:
        yield sys.stdout
        return
    with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield file


_Write = Callable[[Iterable[dict[str, Any]]], None]


def _csv(file: TextIO, has_labels: bool) -> _Write:
    from iic.core.files import table_cell

    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*_COLUMNS, *(["label"] if has_labels else [])])

    def write(rows: Iterable[dict[str, Any]]) -> None:
        writer.writerows([table_cell(value) for value in row.values()] for row in rows)

    return write


def _json_lines(file: TextIO, has_labels: bool) -> _Write:  # noqa: ARG001 - the rows contain them
    def write(rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            rounded = row | {"probability": float(f"{row['probability']:.6g}")}
            file.write(json.dumps(rounded, ensure_ascii=False) + "\n")

    return write


_WRITERS = {".csv": _csv, ".jsonl": _json_lines}
