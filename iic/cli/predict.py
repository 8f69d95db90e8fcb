"""`iic predict`: clusters of people's own images."""

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
    from iic.data.images import Source
    from iic.evaluation.card import ModelCard
    from iic.model.assignments import Assignments

_COLUMNS = ("path", "cluster", "overcluster", "probability")


@click.command(short_help="Put your own images into clusters.")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@model_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A .csv or .jsonl file; without it, CSV is printed.",
)
@click.option(
    "--ink",
    type=click.Choice(["auto", "light", "dark"]),
    help="Colour of the ink; auto tells by the borders. By default as the model was trained.",
)
@click.option(
    "--size",
    type=click.Choice(["fit", "stretch", "crop", "refuse"]),
    help="How images of another size become 28×28: whole with paper around, distorted, cut to the "
    "ink as MNIST's were, or not at all. By default as the model was trained.",
)
@click.option("--skip-broken", is_flag=True, help="Leave out what cannot be read, and count it.")
@click.option(
    "--max-images",
    type=click.IntRange(1),
    default=1_000_000,
    show_default=True,
    help="Refuse more of them in a folder or file.",
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
    """Put IMAGES into the clusters of a trained model.

    IMAGES are PNG, JPEG, BMP, TIFF or WebP files, folders of them, NPZ or IDX files. For each image
    there is a row with its cluster, its overcluster and the probability of the cluster, and the
    label that the cluster stands for where labels were known at evaluation.
    """
    if out is not None and out.suffix not in _WRITERS:
        raise click.UsageError(f"--out {out}: a name that ends in .csv or .jsonl is needed")
    from tqdm import tqdm

    from iic.data.images import Reading, ground_of, tell_skipped
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
        ink=ink or (card.ink if card else "auto"),  # type: ignore[arg-type] # likewise
        broken="skip" if skip_broken else "refuse",
    )
    sources = _sources(images, max_images)
    grounds = [ground_of([source], reading) for source in sources]
    for source, ground in zip(sources, grounds, strict=True):
        click.echo(f"{source.title}: {len(source.names):,} images, {ground}", err=True)

    # Not before the images are known to be there: TensorFlow takes seconds.
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
    for line in tell_skipped(skipped, total):
        click.echo(line, err=True)
    if out is not None:
        click.echo(str(out), err=True)


def _labels(card: "ModelCard | None", clusters: int) -> list[str | None] | None:
    """Names of the clusters, if there are any."""
    if card is None or not card.labels:
        return None
    if len(card.clusters) != clusters:
        raise InputError(
            f"the model's card names {len(card.clusters)} clusters, the network has {clusters}; "
            "run `dvc repro evaluate`, or `dvc pull` it"
        )
    return card.cluster_names()


def _sources(paths: Sequence[Path], max_images: int) -> "list[Source]":
    """Files that were named one by one are judged together, like those of a folder."""
    from iic.data.images import SUFFIXES, FileSource
    from iic.data.readers import check_name, sources_of

    files = [path for path in paths if path.is_file() and path.suffix.lower() in SUFFIXES]
    sources: list[Source] = []
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
    """One an image; `labels` are the names of the clusters, where these have any."""
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
    """The file, which appears only once it is whole; or standard output."""
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


def _json_lines(file: TextIO, has_labels: bool) -> _Write:  # noqa: ARG001 - each row tells
    def write(rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            rounded = row | {"probability": float(f"{row['probability']:.6g}")}
            file.write(json.dumps(rounded, ensure_ascii=False) + "\n")

    return write


_WRITERS = {".csv": _csv, ".jsonl": _json_lines}
