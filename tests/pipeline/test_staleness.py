"""Which stages a change of the code reruns: `dvc status` after one file was edited."""

import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo


@pytest.fixture(scope="module")
def finished(pipeline_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose stages are all up to date."""
    folder = tmp_path_factory.mktemp("staleness") / "clone"
    shutil.copytree(pipeline_run, folder, symlinks=True)
    return folder


def stale_stages(folder: Path) -> set[str]:
    """Stages with a changed dependency or parameter of their own."""
    with Repo(str(folder)) as repo:
        # Seen from another folder, the names begin with the path of dvc.yaml.
        return {name.rpartition(":")[2] for name in repo.status()}


def test_nothing_is_stale_after_a_run(finished):
    assert stale_stages(finished) == set()


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        # A mirror that moved: the images are fetched again, and are the same.
        ("iic/data/datasets.py", "https://ossci-", "https://other-", {"download"}),
        ("iic/report/report.html.j2", "<h1>", "<h1>New: ", {"report"}),
        ("iic/report/paths.py", "index.html", "page.html", {"report"}),
        ("iic/render/figures.py", '"#0072B2"', '"#000000"', {"report"}),
        ("iic/evaluation/scores.py", '"""', '"""New: ', {"evaluate", "report"}),
        ("iic/evaluation/paths.py", "metrics.json", "scores.json", {"evaluate", "report"}),
        ("iic/serving/explore.js", "function", "/* new */ function", set()),
        ("iic/experiments/seeds.py", '"""', '"""New: ', set()),
        ("iic/cli/main.py", '"""', '"""New: ', set()),
        # The method itself does retrain.
        ("iic/pairs/noise.py", '"""', '"""New: ', {"augment", "neighbors", "train"}),
        ("iic/training/loss.py", '"""', '"""New: ', {"train"}),
        ("params.yaml", "alpha: 5.0", "alpha: 4.0", {"train", "report"}),
        ("params.yaml", "report:\n  label: ", "report:\n  label: 3  # ", {"report"}),
    ],
)
def test_only_stages_that_use_a_file_become_stale(finished, file, old, new, expected):
    path = finished / file
    before = path.read_text("utf-8")
    assert old in before
    path.unlink()  # may be a link into DVC's cache
    path.write_text(before.replace(old, new, 1), "utf-8")
    try:
        assert stale_stages(finished) == expected
    finally:
        path.write_text(before, "utf-8")
