"""A failed run takes nothing away: outputs of the last successful run are put back."""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import override, run

from iic.core.errors import InputError
from iic.experiments.repair import repair_repository
from iic.experiments.restore import restore_failed, restore_missing
from iic.pipeline.inputs import md5_of, outputs_in
from iic.pipeline.outputs import KEPT, outputs_kept


def outputs() -> dict[str, str]:
    return dict(outputs_in(Path("dvc.lock")))


def found() -> dict[str, str]:
    """The MD5 of each output of dvc.lock that exists."""
    return {name: md5_of(Path(name)) for name in outputs() if Path(name).exists()}


def remove(*names: str) -> None:
    for name in names:
        path = Path(name)
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def set_params(**values: object) -> None:
    file = Path("params.yaml")
    text = file.read_text("utf-8")
    named = {key.replace("__", "."): value for key, value in values.items()}
    file.write_text(override(text, named), "utf-8")


def is_up_to_date() -> bool:
    return json.loads(run("dvc", "status", "--json", cwd=Path()).stdout) == {}


@pytest.mark.parametrize(
    "stage", ["source", "download", "augment", "neighbors", "train", "evaluate", "report"]
)
def test_outputs_of_every_stage_come_back_with_their_bytes(clone, stage):
    own = [
        out["path"] for out in yaml.safe_load(Path("dvc.lock").read_text())["stages"][stage]["outs"]
    ]
    remove(*own)
    assert len(found()) == len(outputs()) - len(own)
    restore_failed(stage)
    assert found() == outputs()
    assert is_up_to_date()
    # Git tracks these, so they may not be links into DVC's cache.
    for name in {"reports/metrics.json", "reports/accuracy.csv", "reports/index.html"} & {*own}:
        assert Path(name).stat().st_nlink == 1


def test_new_outputs_of_a_failed_stage_are_replaced_as_well(clone):
    """New images beside old labels would be wrong."""
    remove("data/images.npz", "data/labels.npz")
    Path("data/images.npz").write_bytes(b"new")
    assert list(restore_missing()) == []
    restore_failed("download")
    assert found() == outputs()


def test_new_outputs_stay_if_others_are_not_stored(clone):
    remove("data/images.npz", "data/labels.npz", ".dvc/cache")
    Path("data/images.npz").write_bytes(b"new")
    restore_failed("download")
    assert Path("data/images.npz").read_bytes() == b"new"
    assert not Path("data/labels.npz").exists()


def test_failing_stage_keeps_outputs_message_and_exit_status(clone, tmp_path):
    (tmp_path / "scans").mkdir()
    before = found()
    set_params(data__name="custom", data__path=str(tmp_path / "scans"))
    done = run("dvc", "repro", cwd=clone, check=False)
    assert done.returncode != 0
    assert f"error: {tmp_path / 'scans'}: contains no images" in done.stderr
    after, listed = found(), outputs()
    # The stage before it has counted the files of the new path.
    for known in (before, after, listed):
        del known["data/source.json"]
    assert after == before == listed
    run("git", "checkout", "params.yaml", cwd=clone)
    run("dvc", "repro", "source", cwd=clone)
    assert is_up_to_date()


def test_missing_data_path_is_refused_before_dvc_starts_and_outputs_come_back(clone, capsys):
    set_params(data__path="/no/such")
    remove("data/images.npz", "data/labels.npz")  # as DVC does
    with pytest.raises(InputError, match=r"^data\.path: /no/such does not exist; correct it"):
        repair_repository(everything=False)
    assert capsys.readouterr().err.splitlines() == [
        f"data/{name}.npz: missing; put back from DVC's cache" for name in ("images", "labels")
    ]
    assert found() == outputs()
    run("git", "checkout", "params.yaml", cwd=clone)
    assert is_up_to_date()


def test_nothing_is_put_back_while_dvc_runs(clone):
    remove("data/draws.npz")
    uses = {"write": {"data/draws.npz": {"pid": os.getpid(), "cmd": "dvc repro"}}, "read": {}}
    Path(".dvc/tmp/rwlock").write_text(json.dumps(uses))
    repair_repository(everything=False)
    assert not Path("data/draws.npz").exists()


def test_experiments_in_temporary_folders_restore_nothing(clone, monkeypatch):
    inner = clone / ".dvc/tmp/exps/x"
    (inner / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(inner)
    monkeypatch.setenv("DVC_STAGE", "download")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("started"))
    with pytest.raises(ValueError, match="the failure"), outputs_kept():
        raise ValueError("the failure")


def test_only_uncached_outputs_are_kept_and_as_links(clone, monkeypatch):
    kept = {path.relative_to(KEPT).as_posix() for path in KEPT.rglob("*.*")}
    assert {"reports/index.html", "reports/figures/samples.png", "reports/metrics.json"} <= kept
    assert not any(name.startswith(("data", "model")) for name in kept)
    monkeypatch.setenv("DVC_STAGE", "report")
    remove("reports/figures/samples.png")
    with outputs_kept():
        Path("reports/index.html").unlink()
        Path("reports/index.html").write_text("new")
    assert (KEPT / "reports/index.html").samefile("reports/index.html")
    assert not (KEPT / "reports/figures/samples.png").exists()
