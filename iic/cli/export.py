"""`iic export`: the trained network as a file for other runtimes."""

from pathlib import Path

import click

from iic.cli.options import model_option
from iic.core.quiet import quiet
from iic.pipeline.paths import IMAGES
from iic.segmentation.paths import TILES

# The keys of iic.serving.export.FORMATS, without importing TensorFlow.
_FORMATS = ("savedmodel", "keras", "onnx", "litert")


@click.command(short_help="Write the network for another runtime.")
@model_option
@click.option(
    "--format", "name", type=click.Choice(_FORMATS), required=True, help="Format to write."
)
@click.option(
    "--out",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="File to write, or folder for savedmodel.  [default: iic-DATA in this folder]",
)
@click.option("--force", is_flag=True, help="Replace an existing file or folder.")
def export(model: Path, name: str, out: Path | None, force: bool) -> None:
    """Write the trained network for another runtime.

    The file takes images, uint8, of the size and the channels of the training, grey ones with
    light ink on dark paper, and returns the probabilities of both heads. That of a segmentation
    network takes tiles and returns the probabilities of each pixel. Before the file gets its name,
    it is loaded with its own runtime and compared with the network. A JSON file beside it names the
    clusters.

    The formats onnx and litert need `make setup EXTRAS=export`. docs/export.md has an example for
    each format.
    """
    with quiet():
        from iic.segmentation.store import is_trunk
        from iic.serving.export import TOLERANCE
        from iic.serving.export import export as export_model

        # A segmentation network is one folder further down.
        images = model.parent.parent / TILES if is_trunk(model) else model.parent / IMAGES
        done = export_model(model, name, out, images, force=force)
    click.echo(f"wrote {done.path}, {done.size / 1e6:.1f} MB, and {done.description}")
    click.echo(
        f"{done.images}: probabilities differ by {done.difference:.1g} at most ({TOLERANCE:g} "
        "is allowed)"
    )
