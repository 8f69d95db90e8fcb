"""How often each block of the backbone halves the images."""

from iic.core.params import ModelParams
from iic.core.shapes import GREY_SHAPE

# Least and most pixels a side of the last map: 28 pixels are halved to 14, 7 and 3.
_SMALLEST, _LARGEST = 3, 7
# Height and width of the images for which the article's network was made.
_ARTICLE_SIDE = GREY_SHAPE[0]


def halvings(params: ModelParams, side: int) -> list[int]:
    """Choose how often each block halves height and width by max-pooling.

    Unless `poolings` says otherwise, a block halves as long as 3 pixels remain. If 8 or more pixels
    would remain after the last block, the first blocks halve more often. A network of a single
    block may keep 14 pixels, as it does of images of 28.

    Args:
        params: Widths of the blocks, and the number of halvings or None.
        side: Height and width of the images in pixels.

    Returns:
        Number of halvings of each block; 1, 1, 1, 0 for four blocks and 28 pixels.
    """
    blocks = len(params.widths)
    total = params.poolings
    if total is None:
        total = min(blocks, (side // _SMALLEST).bit_length() - 1)
        while side >> total > max(_LARGEST, _ARTICLE_SIDE >> blocks):
            total += 1
    return [total // blocks + (index < total % blocks) for index in range(blocks)]
