"""The page that compares runs, also in a real browser if one is installed."""

import base64
import io
import json
import re
import shutil
import subprocess

import click
import numpy as np
import pytest
from PIL import Image

from iic.cli.main import cli
from iic.core.errors import InputError
from iic.experiments import compare_page, reading
from iic.experiments.compare_page import (
    ComparedRun,
    classes_of,
    differing,
    disputed,
    render_comparison,
)

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
LABELS = (np.arange(200) % 10).astype(str)


def compared(name: str, acc: float, wrong: dict[int, object], **settings: object) -> ComparedRun:
    """Return a run that assigns some images to the given wrong classes."""
    predicted = LABELS.astype("<U20")
    for index, label in wrong.items():
        predicted[index] = label
    return ComparedRun(
        name=name,
        settings={"loss.alpha": 5.0, "augment.ops": ["noise"], "train.epochs": 3} | settings,
        metrics={"acc": acc, "nmi": 0.5, "ari": 0.4, "over_acc": 1 - acc, "loss": -2.0},
        history={"loss": np.array([-1.0, -2.0]), "cluster_mutual_information": np.ones(2)},
        accuracy={"acc": np.array([0.5, acc])},
        predictions={"label": LABELS.copy(), "predicted": predicted},
    )


@pytest.fixture
def runs() -> list[ComparedRun]:
    return [
        compared("first", 0.9, {3: 8, 17: 1}),
        compared("second <b>", 0.95, {17: 2, 40: 9}, **{"loss.alpha": 10.0}),
        compared("third", 0.8, {3: 8, 17: 1}, **{"augment.ops": ["rotation"]}),
    ]


@pytest.fixture
def page(runs, random) -> str:
    return render_comparison(runs, random.integers(0, 255, (200, 28, 28), np.uint8))


def data_of(page: str) -> dict[str, list]:
    return json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])


@pytest.mark.parametrize(("side", "shown"), [(40, 40), (128, 56)])
def test_large_images_in_colour_are_shown_at_the_size_of_thumbnails(
    runs, random, monkeypatch, side, shown
):
    monkeypatch.setattr(compare_page, "_SPRITE_PIXELS", 3 * 56 * 56)
    page = render_comparison(runs, random.integers(0, 255, (200, side, side, 3), np.uint8))
    content = re.search(r'url\(data:image/png;base64,([^")]+)\)', page)[1]
    sheet = Image.open(io.BytesIO(base64.b64decode(content)))
    assert (sheet.mode, sheet.height) == ("RGB", shown)


def test_parameters_that_all_runs_share_are_left_out(runs):
    assert differing(runs) == ["loss.alpha", "augment.ops"]
    assert differing([runs[0], compared("again", 0.9, {}, **{"loss.alpha": 5})]) == []


def test_images_are_disputed_if_two_runs_differ(runs):
    np.testing.assert_array_equal(disputed(runs), [3, 17, 40])
    np.testing.assert_array_equal(disputed([runs[0], runs[2]]), [])


def test_the_page_has_the_disputed_images_and_is_self_contained(page):
    data = data_of(page)
    assert data["runs"] == ["first", "second <b>", "third"]
    assert data["index"] == [3, 17, 40]
    assert data["label"] == ["3", "7", "0"]
    assert data["predicted"] == [list("810"), list("329"), list("810")]
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "http" not in page
    assert "<b>" not in page
    assert 'class="number best" data-value="0.95"' in page
    assert page.count("number best") == 1 + 3 + 3 + 1


def test_the_number_of_images_is_limited(runs, random, monkeypatch):
    monkeypatch.setattr("iic.experiments.compare_page.MAX_IMAGES", 2)
    page = render_comparison(runs, random.integers(0, 255, (200, 28, 28), np.uint8))
    assert data_of(page)["index"] == [3, 17]
    assert "this page has the first 2" in " ".join(page.split())


