import io

import numpy as np
import pytest
from PIL import Image

from iic.figures import cost_figure
from iic.report import MAX_FRAMES, Run, render_page, render_pictures

IMAGES, CLUSTERS, OVERCLUSTERS = 60, 10, 14


def make_run(random, digits, epochs: int = 3, clusters: int = CLUSTERS) -> Run:
    labels = digits.test_labels[:IMAGES].astype(float)
    epoch = np.arange(1.0, epochs + 1)
    columns = {
        f"{head}{name}": np.full(epochs, 1.5)
        for head in ("cluster", "overcluster")
        for name in ("_loss", "_mutual_information", "_marginal_entropy", "s_used")
    }
    joints = random.random((epochs, clusters, clusters))
    over_joints = random.random((epochs, OVERCLUSTERS, OVERCLUSTERS))
    return Run(
        settings={"seed": 0, "data.name": "<b>digits</b>", "loss.alpha": 5.0},
        metrics=dict.fromkeys(["acc", "nmi", "ari", "over_acc", "train_acc", "loss"], 0.5),
        history={"epoch": epoch, "loss": -epoch, **columns}
        | {"clusters_used": np.full(epochs, 9.0), "overclusters_used": np.full(epochs, 14.0)},
        accuracy={"epoch": epoch, "acc": epoch / 10, "over_acc": epoch / 9},
        predictions={"label": labels},
        snapshots={
            "cluster_joint": joints / joints.sum(axis=(1, 2), keepdims=True),
            "overcluster_joint": over_joints / over_joints.sum(axis=(1, 2), keepdims=True),
            "cluster_test": random.integers(0, clusters, (epochs, IMAGES)),
            "overcluster_test": random.integers(0, OVERCLUSTERS, (epochs, IMAGES)),
            "examples": digits.train_images[:12].reshape(2, 6, 28, 28),
        },
        train_images=digits.train_images[:IMAGES],
        neighbors=random.integers(0, IMAGES, (IMAGES, 20)),
        test_images=digits.test_images[:IMAGES],
        benchmark={},
    )


@pytest.fixture
def finished(random, digits) -> Run:
    return make_run(random, digits)


def test_the_same_run_gives_the_same_bytes(finished):
    first, again = (render_pictures(finished, digit=7) for _ in range(2))
    assert [picture.content for picture in first] == [picture.content for picture in again]
    assert render_page(finished, first) == render_page(finished, again)


def test_pictures_open_and_fit_the_page(finished):
    digit = int(np.bincount(finished.labels).argmax())
    for picture in render_pictures(finished, digit):
        image = Image.open(io.BytesIO(picture.content))
        assert image.format == picture.name.rsplit(".", 1)[1].upper()
        assert 300 <= image.width <= 1300
        # More than one colour: something is drawn.
        assert len(image.convert("RGB").getcolors(1 << 20)) > 5


@pytest.mark.parametrize("epochs", [1, MAX_FRAMES + 7])
def test_the_animation_has_a_frame_an_epoch_up_to_a_limit(random, digits, epochs):
    run = make_run(random, digits, epochs)
    (gif,) = (p for p in render_pictures(run, digit=7) if p.name.endswith(".gif"))
    image = Image.open(io.BytesIO(gif.content))
    assert image.n_frames == min(epochs, MAX_FRAMES)
    if image.n_frames > 1:
        assert image.info["duration"] > 0


@pytest.mark.parametrize("clusters", [2, 10, 25])
def test_any_number_of_clusters_can_be_drawn(random, digits, clusters):
    assert len(render_pictures(make_run(random, digits, clusters=clusters), digit=0)) == 8


def test_a_digit_without_overclusters_leaves_an_empty_figure(random, digits):
    run = make_run(random, digits)
    never = {**run.predictions, "label": np.zeros(IMAGES)}
    empty = Run(**{**vars(run), "predictions": never})
    assert len(render_pictures(empty, digit=7)) == 8


def test_the_cost_of_training_is_drawn_where_it_was_measured(finished):
    scaling = {
        "images": {"15000": 5.0, "60000": 17.5},
        "overclusters": {"10": 15.0, "1000": 30.0},
        "width": {"0.25": 9.0, "1.0": 17.0},
        "head_layers": {"1": 16.0, "4": 17.0},
    }
    benchmark = {"machine": {"cores": 3, "processor": "some processor"}, "scaling": scaling}
    run = Run(**{**vars(finished), "benchmark": benchmark})
    picture = render_pictures(run, digit=7)[-1]
    assert picture.name == "scaling.png"
    assert "on 3 cores of some processor" in picture.caption
    panels = [(kind, {float(x): y for x, y in costs.items()}) for kind, costs in scaling.items()]
    figure = cost_figure(panels, "seconds")
    assert [axis.get_xlabel() for axis in figure.axes] == list(scaling)
    for axis, costs in zip(figure.axes, scaling.values(), strict=True):
        x, y = axis.lines[0].get_data()
        assert dict(zip(map(str, x), y, strict=True)).keys() == {str(float(v)) for v in costs}
        np.testing.assert_array_equal(y, list(costs.values()))
        assert axis.get_ylim() == pytest.approx((0, 1.05 * max(y)))


def test_values_reach_the_page_as_text(finished):
    page = render_page(finished, render_pictures(finished, digit=7))
    assert "&lt;b&gt;digits&lt;/b&gt;" in page
    assert "<b>digits" not in page


def test_findings_stand_on_top_of_the_page(finished):
    page = render_page(finished, [])
    finding = "clustering head: 1 of 10 clusters are empty"
    assert page.index(finding) < page.index("Result")
    healthy = {**finished.history, "clusters_used": np.full(3, 10.0)}
    assert "empty" not in render_page(Run(**{**vars(finished), "history": healthy}), [])
