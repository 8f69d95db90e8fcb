"""Figures of a fitted estimator, and how a notebook shows them."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from iic.model.assignments import Assignments
from iic.notebook import figures
from iic.notebook.shown import ShownImage, ShownPage

LABELS = np.array([5, 5, 7, 7, 9, 9])


@pytest.fixture
def estimator():
    """What the figures read of an estimator with three clusters after two epochs."""
    diagonal = np.eye(3) / 3
    clusters = np.array([[0, 0, 0, 1, 1, 2], [2, 2, 0, 0, 1, 1]])
    return SimpleNamespace(
        n_iter_=2,
        joint_=diagonal,
        overclusters_=np.array([0, 1, 2, 2, 4, 4]),
        snapshots_={"cluster_joint": np.stack([np.full((3, 3), 1 / 9), diagonal]),
                    "cluster_test": clusters.astype(np.uint8)},
        params_=SimpleNamespace(
            model=SimpleNamespace(clusters=3, overclusters=5), recipe="tour", seed=4
        ),
        network_=None,
        network_input=lambda images: images,
        transform=lambda images: images.reshape(len(images), -1).astype(np.float32),
    )  # fmt: skip


def size_of(shown: ShownImage) -> tuple[int, int]:
    return Image.open(io.BytesIO(shown.content)).size


def test_joint_matrices_say_how_many_pairs_agree():
    shown = figures.joint_matrices({"certain": np.eye(2) / 2, "chance": np.full((2, 2), 0.25)})
    assert "certain: 100 %; chance: 50 % of the pairs" in shown.alt
    width, height = size_of(shown)
    assert width > 1.5 * height


def test_animation_has_a_frame_for_each_epoch(estimator, monkeypatch):
    monkeypatch.setattr(figures, "measure_room", lambda draw: figures.Room())
    shown = figures.training_animation(estimator)
    assert shown.kind == "gif"
    assert Image.open(io.BytesIO(shown.content)).n_frames == 2
    assert "over 2 epochs: the diagonal goes from 33 % to 100 % of the pairs" in shown.alt


def test_animation_has_at_most_twenty_frames(estimator, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "_frames_with_sizes", lambda _: lambda epoch, room: epoch)
    monkeypatch.setattr(figures, "measure_room", lambda draw: None)
    monkeypatch.setattr(figures, "animation", lambda frames, _: (drawn.extend(frames), ()))
    estimator.n_iter_ = 61
    figures.training_animation(estimator)
    epochs = [epoch for _, epoch in drawn]
    assert len(epochs) == 20
    assert (epochs[0], epochs[-1]) == (0, 60)


def test_frames_order_clusters_by_the_classes_of_the_last_epoch(estimator):
    draw = figures._frames_with_labels(estimator, LABELS)
    figure = draw(1, figures.Room())
    left, right = figure.axes[:2]
    assert [label.get_text() for label in left.get_xticklabels()] == ["2 (5)", "0 (7)", "1 (9)"]
    assert [label.get_text() for label in right.get_yticklabels()] == ["5", "7", "9"]
    assert figure.get_suptitle() == "epoch 2: accuracy 100.0 %"
    assert draw(0, figures.Room()).get_suptitle() == "epoch 1: accuracy 66.7 %"


def test_frames_without_labels_show_sizes(estimator):
    figure = figures._frames_with_sizes(estimator)(0, figures.Room())
    right = figure.axes[1]
    assert [bar.get_height() for bar in right.patches] == [3, 2, 1]
    assert right.get_ylabel() == "images"


def test_overclusters_are_counted_by_class(estimator):
    assert "4 overclusters of 5 hold images" in figures.overclusters_by_class(estimator, LABELS).alt


def test_members_are_an_even_sample_of_each_group(monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "samples_figure", lambda rows, columns: drawn.extend(rows))
    monkeypatch.setattr(figures, "show", lambda figure, alt: alt)
    images = np.arange(8.0).reshape(8, 1, 1) / 14
    alt = figures.members(images, np.array([1, 0, 0, 0, 0, 0, 1, 1]), [0, 1], columns=3)
    (title, shown, _), (_, other, _) = drawn
    assert title == "0\n5 images"
    # Scaled so that the brightest of all images is white.
    assert shown.ravel().tolist() == [36, 109, 182]
    assert other.ravel().tolist() == [0, 219, 255]
    assert alt == "Images of the groups 0, 1, one group per row."


SOFT = Assignments(np.eye(3)[[2, 2, 0, 0, 1, 1]], np.eye(5)[[0, 1, 2, 2, 4, 4]])


def _describe(network, images):
    """Stand in for the network; the brightness of an image is its feature."""
    n = len(images)
    features = images.reshape(n, -1).mean(axis=1, keepdims=True, dtype=np.float32)
    return features, Assignments(*(np.resize(soft, (n, soft.shape[1])) for soft in SOFT))


@pytest.mark.parametrize("labels", [None, LABELS])
def test_explorer_shows_all_images(estimator, monkeypatch, labels):
    monkeypatch.setattr(figures, "describe", _describe)
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28), np.uint8)
    page = figures.explorer(estimator, images, labels).content
    assert "6 train images" in page
    assert "even sample" not in page
    assert "recipe tour, seed 4" in page
    # The class that is matched to each cluster.
    assert ('["7","9","5"]' in page) == (labels is not None)


def test_explorer_runs_the_network_once(estimator, monkeypatch):
    seen = []
    monkeypatch.setattr(
        figures, "describe", lambda _, images: seen.append(len(images)) or _describe(_, images)
    )
    estimator.network_input = lambda images: seen.append("converted") or images
    figures.explorer(estimator, np.zeros((6, 28, 28), np.uint8))
    assert seen == ["converted", 6]


def test_explorer_samples_more_images_than_a_page_can_hold(estimator, monkeypatch):
    """Indices of neighbours have 16 bits on the page."""
    monkeypatch.setattr(figures, "MOST_IMAGES", 5)
    monkeypatch.setattr(figures, "describe", _describe)
    drawn = []
    monkeypatch.setattr(figures, "render_explorer", lambda shown: drawn.append(shown) or "")
    images = np.random.default_rng(0).integers(0, 256, (21, 28, 28), np.uint8)
    figures.explorer(estimator, images, [f"class {number}" for number in range(21)])
    (shown,) = drawn
    assert shown.index.tolist() == [0, 5, 10, 15, 20]
    assert shown.total == 21
    np.testing.assert_array_equal(shown.images, images[shown.index])
    np.testing.assert_array_equal(shown.features, _describe(None, images[shown.index])[0])
    assert [shown.names[label] for label in shown.labels] == [f"class {i}" for i in shown.index]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        figures.explorer(estimator, images, range(30))


def test_image_has_its_size_and_text_and_white_paper(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (300, 150)).save(buffer, "PNG", dpi=(150, 150))
    shown = ShownImage(buffer.getvalue(), "png", 'a "b" <c>')
    text = shown._repr_html_()
    assert 'width="200"' in text
    assert 'alt="a &quot;b&quot; &lt;c&gt;"' in text
    assert "background: white" in text
    assert text.startswith('<img src="data:image/png;base64,')
    shown.save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == buffer.getvalue()


def test_page_stands_in_a_frame_and_cannot_leave_it(tmp_path):
    page = ShownPage('<p class="x">é</p></iframe>', "A map", 300)
    text = page._repr_html_()
    assert text.count("</iframe>") == 1
    assert 'srcdoc="&lt;p class=&quot;x&quot;&gt;é' in text
    assert 'title="A map"' in text
    page.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text("utf-8") == page.content