def test_runs_on_different_images_are_refused(runs):
    other = compared("other", 0.9, {})
    other.predictions["label"][0] = "5"
    with pytest.raises(InputError, match="other: other test images than first"):
        render_comparison([*runs, other], np.zeros((200, 28, 28), np.uint8))


def test_runs_without_labels_are_refused(runs):
    runs[1].predictions.pop("label")
    with pytest.raises(InputError, match="second <b>: its data have no labels; compare runs with"):
        render_comparison(runs, np.zeros((200, 28, 28), np.uint8))


def test_classes_may_have_any_name_and_clusters_none(runs):
    run = compared("named", 0.9, {3: "", 5: "12", 7: "</script>", 8: "$x"})
    assert classes_of(run) == [*"0123456789", "12", "$x", "</script>"]
    page = render_comparison([run, runs[0]], np.zeros((200, 28, 28), np.uint8))
    assert data_of(page)["predicted"][0] == ["", "12", "</script>", "$x", "7"]
    # Older runs number the classes, and write -1 for none.
    old = compared("old", 0.9, {3: -1})
    assert old.predicted[3] == ""
    assert classes_of(old) == list("0123456789")


ACT = """
<script>
const choose = (id, value) => {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event("change"));
};
const said = [], say = what => said.push(what);
const shown = () => [...document.querySelectorAll("#images li")].map(li => li.textContent);
const order = () => [...document.querySelectorAll("#runs tbody th")].map(th => th.textContent);
say(shown());
choose("kind", "corrected"); say(shown());
choose("kind", "lost"); say(shown());
choose("kind", "all"); choose("to", 2); say(shown());
const [run, acc] = document.querySelectorAll("#runs thead button");
acc.click(); say(order()); acc.click(); say(order()); run.click(); say(order());
say(document.documentElement.scrollWidth <= window.innerWidth);
document.body.textContent = "SAID" + JSON.stringify(said) + "SAID";
</script>
"""


@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
def test_choosing_and_sorting_in_a_browser(page, tmp_path):
    (tmp_path / "page.html").write_text(page.replace("</body>", ACT + "</body>"))
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=500,900", "--dump-dom", (tmp_path / "page.html").as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    said = json.loads(dom.split("SAID")[1].replace("&lt;", "<").replace("&gt;", ">"))
    everything = ["8 → 3no. 3", "1 → 2no. 17", "0 → 9no. 40"]
    assert said[0] == everything
    assert said[1] == everything[:1]
    assert said[2] == everything[2:]
    assert said[3] == []
    assert said[4] == ["third", "first", "second <b>"]
    assert said[5] == ["second <b>", "first", "third"]
    assert said[6] == ["first", "second <b>", "third"]
    assert said[7] is True


def test_a_page_of_finished_runs(pipeline_run, tmp_path, monkeypatch):
    monkeypatch.chdir(pipeline_run)
    out = tmp_path / "compare.html"
    cli.main(["compare", "HEAD", "workspace", "--out", str(out)], standalone_mode=False)
    page = out.read_text("utf-8")
    assert data_of(page)["runs"] == ["HEAD", "workspace"]
    assert data_of(page)["index"] == []
    assert not list(pipeline_run.glob("reports/compare*"))


def test_runs_that_cannot_be_compared_are_named(pipeline_run, monkeypatch):
    monkeypatch.chdir(pipeline_run)
    with pytest.raises(InputError, match="nowhere: params.yaml cannot be read"):
        cli.main(["compare", "HEAD", "nowhere"], standalone_mode=False)
    with pytest.raises(click.UsageError, match="two different runs or more"):
        cli.main(["compare", "HEAD", "HEAD"], standalone_mode=False)


def test_parameters_that_today_are_invalid_are_shown_as_they_are(monkeypatch):
    monkeypatch.setattr("dvc.api.read", lambda *_, **__: "loss:\n  alfa: 2\n")
    assert reading.settings_of("old") == {"loss.alfa": 2}
