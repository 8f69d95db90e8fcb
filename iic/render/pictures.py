"""Image files: figures and arrays as PNG, GIF and data URI. Equal input gives equal bytes."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

_FRAME_MS, _LAST_FRAME_MS = 700, 2500
# Dots per inch at which a figure has one dot per CSS pixel, and a higher value for sharp screens.
_DPI, _SHARP_DPI = 100, 150


@dataclass(frozen=True)
class Frame:
    """One frame of an animation.

    Attributes:
        title: Title of the frame, such as the epoch.
        content: Bytes of the frame as a PNG file.
    """

    title: str
    content: bytes

    @property
    def data_uri(self) -> str:
        """Data URI of the frame, for a self-contained page."""
        return data_uri("png", self.content)


@dataclass(frozen=True)
class Picture:
    """A figure of the report as an image file, with its caption and its origin.

    Attributes:
        name: Name of the file.
        title: Heading on the page.
        caption: Text below the figure: what it shows and how to read it.
        alt: Alternative text for readers who cannot see the figure.
        source: Files that the figure is drawn from.
        seed: Seed of the training, or seeds of the trainings, that wrote these files.
        content: Bytes of the file.
        command: Command that draws the figure.
        frames: Frames of an animation, for the page's player; empty for a still image.
    """

    name: str
    title: str
    caption: str
    alt: str
    source: str
    seed: str
    content: bytes
    command: str = "dvc repro report"
    frames: tuple[Frame, ...] = ()

    @property
    def anchor(self) -> str:
        """Name of the file without its suffix, the target of links."""
        return self.name.rsplit(".", 1)[0]

    @property
    def data_uri(self) -> str:
        """Data URI of the file, for a self-contained page."""
        return data_uri(self.name.rsplit(".", 1)[1], self.content)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in CSS pixels."""
        image = Image.open(io.BytesIO(self.content))
        scale = image.info.get("dpi", (_DPI,))[0] / _DPI
        return round(image.width / scale), round(image.height / scale)


def data_uri(kind: str, content: bytes) -> str:
    """Encode an image file as a data URI.

    Args:
        kind: Subtype of the MIME type, such as "png".
        content: Bytes of the file.
    """
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def png(figure: Figure) -> bytes:
    """Encode a figure as PNG at 100 dpi, with 256 colours and without date and version."""
    return _png_bytes(_quantized(figure))


def sharp_png(figure: Figure) -> bytes:
    """Encode a figure as PNG at 150 dpi; the stored resolution keeps its size on a page."""
    buffer = io.BytesIO()
    image = _quantized(figure, _SHARP_DPI)
    image.save(buffer, "PNG", optimize=True, dpi=(_SHARP_DPI, _SHARP_DPI))
    return buffer.getvalue()


def tile(image: np.ndarray) -> bytes:
    """Encode an image (h, w) or (h, w, 3), uint8, as PNG of the same size, grey as dark ink."""
    return _png_bytes(Image.fromarray(image if image.ndim == 3 else 255 - image))


def animation(frames: Sequence[tuple[str, Figure]], budget: int) -> tuple[bytes, tuple[Frame, ...]]:
    """Encode an animated GIF that repeats and pauses at its last frame.

    Args:
        frames: Title and figure of each frame.
        budget: Largest total size of the single frames, in bytes. While they exceed it, every
            second frame is dropped; the last one stays.

    Returns:
        Bytes of the GIF with all frames, and the single frames as PNG.
    """
    images = [_quantized(figure) for _, figure in frames]
    single = [
        Frame(title, _png_bytes(image)) for (title, _), image in zip(frames, images, strict=True)
    ]
    while len(single) > 2 and sum(len(frame.content) for frame in single) > budget:
        # Counted from the end, so that the last frame stays.
        single = single[::-2][::-1]
    return _gif(images), tuple(single)


def _gif(images: Sequence[Image.Image]) -> bytes:
    first, *others = images
    buffer = io.BytesIO()
    first.save(
        buffer,
        "GIF",
        save_all=True,
        append_images=others,
        duration=[_FRAME_MS] * len(others) + [_LAST_FRAME_MS],
        loop=0,
        optimize=True,
    )
    return buffer.getvalue()


def sprite(images: np.ndarray, columns: int) -> bytes:
    """Encode images as one PNG, row by row, grey ones with dark ink on white.

    Args:
        images: Images, uint8: (n, h, w), light ink on dark paper, or (n, h, w, 3) in colour.
        columns: Number of images in a row.
    """
    n, height, width, *channels = images.shape
    rows = max(1, -(-n // columns))
    tiles = np.full((rows * columns, height, width, *channels), 255, np.uint8)
    tiles[:n] = images if channels else 255 - images
    sheet = tiles.reshape(rows, columns, height, width, *channels).swapaxes(1, 2)
    return _png_bytes(Image.fromarray(sheet.reshape(rows * height, columns * width, *channels)))


def _png_bytes(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _quantized(figure: Figure, dpi: int = _DPI) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    image = Image.open(buffer).convert("RGB")
    return image.quantize(256, dither=Image.Dither.NONE)
