"""Put outputs of the last successful run back from DVC's cache.

DVC removes the outputs of a stage before it runs the stage, so a failed run would leave none.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import PipelineStage

from iic.core.files import write_bytes
from iic.pipeline.inputs import md5_of
from iic.pipeline.outputs import KEPT
from iic.pipeline.paths import PIPELINE


def restore_failed(name: str) -> None:
    """Put back all outputs of a stage that has failed, also those that it had written already.

    A mixture of outputs of two runs would be wrong, such as new images beside old labels.

    Args:
        name: Name of the stage, after the path of its dvc.yaml and a colon if that is not in the
            top folder.
    """
    file, _, stage_name = name.rpartition(":")
    with Repo() as repo:
        stage = repo.stage.load_one(file or str(PIPELINE), stage_name)
        # DVC's locks are not taken: the DVC that runs the stage holds them.
        _put_back(stage, replace=True)


def restore_missing() -> Iterator[str]:
    """Put back missing outputs of all stages, and yield their paths.

    A stage with an output that belongs to another run keeps its state.
    """
    try:
        with Repo() as repo:
            stages = [stage for stage in repo.index.stages if isinstance(stage, PipelineStage)]
            for stage in stages:
                yield from _put_back(stage, replace=False)
    except DvcException:
        # Such as a merge conflict in dvc.lock; `dvc repro` reports it.
        return


def _put_back(stage: PipelineStage, *, replace: bool) -> list[str]:
    """Put back the outputs that differ from dvc.lock, and return their paths."""
    if not replace and all(Path(out.fs_path).exists() for out in stage.outs):
        return []
    stale = {out: _stored(out) for out in stage.outs if out.hash_info and _is_stale(out)}
    others = [out for out in stale if Path(out.fs_path).exists()]
    if others and (not replace or None in stale.values()):
        return []
    for out, stored in stale.items():
        if stored is not None:
            _check_out(out, stored)
    return [str(out) for out, stored in stale.items() if stored is not None]


def _is_stale(out: Output) -> bool:
    path = Path(out.fs_path)
    return not path.exists() or md5_of(path) != out.hash_info.value


def _stored(out: Output) -> Path | None:
    """Return where an output is stored; None if it is not."""
    kept = KEPT / out.def_path
    if not out.use_cache and kept.exists() and md5_of(kept) == out.hash_info.value:
        return kept
    stored = Path(out.local_cache.oid_to_path(out.hash_info.value))
    if out.use_cache:
        return None if out.changed_cache() else stored
    # The run-cache keeps files that DVC does not cache otherwise, but no folders.
    return stored if stored.is_file() and not out.hash_info.isdir else None


def _check_out(out: Output, stored: Path) -> None:
    """Link or copy an output as `dvc checkout` does; Git tracks those that DVC does not cache."""
    if out.use_cache:
        out.checkout(force=True)
        return
    path = Path(out.fs_path)
    if path.is_dir():
        shutil.rmtree(path)
    for file in [*stored.rglob("*")] if stored.is_dir() else [stored]:
        write_bytes(path / file.relative_to(stored), file.read_bytes())
