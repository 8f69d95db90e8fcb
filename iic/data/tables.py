"""Tables of images and labels: CSV files of pixels or of names, and Parquet files."""

from iic.data.name_tables import NoLabelColumnError, labels_by_name, names_table
from iic.data.parquet import parquet_images
from iic.data.pixel_tables import is_pixel_table, pixel_table

__all__ = [
    "NoLabelColumnError",
    "is_pixel_table",
    "labels_by_name",
    "names_table",
    "parquet_images",
    "pixel_table",
]
