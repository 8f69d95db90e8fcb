"""The report: values computed by hand, runs of several kinds, and the page in a real browser."""

import dataclasses
import io
import json
import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from browser import fits, launched, needs_browser, opened
from PIL import Image

from iic.core.errors import InputError
from iic.core.files import write_arrays, write_table
from iic.data.datasets import digits_dataset
from iic.evaluation.card import ModelCard, write_card
from iic.model.matching import UNMATCHED, contingency_table, hungarian_match
from iic.render.names import short_names
from iic.render.pictures import Picture
from iic.report import confidence, results, scaling
from iic.report.gallery import render_pictures
from iic.report.page import headlines, render_page
from iic.report.run import Run
from iic.report.tables import (
    EDGES,
    confused_pairs,
    kept_together,
    mistakes_table,
    reliability_bins,
    worst_mistakes,
)
from stages import report as stage

IMAGES, OVERCLUSTERS = 120, 14
TEN = [str(digit) for digit in range(10)]
HOSTILE = ["<script>alert(1)</script>", "$x^2$", "数字", "{{ run }}", "a\u3000 b", "é" * 200,
           "folder number 1", "folder number 2", "O'Brien & \"Co\"", "7"]  # fmt: skip
SCALING = {
    "images": {"15000": 5.0, "60000": 17.5},
    "overclusters": {"10": 15.0, "1000": 30.0},
    "width": {"0.25": 9.0, "1.0": 17.0},
    "head_layers": {"1": 16.0, "4": 17.0},
}


def make_run(
    *, epochs: int = 2, clusters: int = 10, names: list[str] = TEN, labelled: bool = True,
    second: bool = False, data: str = "mnist", teachers: int = 0,
) -> Run:  # fmt: skip
    """An invented run on real digits, most of them in the cluster of their class."""
    random, digits = np.random.default_rng(0), digits_dataset()
    labels = digits.test_labels[:IMAGES].astype(int)
    cluster = np.stack([labels] * epochs) % clusters
    noise = random.random(cluster.shape) < 0.2
    cluster[noise] = random.integers(0, clusters, noise.sum())
    overcluster = np.stack([labels] * epochs)
    noise = random.random(cluster.shape) < 0.4
    overcluster[noise] = random.integers(0, OVERCLUSTERS, noise.sum())
    joints = {
        f"{head}_joint": np.full((epochs, k, k), 0.1 / k**2) + 0.9 / k * np.eye(k)
        for head, k in (("cluster", clusters), ("overcluster", OVERCLUSTERS))
    }
    mapping = hungarian_match(contingency_table(labels, cluster[-1], 10, clusters))
    predicted = np.array([*names, ""])[mapping[cluster[-1]]]
    epoch = np.arange(1.0, epochs + 1)
    columns = {
        f"{head}{name}": epoch
        for head in ("cluster", "overcluster")
        for name in ("_loss", "_mutual_information", "_marginal_entropy")
    }
    classes = {"label": np.array(names)[labels], "predicted": predicted} if labelled else {}
    accuracies = {"acc": epoch / 10, "over_purity": epoch / 9} if labelled else {}
    scores = ("acc", "nmi", "ari", "over_acc", "train_acc") if labelled else ("confidence",)
    return Run(
        settings={
            "seed": 0,
            "data.name": data,
            "train.epochs": 1,
            "student.teachers": teachers,
            "train.second_seed": 5 if second else None,
        },
        normalizes_logits=True,
        card=ModelCard(
            recipe="mine",
            seed=0,
            data=data,
            size="fit",
            ink="auto",
            labels=names if labelled else [],
            clusters=[None if c == UNMATCHED or not labelled else c for c in mapping.tolist()],
            overclusters=[None] * OVERCLUSTERS,
            metrics={},
            weights_sha256="",
        ),
        metrics=dict.fromkeys([*scores, "loss"], 0.5),
        history={"epoch": epoch, "loss": -epoch, **columns}
        | {"clusters_used": epoch * 0 + 9, "overclusters_used": epoch * 0 + OVERCLUSTERS},
        accuracy={"epoch": epoch} | accuracies,
        predictions=classes
        | {
            "cluster": cluster[-1].astype(float),
            "overcluster": overcluster[-1].astype(float),
            "probability": random.uniform(0.3, 1, IMAGES),
        },
        snapshots=joints
        | {
            "cluster_test": cluster,
            "overcluster_test": overcluster,
            "examples": digits.train_images[:12].reshape(2, 6, 28, 28),
            "second_test": cluster[-1][::-1].copy() if second else np.array([], np.uint16),
        },
        train_images=digits.train_images[:IMAGES],
        neighbors=random.integers(0, IMAGES, (IMAGES, 20)),
        test_images=digits.test_images[:IMAGES],
        benchmark={},
    )  # fmt: skip


