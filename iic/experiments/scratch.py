"""Copies of the code, in which stages run without DVC and without earlier results."""

import shutil
from pathlib import Path

import yaml

from iic.core.params import Params
from iic.experiments.commands import output_of
from iic.pipeline.paths import PARAMS
from iic.report.paths import BENCHMARK

# All stages, in the order of dvc.yaml.
STAGES = ("source", "download", "augment", "neighbors", "train", "evaluate", "report")


def copy_code(folder: Path) -> None:
    """Copy the working tree's code, without any output of the pipeline.

    Args:
        folder: Folder to copy into.
    """
    copy_working_tree(Path(), folder, "iic", "stages", "recipes")
    (folder / BENCHMARK).parent.mkdir(parents=True)
    # The report reads this file; without measurements, it draws no figure of them.
    (folder / BENCHMARK).write_text("{}\n")


def copy_working_tree(root: Path, target: Path, *pathspecs: str) -> None:
    """Copy the files that Git tracks or would add.

    Args:
        root: Top folder of the repository.
        target: Folder to copy into; relative paths stay the same.
        pathspecs: Git pathspecs; those that begin with `:!` exclude files.
    """
    listed = output_of(
        *("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"),
        *pathspecs,
        folder=root,
    )
    for name in filter(None, listed.split("\0")):
        # Git lists a deleted file until the deletion is committed.
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)


def write_params(folder: Path, params: Params) -> None:
    """Write parameters to a folder's params.yaml; the path of local data becomes absolute."""
    tree = params.model_dump(mode="json")
    if tree["data"]["local_dir"] is not None:
        tree["data"]["local_dir"] = str(Path(tree["data"]["local_dir"]).absolute())
    (folder / PARAMS).write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
