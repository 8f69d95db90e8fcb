"""The report of a segmentation, with masks and without."""

import io
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from PIL import Image

from iic.core.constants import Head
from iic.report.segmentation.figures import _errors, render_pictures
from iic.report.segmentation.page import render_page
from iic.report.segmentation.run import SegmentedRun, complete_study
from iic.segmentation.card import SegmentationCard
from iic.segmentation.constants import IGNORED

TILES, SIDE, EPOCHS, K, OVER_K = 7, 33, 3, 4, 6


@cache
def rendered(kind):
    run = make_run(labelled=kind != "unlabelled", colored=kind == "map", has_map=kind == "map")
    pictures = render_pictures(run)
    return run, pictures, render_page(run, pictures)


def make_run(*, labelled=True, colored=False, has_map=False):
    random = np.random.default_rng(0)
    masks = random.integers(0, 3, (TILES, SIDE, SIDE), np.uint8)
    masks[0, 0] = IGNORED
    # Class 0 lies in segment 2, class 1 in segment 0, class 2 in segment 1; segment 3 is wrong.
    cluster = np.array([2, 0, 1] + [0] * 253, np.uint8)[masks]
    cluster[:, :3] = 3
    epochs = np.arange(1.0, EPOCHS + 1)
    heads = ("cluster", "overcluster")
    columns = {
        f"{head}_{name}": epochs
        for head in heads
        for name in ("loss", "mutual_information", "marginal_entropy")
    }
    sizes = (12, 20)
    return SegmentedRun(
        settings={
            "seed": 5,
            "data.name": "custom",
            "model.grouped": False,
            "loss.alpha_final": None,
        },
        card=SegmentationCard(
            seed=5,
            data="custom",
            tile=SIDE,
            labels=["sky <b>", "land", "sea"] if labelled else [],
            clusters=[1, 2, 0, None] if labelled else [None] * K,
            overclusters=[None] * OVER_K,
            metrics={},
            weights_sha256="",
        ),
        metrics={"pixel_acc": 0.9, "loss": -1.0} if labelled else {"clusters_used": 4.0},
        history={"epoch": epochs, "loss": -epochs, "alpha": epochs, "reach": epochs}
        | columns
        | {f"{head}s_used": epochs * 0 + 4 for head in heads},
        accuracy={"epoch": epochs}
        | ({"pixel_acc": epochs / 4, "over_purity": epochs / 4} if labelled else {}),
        snapshots={
            "cluster_test": np.stack([cluster] * EPOCHS).astype(np.uint16),
            "tiles": np.arange(len(cluster)),
        },
        tiles=random.integers(0, 256, (TILES, SIDE, SIDE, *([3] if colored else [])), np.uint8),
        masks=masks if labelled else np.full_like(masks, IGNORED),
        segments={
            Head.CLUSTER: cluster,
            Head.OVERCLUSTER: random.integers(0, OVER_K, cluster.shape, np.uint8),
        },
        map=random.integers(0, 256, (*sizes, 3), np.uint8) if has_map else np.empty((0, 0, 3)),
        map_truth=random.integers(0, 3, sizes, np.uint8),
        map_segments=random.integers(0, K, sizes, np.uint8),
        study={
            f"{alpha} {reach}": {
                str(seed): {"pixel_acc": (alpha + reach + seed) / 20} for seed in range(2)
            }
            for alpha in (1.0, 5.0)
            for reach in (0, 1)
        }
        if has_map
        else {},
    )


@pytest.mark.parametrize("kind", ["labelled", "unlabelled", "map"])
def test_page_needs_no_other_file_and_shows_every_figure(kind):
    _, pictures, page = rendered(kind)
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    anchors = re.findall(r"id=\"([\w-]+)\"", page)
    assert len(anchors) == len(set(anchors))
    for target in re.findall(r"href=\"#([\w-]+)\"", page):
        assert target in anchors
    for picture in pictures:
        assert picture.anchor in anchors
        assert picture.seed == ("0 to 1" if picture.anchor == "study" else "5")


def test_figures_that_need_masks_are_left_out_without_them():
    names = {kind: {p.anchor for p in rendered(kind)[1]} for kind in ("labelled", "unlabelled")}
    assert names["labelled"] - names["unlabelled"] == {"accuracy", "confusion"}
    assert not names["unlabelled"] - names["labelled"]
    page = rendered("unlabelled")[2]
    assert "no masks" in page
    assert "truth" not in page


