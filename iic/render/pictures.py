"""Figures as the bytes of a file and as part of a page; the same figure gives the same bytes."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

_FRAME_MS, _LAST_FRAME_MS = 700, 2500
# Dots per inch at which a figure has one dot for each CSS pixel; and more, for finer screens.
_DPI, _SHARP_DPI = 100, 150


@dataclass(frozen=True)
class Frame:
    """One step of an animation: its title, and the image as PNG."""

    title: str
    content: bytes

    @property
    def data_uri(self) -> str:
        """The image inside a page."""
        return data_uri("png", self.content)


@dataclass(frozen=True)
class Picture:
    """One figure of the report.

    Attributes:
        name: of its file.
        title: a heading.
        caption: what it shows and how to read it.
        alt: what is to be seen, for those who do not see it.
        source: files that it is drawn from.
        seed: of the training or trainings that these files come from.
        content: of its file.
        command: that draws it.
        frames: of an animation, for a page that lets its reader stop it.
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
        """Its name without the file's kind, for links."""
        return self.name.rsplit(".", 1)[0]

    @property
    def data_uri(self) -> str:
        """The picture inside the page, so that the page needs no other file."""
        return data_uri(self.name.rsplit(".", 1)[1], self.content)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in CSS pixels."""
        image = Image.open(io.BytesIO(self.content))
        scale = image.info.get("dpi", (_DPI,))[0] / _DPI
        return round(image.width / scale), round(image.height / scale)


def data_uri(kind: str, content: bytes) -> str:
    """An image of a kind such as "png" inside a page."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def png(figure: Figure) -> bytes:
    """PNG with a palette of 256 colours, a third of the size; no date and no version inside."""
    return _png_bytes(_quantized(figure))


def sharp_png(figure: Figure) -> bytes:
    """The same with more pixels; it says how many make an inch, so that its size stays."""
    buffer = io.BytesIO()
    image = _quantized(figure, _SHARP_DPI)
    image.save(buffer, "PNG", optimize=True, dpi=(_SHARP_DPI, _SHARP_DPI))
    return buffer.getvalue()


def tile(image: np.ndarray) -> bytes:
    """PNG of an image (h, w) uint8 of the data as it is, dark ink on white."""
    return _png_bytes(Image.fromarray(255 - image))


def animation(frames: Sequence[tuple[str, Figure]], budget: int) -> tuple[bytes, tuple[Frame, ...]]:
    """An animated GIF that repeats and rests on its last frame, and its frames one by one.

    Args:
        frames: title and figure of each.
        budget: bytes that all single frames may have together; beyond, every second is left out.
    """
    images = [_quantized(figure) for _, figure in frames]
    single = [
        Frame(title, _png_bytes(image)) for (title, _), image in zip(frames, images, strict=True)
    ]
    while len(single) > 2 and sum(len(frame.content) for frame in single) > budget:
        # From the back, so that the last one stays.
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
    """Images (n, h, w) uint8 in one PNG, row by row, light ink turned into dark on white."""
    n, height, width = images.shape
    rows = max(1, -(-n // columns))
    tiles = np.full((rows * columns, height, width), 255, np.uint8)
    tiles[:n] = 255 - images
    sheet = tiles.reshape(rows, columns, height, width).transpose(0, 2, 1, 3)
    return _png_bytes(Image.fromarray(sheet.reshape(rows * height, -1)))


def _png_bytes(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _quantized(figure: Figure, dpi: int = _DPI) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    image = Image.open(buffer).convert("RGB")
    return image.quantize(256, dither=Image.Dither.NONE)
