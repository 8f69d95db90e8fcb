"""Check the paths of a pipeline's data before DVC starts, whose own messages name no remedy."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from iic.core.errors import InputError
from iic.core.links import broken_links
from iic.core.plurals import counted
from iic.pipeline.paths import SEGMENTATION, Pipeline
from iic.pipeline.stage import read_params
from iic.segmentation.params import read_segmentation_params

# Largest number of broken links to name.
_NAMED = 3


def check_data_paths(pipeline: Pipeline) -> None:
    """Check that DVC can read the paths of a pipeline's data.

    Args:
        pipeline: Pipeline that is about to run; parameters of the other one do not matter.

    Raises:
        InputError: A path does not exist, or it is a folder with broken links, at which DVC stops;
            or a parameter is wrong.
    """
    for key, path in _paths(pipeline).items():
        if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises an error for some links
            what = "is a broken link" if path.is_symlink() else "does not exist"
            raise InputError(
                f"{key}: {path} {what}; correct it in {pipeline.params}. In a clone without these "
                f"files, `dvc repro --allow-missing {pipeline.stages}` uses those of the last run"
            )
        if fault := broken_links_in(path):
            raise InputError(f"{key}: {path} {fault}")


def _paths(pipeline: Pipeline) -> Mapping[str, Path]:
    """Return the paths of data that DVC always reads, by their keys as `dvc exp run` takes them."""
    if pipeline == SEGMENTATION:
        scenes = read_segmentation_params(pipeline.params).data
        found = {"path": scenes.path, "masks": scenes.masks}
        return {f"{pipeline.params}:data.{key}": Path(path) for key, path in found.items()}
    return {"data.path": Path(read_params(pipeline.params).data.path)}


def broken_links_in(path: Path) -> str:
    """Describe the broken links below a folder, with the remedy; empty if there are none."""
    broken = broken_links(path)
    if not broken:
        return ""
    names = ", ".join(str(link.relative_to(path)) for link in broken[:_NAMED])
    more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
    return (
        f"contains {counted(len(broken), 'broken link')} ({names}{more}), where DVC stops "
        f"before any stage; to remove: find {shlex.quote(str(path))} -type l ! -exec "
        "test -e {} \\; -delete"
    )