def test_segments_have_the_colours_and_names_of_their_classes():
    run, _, page = rendered("labelled")
    colors = run.colors[Head.CLUSTER]
    np.testing.assert_array_equal(colors[:3], run.class_colors[[1, 2, 0]])
    assert len({tuple(color) for color in colors.tolist()}) == K
    for text in ("0: land", "1: sea", "2: sky &lt;b&gt;"):
        assert text in page
    assert "<b>sky" not in page


def test_predicted_classes_are_those_of_the_segments():
    run = rendered("labelled")[0]
    assert (run.predicted[:, :3] == IGNORED).all()
    scored = run.masks[:, 3:] != IGNORED
    np.testing.assert_array_equal(run.predicted[:, 3:][scored], run.masks[:, 3:][scored])


def test_errors_are_red_and_unscored_pixels_dark():
    tiles = np.full((1, 1, 3), 200, np.uint8)
    masks, predicted = np.array([[[0, 1, IGNORED]]], np.uint8), np.zeros((1, 1, 3), np.uint8)
    right, wrong, unscored = _errors(tiles, masks, predicted)[0, 0].tolist()
    assert right == [228, 228, 228]
    assert wrong[0] > 200 > 50 > wrong[1]
    assert max(unscored) < 100


def test_the_animation_has_a_frame_for_each_epoch():
    (picture,) = (p for p in rendered("labelled")[1] if p.anchor == "training")
    assert [frame.title for frame in picture.frames] == [
        "epoch 1: pixel accuracy 25.0 %",
        "epoch 2: pixel accuracy 50.0 %",
        "epoch 3: pixel accuracy 75.0 %",
    ]
    with Image.open(io.BytesIO(picture.content)) as image:
        assert image.n_frames == EPOCHS


def test_a_map_has_its_layers_and_others_have_no_section():
    page = rendered("map")[2]
    assert page.count('data-layer="segments"') == 1
    assert page.count('data-layer="truth"') == 1
    assert 'id="map"' not in rendered("labelled")[2]


def test_groups_of_overclusters_are_named_as_such():
    run = make_run()
    assert "groups of overclusters that share" not in render_page(run, [])
    grouped = replace(run, settings=dict(run.settings) | {"model.grouped": True})
    assert "groups of overclusters that share" in render_page(grouped, [])


def test_a_study_is_drawn_if_it_was_measured():
    (picture,) = (p for p in rendered("map")[1] if p.anchor == "study")
    assert "the highest mean, 32.5 %, has alpha 5 and T = 1" in picture.alt
    assert 'id="study"' not in rendered("labelled")[2]


def test_only_seeds_with_all_variants_are_in_the_study():
    rows = {name: {"0": {"pixel_acc": 0.9}, "1": {"pixel_acc": 0.8}} for name in ("1.0 0", "1.0 1")}
    assert complete_study(rows) == rows
    rows["1.0 0"]["2"] = {"pixel_acc": 0.7}
    assert {name: list(found) for name, found in complete_study(rows).items()} == {
        "1.0 0": ["0", "1"],
        "1.0 1": ["0", "1"],
    }
    # One of the four combinations is missing.
    assert complete_study(rows | {"5.0 0": rows["1.0 0"]}) == {}
    assert complete_study({"1.0 0": {"0": {}}, "1.0 1": {"1": {}}}) == {}
    assert complete_study({}) == {}


def test_a_study_of_two_sets_of_settings_is_none():
    def row(alpha, epochs):
        loss = {"alpha": alpha, "alpha_final": None, "reach": 0, "reach_final": 0, "reach_until": 1}
        return {"pixel_acc": 0.9, "settings": {"loss": loss, "train": {"epochs": epochs}}}

    rows = {f"{alpha} 0": {"0": row(alpha, 4), "1": row(alpha, 4)} for alpha in (1.0, 5.0)}
    assert complete_study(rows) == rows
    # A seed that is measured again is not complete at first, and then differs from the others.
    rows["1.0 0"]["2"] = row(1.0, 5)
    assert complete_study(rows)["1.0 0"].keys() == {"0", "1"}
    rows["5.0 0"]["2"] = row(5.0, 5)
    assert complete_study(rows) == {}
    del rows["1.0 0"]["2"], rows["5.0 0"]["2"]
    rows["5.0 0"]["1"]["settings"]["loss"]["reach_until"] = 0.5
    assert complete_study(rows) == {}


def test_wrong_settings_of_a_run_are_marked():
    """All tiles in one segment is what the page has to say first."""
    run = make_run()
    run.history["clusters_used"][:] = 1
    page = render_page(run, [])
    assert 'class="alarm"' in page
