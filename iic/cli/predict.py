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
from iic.cli.remedies import in_options, options_in_errors
from iic.core.errors import InputError
from iic.core.plurals import counted
from iic.pipeline.paths import IMAGES
from iic.serving.identity import identity_of

if TYPE_CHECKING:
    from iic.core.appearance import Appearance
    from iic.data.images import ImageSource, Reading
    from iic.evaluation.card import ModelCard
    from iic.model.assignments import Assignments
    from iic.serving.predict import Assign

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
    help="Brightness of the ink; auto judges by the borders if that of the training is not known.  "
    "[default: as in training]",
)
@click.option(
    "--size",
    type=click.Choice(["fit", "stretch", "crop", "refuse"]),
    help="How to make other sizes fit: keep the shape and pad, distort, crop to the ink as MNIST "
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
@options_in_errors()
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

    IMAGES are image files (PNG, JPEG, BMP, TIFF, WebP, GIF, PNM), folders of them, or NPZ, NPY,
    IDX, CSV and Parquet files. The output has one row per image with its cluster, its overcluster
    and the probability of the cluster. If labels were known at evaluation, it also has the label
    that the cluster stands for.
    """
    if out is not None and out.suffix not in _WRITERS:
        raise click.UsageError(f"--out {out}: a name that ends in .csv or .jsonl is needed")
    _check_out(out, images)
    from iic.data.examine import examine
    from iic.data.images import Reading
    from iic.evaluation.card import ModelCard, card_path, check_images
    from iic.model.store import read_model_params
    from iic.segmentation.store import is_trunk

    if is_trunk(model):
        # Its error names the command for such a network.
        read_model_params(model)
    card = ModelCard.of(model)
    if card is None:
        _say(
            f"{card_path(model)}: not found, so clusters have no names; size fit and ink auto "
            "unless you say otherwise"
        )
    else:
        check_images(card, model, model.parent / IMAGES)
    sources = _sources(images, max_images, skip_broken=skip_broken)
    _check_out(out, _files(sources))
    params = read_model_params(model)
    _check_colors(params.input_shape[2], ink, size)
    reading = Reading(
        shape=params.input_shape,
        size=size or (card.size if card else "fit"),  # type: ignore[arg-type] # click has checked
        ink=ink or _usual_ink(card),  # type: ignore[arg-type] # click has checked
        broken="skip" if skip_broken else "refuse",
    )
    known = card.appearance if card else None
    examination = examine(
        sources, reading.ink, known, by_content=known is None, has_colors=reading.has_colors
    )
    for source in sources:
        _say(f"{source.title}: {counted(len(source.names), 'image')}, {examination}")
    _warn(examination.warnings)

    # After the images have been found, since TensorFlow takes seconds to import.
    from iic.serving.predict import load_assign

    assign = load_assign(model, sum(len(source.names) for source in sources))
    labels = _labels(card, params.clusters)
    with _opened(out) as file:
        write = _WRITERS[out.suffix if out else ".csv"](file, labels is not None)
        batches = _assigned(assign, sources, examination.appearance, reading, card)
        for names, soft in batches:
            write(_rows(names, soft, labels))
    if out is not None:
        _say(str(out))


def _check_colors(channels: int, ink: str | None, size: str | None) -> None:
    """Refuse options that have no meaning for a network of images in colour."""
    if channels == 3 and ink not in (None, "auto"):
        raise click.UsageError(f"--ink {ink}: the network sees colours, without ink and paper")
    if channels == 3 and size == "crop":
        raise click.UsageError("--size crop: the network sees colours, without ink to crop to")


def _usual_ink(card: "ModelCard | None") -> str:
    """Return the ink of images about which the user says nothing: as in training."""
    # A known appearance has the ink, and `auto` compares the borders with it.
    return "auto" if card is None or card.appearance else card.ink


def _check_out(out: Path | None, read: Iterable[Path]) -> None:
    """Refuse to write to a file that is read; any other file is an older result."""
    there = None if out is None else identity_of(out)
    if there is None:
        return
    for path in read:
        if identity_of(path) == there:
            raise InputError(
                f"--out {out}: would replace {path}, which is read; choose another name"
            )


def _files(sources: "Sequence[ImageSource]") -> Iterator[Path]:
    """Yield the files of sources: image files, or the file of an array."""
    from iic.data.images import FileSource

    for source in sources:
        yield from map(Path, source.names if isinstance(source, FileSource) else [source.title])


def _say(line: str) -> None:
    click.echo(line, err=True)


def _warn(lines: Iterable[str]) -> None:
    for line in lines:
        _say(f"warning: {in_options(line)}")


def _assigned(
    assign: "Assign",
    sources: "Sequence[ImageSource]",
    appearance: "Appearance",
    reading: "Reading",
    card: "ModelCard | None",
) -> "Iterator[tuple[list[str], Assignments]]":
    """Yield names and assignments in batches; say what was skipped and what is doubtful."""
    from tqdm import tqdm

    from iic.data.check import ImageCheck, Ink, assignment_warnings
    from iic.data.images import describe_skipped
    from iic.serving.predict import predict_source

    skipped: list[InputError] = []
    check = ImageCheck(reading.size)
    clusters: list[int] = []
    confidence: list[float] = []
    total = sum(len(source.names) for source in sources)
    with tqdm(total=total, unit="image", leave=False, disable=None) as bar:
        for source in sources:
            for batch in predict_source(assign, source, appearance, reading, skipped.append):
                check.add(batch.images)
                clusters += batch.soft.hard_cluster.tolist()
                confidence += batch.soft.probability.tolist()
                yield [source.names[index] for index in batch.indices], batch.soft
                bar.update(len(batch.indices))
    for line in describe_skipped(skipped, total):
        _say(in_options(line))
    known = Ink(*card.ink_share) if card and card.ink_share else None
    _warn([*check.warnings(known), *assignment_warnings(clusters, confidence)])


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


def _sources(paths: Sequence[Path], max_images: int, *, skip_broken: bool) -> "list[ImageSource]":
    """Return the sources of images; single image files form one source, like those of a folder."""
    from iic.data.found import find_parts
    from iic.data.images import FileSource

    files: list[str] = []
    sources: list[ImageSource] = []
    for path in paths:
        parts = find_parts(path, max_images, names="nothing", skip_broken=skip_broken)
        found = [part.source for part in parts.values()]
        if not path.is_dir() and isinstance(found[0], FileSource):
            files += found[0].names
        else:
            sources += found
    if files:
        title = files[0] if len(files) == 1 else f"{len(files):,} files"
        sources.insert(0, FileSource(title, [Path(name) for name in files]))
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
