"""Figures as the bytes of a file and as part of a page; the same figure gives the same bytes."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

_FRAME_MS, _LAST_FRAME_MS = 700, 2500
_DPI = 100


@dataclass(frozen=True)
class Picture:
    """One figure of the report."""

    name: str
    title: str
    caption: str
    source: str
    content: bytes

    @property
    def data_uri(self) -> str:
        """The picture inside the page, so that the page needs no other file."""
        return data_uri(self.name.rsplit(".", 1)[1], self.content)


def data_uri(kind: str, content: bytes) -> str:
    """An image of a kind such as "png" inside a page."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def png(figure: Figure) -> bytes:
    """PNG with a palette of 256 colours, a third of the size; no date and no version inside."""
    buffer = io.BytesIO()
    _quantized(figure).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def gif(frames: Sequence[Figure]) -> bytes:
    """An animation that repeats and rests on its last frame."""
    first, *others = (_quantized(figure) for figure in frames)
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
    buffer = io.BytesIO()
    Image.fromarray(sheet.reshape(rows * height, -1)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _quantized(figure: Figure) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    image = Image.open(buffer).convert("RGB")
    return image.quantize(256, dither=Image.Dither.NONE)