KINDS = {
    "labelled": {"second": True},
    "unlabelled": {"labelled": False, "data": "custom", "second": True},
    "hostile": {"names": HOSTILE, "data": "custom", "epochs": 1, "clusters": 13},
}


@cache
def rendered(kind: str) -> tuple[Run, list[Picture], str]:
    """Run, figures and page of a kind, drawn only once."""
    run = make_run(**KINDS[kind])
    pictures = render_pictures(run, "7")
    return run, pictures, render_page(run, pictures)


def test_reliability_matches_values_computed_by_hand():
    probability = np.array([0.2, 0.5, 0.69, 0.7, 0.999, 1.0])
    is_correct = np.array([True, False, True, True, True, False])
    bins = reliability_bins(probability, is_correct)
    assert [row.images for row in bins] == [1, 2, 1, 0, 0, 0, 2]
    assert [(row.low, row.high) for row in bins] == list(pairwise(EDGES))
    assert [row.accuracy for row in bins] == pytest.approx(
        [1, 0.5, 1, *[np.nan] * 3, 0.5], nan_ok=True
    )
    assert bins[1].confidence == pytest.approx((0.5 + 0.69) / 2)
    assert [row.name for row in bins][-2:] == ["99–99.9 %", "99.9–100 %"]
    unlabelled = reliability_bins(probability, None)
    assert [row.images for row in unlabelled] == [row.images for row in bins]
    assert np.isnan([row.accuracy for row in unlabelled]).all()


def test_mistakes_are_ordered_by_confidence_then_index():
    is_correct = np.array([False, True, False, False, False, True])
    probability = np.array([0.5, 1.0, 0.9, 0.9, 0.7, 0.2])
    np.testing.assert_array_equal(worst_mistakes(is_correct, probability, 9), [2, 3, 4, 0])
    np.testing.assert_array_equal(worst_mistakes(is_correct, probability, 2), [2, 3])
    assert len(worst_mistakes(np.ones(3, bool), np.ones(3), 9)) == 0


LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
PREDICTED = np.array([0, 1, 1, UNMATCHED, 1, 0, 0, 2, 2, 0])


def test_confused_pairs_match_values_computed_by_hand():
    np.testing.assert_array_equal(
        mistakes_table(LABELS, PREDICTED, 3), [[0, 2, 0, 1], [2, 0, 0, 0], [1, 0, 0, 0]]
    )
    assert confused_pairs(LABELS, PREDICTED, 3, 9) == [
        (0, 1, 2, 2 / 4),
        (1, 0, 2, 2 / 3),
        (0, UNMATCHED, 1, 1 / 4),
        (2, 0, 1, 1 / 3),
    ]
    assert len(confused_pairs(LABELS, PREDICTED, 3, 2)) == 2
    assert confused_pairs(LABELS, LABELS, 3, 9) == []


def test_kept_together_matches_values_computed_by_hand():
    first = np.array([0, 0, 0, 0, 1, 1, 3])
    second = np.array([5, 5, 5, 2, 2, 2, 0])
    np.testing.assert_array_equal(kept_together(first, second, 4), [0.75, 1, np.nan, 1])


