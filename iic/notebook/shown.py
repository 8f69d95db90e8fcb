"""Images and pages that a notebook shows when they are the value of a cell."""

import html
import io
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from iic.core.files import write_bytes
from iic.render.pictures import data_uri, sharp_png

# Dots per inch of a figure that has one dot per CSS pixel.
_DPI = 100


@dataclass(frozen=True)
class ShownImage:
    """An image file in a notebook.

    Attributes:
        content: Bytes of the file.
        kind: "png" or "gif".
        alt: Alternative text for readers who cannot see the image.
    """

    content: bytes
    kind: str
    alt: str

    def _repr_html_(self) -> str:
        """Return an HTML element; notebooks call this method."""
        image = Image.open(io.BytesIO(self.content))
        width = round(image.width * _DPI / image.info.get("dpi", (_DPI,))[0])
        source = data_uri(self.kind, self.content)
        # White paper, since figures have black text and pages may be dark.
        style = "max-width: 100%; height: auto; background: white"
        alt = html.escape(self.alt)
        return f'<img src="{source}" alt="{alt}" width="{width}" style="{style}">'

    def save(self, path: str | Path) -> None:
        """Write the image to a file."""
        write_bytes(Path(path), self.content)


@dataclass(frozen=True)
class ShownPage:
    """A self-contained HTML page in a frame of a notebook.

    Attributes:
        content: HTML text of the page.
        title: Name of the frame for readers who cannot see it.
        height: Height of the frame, in pixels.
    """

    content: str
    title: str
    height: int

    def _repr_html_(self) -> str:
        """Return an HTML element; notebooks call this method."""
        style = f"width: 100%; height: {self.height}px; border: 1px solid #bbb"
        return (
            f'<iframe title="{html.escape(self.title)}" style="{style}" loading="lazy" '
            f'srcdoc="{html.escape(self.content)}"></iframe>'
        )

    def save(self, path: str | Path) -> None:
        """Write the page to a file."""
        write_bytes(Path(path), self.content.encode())


def show(figure: Figure, alt: str) -> ShownImage:
    """Turn a figure into a sharp image that a notebook shows.

    Args:
        figure: Figure of Matplotlib.
        alt: Alternative text for readers who cannot see the figure.
    """
    return ShownImage(sharp_png(figure), "png", alt)
