"""The code in a folder of its own, to run stages in without DVC and without any earlier result."""

import shutil
import subprocess
from pathlib import Path

import yaml

from iic.core.params import Params
from iic.pipeline.paths import PARAMS
from iic.report.paths import BENCHMARK

# In the order of dvc.yaml.
STAGES = ("download", "augment", "neighbors", "train", "evaluate", "report")


def copy_code(folder: Path) -> None:
    """Copy the working tree's code, without any result of the pipeline.

    Args:
        folder: to copy into.
    """
    copy_working_tree(Path(), folder, "iic", "stages", "experiments", "benchmarks", "recipes")
    (folder / BENCHMARK).parent.mkdir(parents=True)
    # The report reads it, and draws nothing from an empty one.
    (folder / BENCHMARK).write_text("{}\n")


def copy_working_tree(root: Path, target: Path, *pathspecs: str) -> None:
    """Copy the files that Git tracks, or would if they were added.

    Args:
        root: of the repository.
        target: folder to copy into, at the same relative paths.
        pathspecs: Git's; those that begin with `:!` leave files out.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"]
    listed = subprocess.run(  # noqa: S603 - a list, no shell
        [*command, *pathspecs], cwd=root, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        # Git still lists a file that was deleted and not yet committed so.
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)


def write_params(folder: Path, params: Params) -> None:
    """Write parameters into a folder's params.yaml; a local folder of data stays where it is."""
    tree = params.model_dump(mode="json")
    if tree["data"]["local_dir"] is not None:
        tree["data"]["local_dir"] = str(Path(tree["data"]["local_dir"]).absolute())
    (folder / PARAMS).write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