def test_short_names_fit_a_figure_and_are_distinct():
    shown = short_names(HOSTILE)
    assert len(set(shown)) == len(HOSTILE)
    assert all(len(name.replace("\\", "")) <= 20 and name.isprintable() for name in shown)
    assert shown[1] == r"\$x^2\$"
    assert shown[2] == "no. 2"
    assert shown[4] == "a b"
    assert shown[6:8] == ["folder n…ber 1", "folder n…ber 2"]
    assert shown[9] == "7"
    assert short_names(["twice the same but inside " * 2 + "end"] * 2) == [
        "0: twice th…e end",
        "1: twice th…e end",
    ]


def test_clusters_are_ordered_by_their_class():
    run = make_run(clusters=13)
    order, names = run.cluster_order()
    classes = run.mapping[order]
    assert classes.tolist() == [*range(10), *[UNMATCHED] * 3]
    assert names[0] == f"{order[0]} (0)"
    assert names[-1] == f"{order[-1]} (none)"
    assert (run.predicted == run.mapping[run.clusters]).all()
    order, names = make_run(labelled=False).cluster_order()
    assert names == [str(cluster) for cluster in range(10)] == [str(cluster) for cluster in order]


def test_a_class_that_the_card_lacks_is_named_in_the_error():
    run = make_run()
    other = {**run.predictions, "label": np.full(IMAGES, "eleven")}
    with pytest.raises(
        InputError, match="label 'eleven' is not a class of model-card.json; run `dvc"
    ):
        dataclasses.replace(run, predictions=other).labels  # noqa: B018 - reading it raises


@pytest.mark.long
def test_equal_runs_give_equal_bytes():
    _, pictures, page = rendered("labelled")
    run = make_run(**KINDS["labelled"])
    again = render_pictures(run, "7")
    assert [picture.content for picture in pictures] == [picture.content for picture in again]
    assert render_page(run, again) == page


COMMON = ["operations", "neighbors", "joint", "training", "losses", "overclusters", "samples",
          "sizes"]  # fmt: skip
