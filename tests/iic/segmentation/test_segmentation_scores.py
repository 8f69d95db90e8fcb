import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from iic.segmentation.constants import IGNORED
from iic.segmentation.scores import (
    Segmented,
    classes_of_segments,
    count_pixels,
    mean_iou,
    normalized_information,
    pixel_table,
    scores_by_epoch,
    segmentation_scores,
)


def test_ignored_pixels_are_not_counted():
    masks = np.array([[[0, 1], [IGNORED, 1]]], np.uint8)
    segments = np.array([[[1, 0], [1, 1]]])
    np.testing.assert_array_equal(pixel_table(masks, segments, 2, 2), [[0, 1], [1, 1]])


def test_mean_iou_by_hand():
    # Class 0 is segment 1: 3 of 3 + 1 - 0; class 1 is segment 0: 2 of 2 + 1.
    table = np.array([[0, 3], [2, 1]])
    assert mean_iou(table) == pytest.approx((3 / 4 + 2 / 3) / 2)


def test_a_class_without_a_segment_has_no_intersection():
    table = np.array([[4], [2]])
    assert mean_iou(table) == pytest.approx((4 / 6 + 0) / 2)


def test_a_class_without_pixels_does_not_count():
    assert mean_iou(np.array([[4, 0], [0, 0], [0, 4]])) == 1.0


def test_normalized_information_is_that_of_scikit_learn(random):
    masks, segments = random.integers(4, size=(1, 9, 9)), random.integers(3, size=(1, 9, 9))
    table = pixel_table(masks, segments, 5, 3)
    expected = normalized_mutual_info_score(masks.ravel(), segments.ravel())
    assert normalized_information(table) == pytest.approx(expected)
    assert normalized_information(np.array([[4, 0]])) == 1.0


def test_scores_ignore_the_numbers_of_the_segments(random):
    masks = random.integers(3, size=(4, 8, 8)).astype(np.uint8)
    noisy = np.where(random.random(masks.shape) < 0.8, masks, random.integers(3, size=masks.shape))
    over = 2 * masks + random.integers(2, size=masks.shape)
    split = Segmented(noisy, over, masks)
    order = np.array([2, 0, 1])
    renumbered = Segmented(order[noisy], (over + 1) % 6, masks)
    found = segmentation_scores(count_pixels(split, split, 3, 3, 6))
    again = segmentation_scores(count_pixels(renumbered, renumbered, 3, 3, 6))
    assert again == pytest.approx(found)
    assert found["pixel_acc"] == pytest.approx((noisy == masks).mean())
    assert found["over_acc"] == 1.0


def test_overclusters_are_mapped_by_the_training_tiles():
    masks = np.zeros((1, 2, 2), np.uint8)
    train = Segmented(masks, masks + 1, masks)
    unseen = Segmented(masks, masks, masks)
    # Overcluster 0 has no training pixel, so it is mapped to no class.
    counts = count_pixels(train, unseen, 2, 2, 2)
    assert segmentation_scores(counts)["over_acc"] == 0.0


def test_without_training_masks_the_test_masks_map_overclusters(recwarn):
    masks = np.array([[[0, 0, 1], [1, 1, 1]]], np.uint8)
    over = np.array([[[3, 3, 1], [1, 3, 1]]], np.uint8)
    train = Segmented(masks, over, np.full_like(masks, IGNORED))
    test = Segmented(masks, over, masks)
    counts = count_pixels(train, test, 2, 2, 4)
    found = segmentation_scores(counts)
    assert found["over_acc"] == pytest.approx(5 / 6)
    assert "train_pixel_acc" not in found
    assert classes_of_segments(counts)[1] == [None, 1, None, 0]
    assert not recwarn.list


def test_one_row_for_each_epoch():
    masks = np.array([[[0, 0], [1, 1]]], np.uint8)
    clusters = np.stack([np.zeros_like(masks), 1 - masks])
    overclusters = np.stack([masks, masks])
    snapshots = {"cluster_test": clusters, "overcluster_test": overclusters}
    columns = scores_by_epoch(masks, snapshots, 2, 2, 2)
    assert columns == {
        "epoch": [1, 2],
        "pixel_acc": [0.5, 1.0],
        "mean_iou": [0.25, 1.0],
        "nmi": [0.0, 1.0],
        "over_purity": [1.0, 1.0],
    }
    assert scores_by_epoch(masks, snapshots, 0, 2, 2) == {"epoch": [1, 2]}
    unscored = np.full_like(masks, IGNORED)
    assert scores_by_epoch(unscored, snapshots, 2, 2, 2) == {"epoch": [1, 2]}


def test_segments_get_the_classes_of_their_pixels():
    masks = np.array([[[0, 0, 1], [1, 1, IGNORED]]], np.uint8)
    cluster = np.array([[[2, 2, 0], [0, 2, 1]]], np.uint8)
    over = np.array([[[3, 0, 1], [1, 0, 2]]], np.uint8)
    split = Segmented(cluster, over, masks)
    # Segment 1 has only the ignored pixel; overcluster 0 has a pixel of each class.
    found = classes_of_segments(count_pixels(split, split, 2, 3, 4))
    assert found == ([1, None, 0], [0, 1, None, 0])