MORE = {
    "labelled": ["accuracy", "calibration", "stability", "mistakes", "confusion", "crossed-sevens"],
    "unlabelled": ["confidence", "stability", "uncertain"],
    "hostile": ["accuracy", "calibration", "mistakes", "confusion"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_figures_match_the_data_and_fit_the_page(kind):
    _, pictures, page = rendered(kind)
    assert {picture.anchor for picture in pictures} == {*COMMON, *MORE[kind]}
    for picture in pictures:
        image = Image.open(io.BytesIO(picture.content))
        assert image.format == picture.name.rsplit(".", 1)[1].upper()
        assert 300 <= picture.size[0] <= 1300
        # Several colours: the figure is not blank.
        assert len(image.convert("RGB").getcolors(1 << 20)) > 5
        assert len(picture.alt) > 40
        assert f"reports/figures/{picture.name}" in page


class Outline(HTMLParser):
    """Headings, images, anchors, links and other attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.headings, self.images, self.anchors, self.links = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if tag == "img":
            self.images.append(values)
        if tag == "a":
            self.links.append(values["href"])
        if "id" in values:
            self.anchors.append(values["id"])
        assert not any(name.startswith("on") for name in values)


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_self_contained_and_well_structured(kind):
    page = rendered(kind)[2]
    outline = Outline(page)
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(outline.headings))
    assert len(set(outline.anchors)) == len(outline.anchors)
    assert {link.removeprefix("#") for link in outline.links} <= set(outline.anchors)
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert titles == ["Method and settings", "Results", "Confidence and calibration", "Errors",
                      "Reproduce"]  # fmt: skip
    for image in outline.images:
        assert image["alt"]
        assert int(image["width"]) > 0
        assert int(image["height"]) > 0
        assert image["loading"] == "lazy"
        assert image["src"].startswith("data:image/")
    for outside in ("http:", "https:", "<link", "url(", 'src="/', "@import"):
        assert outside not in page
    assert len(page.encode()) < 5_000_000
    assert page.startswith("<!doctype html>")


def test_class_names_of_any_kind_are_shown_as_text():
    _, _, page = rendered("hostile")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert "é" * 81 not in page
    assert "{{ run }}" in page
    # The page lists names that differ in figures.
    assert re.search(r"no\. 2</th><td[^>]*>数字<", page)
    assert "none" in page


def words_of(page: str) -> str:
    """Text of a page on one line, without its images."""
    return " ".join(re.sub(r"data:image[^\"]*", "", page).split())


def test_without_labels_the_page_shows_only_label_free_results():
    run, _, page = rendered("unlabelled")
    text = words_of(page)
    assert "have no labels" in text
    for word in ("Accuracy", "NMI", "onfusion", "Hungarian", "misclassified", "mistakes.png"):
        assert word not in text
    for word in ("Confidence, test", "Mutual information", "seeds 0 and 5", "lowest confidence"):
        assert word in text
    assert [row.title for row in headlines(run)] == ["Confidence, test", "Loss"]


def test_an_unknown_label_shows_the_first_class_and_the_caption_says_so():
    run, pictures, _ = rendered("labelled")
    (samples,) = (picture for picture in pictures if picture.anchor == "samples")
    assert samples.title == "Overclusters of 7"
    other = results.samples(run, "cat")
    assert other.title == "Overclusters of 0"
    assert other.caption.startswith("The data have no class 'cat'; the first class is shown.")
    assert other.content != samples.content


def test_values_on_the_page_match_the_run():
    run, _, page = rendered("labelled")
    text = words_of(page)
    correct = int(run.is_correct.sum())
    assert f"Of {IMAGES} test images, {correct} lie in the cluster matched to their class" in text
    assert f"{IMAGES - correct} of {IMAGES} test images are misclassified" in text
    sevens = int((run.labels == 7).sum())
    assert f"of the {sevens} sevens have a bar" in text
    assert "seeds 0 and 5" in text
    assert "seed: 0 and 5" in text
    assert "Not measured" not in text
    assert "Not measured. To measure it, set <code>train.second_seed</code>" in words_of(
        rendered("hostile")[2]
    )
    wrong = worst_mistakes(run.is_correct, run.probability, 1)[0]
    first = page[page.index('class="gallery"') :].split("</li>")[0]
    assert f"Test image {wrong}" in first
    assert f"{100 * run.probability[wrong]:.2f} %" in first


def test_class_sizes_and_chance_stand_beside_the_scores():
    run = make_run()
    chance = {"acc_chance": 0.32, "nmi_chance": 0.41}
    found = {row.title: row for row in headlines(dataclasses.replace(
        run, metrics={**run.metrics, **chance}))}  # fmt: skip
    assert found["Accuracy, test"].value == "50.00 % (chance: 32.00 %)"
    assert found["NMI, test"].value == "0.5000 (chance: 0.4100)"
    assert found["ARI, test"].value == "0.5000"
    assert "among the training images" in found["Overclustering accuracy, test"].meaning
    sizes = np.bincount(run.labels)
    largest = found["Largest class, test"]
    assert largest.value == f"{100 * sizes.max() / IMAGES:.2f} %"
    assert f"test images by class: 0: {sizes[0]}, 1: {sizes[1]}, " in largest.meaning


def test_collapsed_trainings_have_no_stability_on_the_page():
    run = make_run(second=True)
    collapsed = {**run.snapshots, "second_test": np.zeros(IMAGES, np.uint16)}
    metrics = {**run.metrics, "collapsed_trainings": 1}
    run = dataclasses.replace(run, snapshots=collapsed, metrics=metrics)
    pictures = render_pictures(run, "7")
    assert "stability" not in {picture.anchor for picture in pictures}
    text = words_of(render_page(run, pictures))
    assert "None: a training that puts all test images into one cluster" in text
    assert "at least one of the seeds 0 and 5 does" in text
    assert "adjusted Rand index of" not in text.replace("adjusted Rand index of clusters", "")


def test_findings_are_at_the_top_of_the_page():
    run, pictures, page = rendered("labelled")
    finding = "clustering head: 1 of 10 clusters are empty"
    assert page.index(finding) < page.index("<h2")
    healthy = {**run.history, "clusters_used": np.full(2, 10.0)}
    assert "are empty" not in render_page(dataclasses.replace(run, history=healthy), pictures)


def test_captions_say_which_epochs_are_the_student_s():
    alone, taught = make_run(epochs=3), make_run(epochs=3, teachers=2)
    said = "Epochs 1 to 1 are the first teacher's, the later ones the student's."
    for draw in (results.training, results.accuracy, results.losses):
        assert said in draw(taught).caption
        assert "student" not in draw(alone).caption
    # A student is trained on no pairs.
    assert "P of the training pairs of the last epoch" in results.joint(alone).caption
    assert "P of pairs of transformed training images, after" in results.joint(taught).caption
    for run, is_said in ((alone, False), (taught, True)):
        assert (
            "2 such networks are trained first" in render_page(run, rendered("labelled")[1])
        ) == is_said


def test_the_animation_has_one_frame_per_epoch_up_to_a_limit(monkeypatch):
    frames = {kind: rendered(kind)[1][3].frames for kind in KINDS}
    assert {kind: len(found) for kind, found in frames.items()} == {
        "labelled": 2, "unlabelled": 2, "hostile": 1,
    }  # fmt: skip
    monkeypatch.setattr(results, "MAX_FRAMES", 3)
    long = results.training(make_run(epochs=6))
    assert [frame.title.split(":")[0] for frame in long.frames] == ["epoch 1", "epoch 3", "epoch 6"]
    gif = Image.open(io.BytesIO(long.content))
    assert gif.n_frames == 3
    assert gif.info["duration"] > 0
    monkeypatch.setattr(results, "FRAME_BYTES", 1)
    short = results.training(make_run(epochs=6))
    assert [frame.title.split(":")[0] for frame in short.frames] == ["epoch 1", "epoch 6"]
    assert short.content == long.content


@pytest.mark.parametrize("clusters", [2, 25])
def test_small_and_large_numbers_of_clusters_are_drawn(clusters):
    run = make_run(clusters=clusters, epochs=1, second=True)
    for draw in (results.joint, confidence.sizes, confidence.stability):
        assert draw(run).content
    text = confidence.sizes(run).alt
    assert text.startswith(f"Bars of {clusters} clusters, from {run.sizes[-1].min()} to ")


def test_the_cost_of_training_is_shown_if_it_was_measured():
    run, pictures, _ = rendered("unlabelled")
    machine = {"cores": 3, "processor": "some processor"}
    run = dataclasses.replace(run, benchmark={"machine": machine, "scaling": SCALING})
    picture = scaling.seconds(run)
    assert "on 3 cores of some processor" in picture.caption
    assert ">Cost of training</h2>" in render_page(run, [*pictures, picture])


def write_run(run: Run) -> None:
    """Write the files of a finished pipeline into the current folder."""
    write_card(run.card, stage.MODEL_CARD)
    stage.BENCHMARK.parent.mkdir(parents=True, exist_ok=True)
    stage.METRICS.write_text(json.dumps(run.metrics))
    stage.BENCHMARK.write_text("{}")
    write_table(stage.HISTORY, run.history)
    write_table(stage.ACCURACY, run.accuracy)
    integers = {
        name: column.astype(int) if name in ("cluster", "overcluster") else column
        for name, column in run.predictions.items()
    }
    write_table(stage.PREDICTIONS, integers)
    write_arrays(stage.SNAPSHOTS, run.snapshots)
    write_arrays(stage.IMAGES, {"train_images": run.train_images, "test_images": run.test_images})
    write_arrays(stage.NEIGHBORS, {"neighbors": run.neighbors})


@pytest.mark.parametrize("labelled", [True, False])
def test_the_stage_draws_a_run_without_errors(tmp_path, monkeypatch, params, labelled):
    monkeypatch.chdir(tmp_path)
    run = make_run(labelled=labelled, epochs=1, data="custom")
    if labelled:
        without_errors = {**run.predictions, "predicted": run.predictions["label"]}
        run = dataclasses.replace(run, predictions=without_errors)
    write_run(run)
    stage.main(params)
    page = stage.PAGE.read_text("utf-8")
    assert ("Accuracy, test" in page) == labelled
    assert ("No test image is misclassified" in page) == labelled
    drawn = {path.stem for path in stage.FIGURES.iterdir()}
    more = {"accuracy", "calibration"} if labelled else {"confidence", "uncertain"}
    assert drawn == {*COMMON, *more}
    stage.MODEL_CARD.unlink()
    with pytest.raises(InputError, match=r"model-card\.json: not found; run `dvc repro evaluate`"):
        stage.main(params)


@pytest.fixture(scope="module")
def browser():
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(rendered("labelled")[2], "utf-8")
    return path


VISIBLE = """() => [...document.querySelectorAll(".frames img")].map(
    image => getComputedStyle(image).visibility === "visible")"""


@needs_browser
def test_the_animation_plays_and_pauses_by_mouse_and_keyboard(browser, page):
    with opened(browser, page) as tab:
        title = tab.locator("#now")
        assert tab.evaluate(VISIBLE) == [False, True]
        tab.click("#play")
        assert tab.evaluate(VISIBLE) == [True, False]
        assert title.inner_text().startswith("epoch 1:")
        assert tab.inner_text("#play") == "Pause"
        tab.click("#play")
        assert tab.inner_text("#play") == "Play"
        tab.wait_for_timeout(900)
        assert tab.evaluate(VISIBLE) == [True, False]
        tab.focus("#epoch")
        tab.keyboard.press("ArrowRight")
        assert tab.evaluate(VISIBLE) == [False, True]
        assert tab.get_attribute("#epoch", "aria-valuetext").startswith("epoch 2:")
        tab.focus("#play")
        tab.keyboard.press("ArrowLeft")
        assert tab.evaluate(VISIBLE) == [True, False]
        tab.keyboard.press("Space")
        assert tab.inner_text("#play") == "Pause"
        # It stops at the last frame.
        tab.wait_for_function("document.getElementById('play').textContent === 'Play'")
        assert tab.evaluate(VISIBLE) == [False, True]
        tab.click("#previous")
        tab.emulate_media(media="print")
        assert tab.evaluate(VISIBLE) == [False, True]
        for hidden in ("nav", "div.controls", ".skip"):
            assert not tab.is_visible(hidden)


@needs_browser
def test_contents_link_to_every_heading_and_stay_in_view(browser, page):
    with opened(browser, page, width=1280) as tab:
        links = tab.locator("nav a")
        assert links.count() > 15
        for index in range(links.count()):
            links.nth(index).click()
            anchor = tab.evaluate("location.hash")
            box = tab.locator(anchor).bounding_box()
            assert -1 <= box["y"] < 900
            assert tab.locator("nav").bounding_box()["y"] >= 0
            assert tab.locator("nav").bounding_box()["x"] < box["x"]
        tab.evaluate("scrollTo(0, 0)")
        tab.reload()
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.className") == "skip"
        assert tab.evaluate("document.activeElement.getBoundingClientRect().left") >= 0


@needs_browser
@pytest.mark.parametrize("kind", KINDS)
def test_no_page_scrolls_horizontally_on_a_phone(browser, tmp_path, kind):
    path = tmp_path / "index.html"
    path.write_text(rendered(kind)[2], "utf-8")
    with opened(browser, path, width=390, height=844, color_scheme="dark") as tab:
        assert fits(tab)
        assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 22, 22)"
        assert tab.evaluate(
            "[...document.querySelectorAll('.wide')].some(box => box.tabIndex === 0)"
        )


@needs_browser
def test_without_scripts_the_last_frame_is_shown(browser, page):
    with opened(browser, page, java_script_enabled=False) as tab:
        frames = tab.locator(".frames img")
        assert [frames.nth(index).is_visible() for index in range(2)] == [False, True]
        assert not tab.is_visible("div.controls")
