"""Which images are taught which clusters, with a stand-in for the model."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from iic.core.constants import UNTAUGHT
from iic.model.assignments import Assignments
from iic.pairs.batches import PairBatches
from iic.training.moves import LEFT_OUT, Move
from iic.training.teaching import Teaching


class StandIn(PairBatches):
    """Batches of three images, or of others."""

    images = np.arange(3)
    partners = "partners"

    def __init__(self, **attributes: np.ndarray) -> None:
        vars(self).update(attributes)

    def in_order(self, epoch: int, chosen: np.ndarray) -> str:
        return f"views of {epoch} of {chosen.tolist()}"


# Assigns three images to the parts 0, 3 and 4 of two clusters and three overclusters.
VIEW = Assignments(cluster=np.eye(2)[[0, 1, 0]], overcluster=np.eye(3))


@pytest.fixture
def teaching_of(params, monkeypatch):
    """Makes a Teaching with some keys replaced and a model that assigns VIEW to the images."""
    monkeypatch.setattr("iic.training.teaching.predict", lambda *_: VIEW)
    monkeypatch.setattr("iic.training.teaching.exact_joint", lambda *arguments: arguments)
    monkeypatch.setattr("iic.training.teaching.merged", lambda *_: np.eye(2) / 2)

    def make(**sections) -> Teaching:
        changed = params.with_values(model={"clusters": 2, "overclusters": 3}, **sections)
        teaching = Teaching(StandIn(), changed)
        teaching.set_model(SimpleNamespace(network="network", targets=tf.Variable([UNTAUGHT] * 3)))
        return teaching

    return make


@pytest.mark.parametrize(
    ("begin", "untaught_epochs"), [(0.5, 2), (0.6, 3), (0.75, 3), (0.0, 0), (1.0, 4)]
)
def test_images_of_moved_parts_are_taught_from_teaching_from_on(
    begin, untaught_epochs, teaching_of, monkeypatch, caplog
):
    calls = []

    def best_moves(p_ij, mapping, clusters, images):
        assert images == 3
        calls.append(mapping.tolist())
        first, second, partners, parts = p_ij
        assert first.tolist() == second.tolist() == [0, 3, 4]
        assert (partners, parts, clusters) == ("partners", 6, 2)
        return np.array([0, 1, 0, 1, 1, 1]), [Move(part=4, source=0, target=1, gain=0.5)]

    monkeypatch.setattr("iic.training.teaching.best_moves", best_moves)
    teaching = teaching_of(train={"epochs": 4}, loss={"teaching_from": begin})
    targets = []
    with caplog.at_level("INFO"):
        for epoch in range(4):
            teaching.on_epoch_begin(epoch)
            targets.append(teaching.model.targets.numpy().tolist())
    before, moved = [UNTAUGHT] * 3, [UNTAUGHT, UNTAUGHT, 1]
    assert targets == [moved if epoch >= untaught_epochs else before for epoch in range(4)]
    assert calls == [[0, 1, 0, 1, 0, 1]] * (4 - untaught_epochs)
    logged = "overcluster 2, part in cluster 0: reassigned from cluster 0 to 1, +0.5000 nats"
    assert caplog.text.count(logged) == 4 - untaught_epochs


def test_learned_move_is_no_longer_taught(teaching_of, monkeypatch):
    moved = [np.array([0, 1, 0, 0, 1, 1]), np.array([0, 1, 0, 1, 0, 1])]
    monkeypatch.setattr("iic.training.teaching.best_moves", lambda *_: (moved.pop(0), []))
    teaching = teaching_of()
    for expected in ([UNTAUGHT, 0, 1], [UNTAUGHT] * 3):
        teaching.on_epoch_begin(5)
        assert teaching.model.targets.numpy().tolist() == expected


@pytest.mark.parametrize(("neighbors", "views"), [(0, [1, 2, 5]), (20, [0, 3, 4])])
def test_neighbours_are_assigned_untransformed_and_views_transformed(
    neighbors, views, teaching_of, monkeypatch
):
    def assign_views(model, batches):
        assert batches == "views of 5 of [0, 1, 2]"
        transformed = Assignments(cluster=np.eye(2)[[1, 0, 1]], overcluster=VIEW.overcluster)
        return transformed, VIEW

    seen = []

    def best_moves(p_ij, mapping, clusters, images):
        seen.append(p_ij)
        return mapping, []

    monkeypatch.setattr("iic.training.teaching.assign_views", assign_views)
    monkeypatch.setattr("iic.training.teaching.best_moves", best_moves)
    teaching_of(augment={"neighbors": neighbors}).on_epoch_begin(5)
    ((first, second, _, _),) = seen
    assert (first.tolist(), second.tolist()) == (views, [0, 3, 4])


@pytest.mark.parametrize(("same", "moves"), [(0.9, True), (0.88, False)])
def test_no_moves_while_the_mutual_information_is_low(same, moves, teaching_of, monkeypatch):
    # 0.368 and 0.327 nats; half of ln 2 is 0.347.
    joint = np.array([[same, 1 - same], [1 - same, same]]) / 2
    monkeypatch.setattr("iic.training.teaching.best_moves", lambda p_ij, own, *_: (1 - own, []))
    teaching = teaching_of()
    monkeypatch.setattr("iic.training.teaching.merged", lambda *_: joint)
    teaching.model.targets.assign([9, 9, 9])
    teaching.on_epoch_begin(5)
    expected = [1, 0, 1] if moves else [UNTAUGHT] * 3
    assert teaching.model.targets.numpy().tolist() == expected


def test_only_a_sample_of_many_images_is_used_and_taught(teaching_of, monkeypatch):
    def predict(network, images):
        assert images.tolist() == [0, 2]
        return Assignments(cluster=np.eye(2)[[0, 0]], overcluster=np.eye(3)[[0, 2]])

    def best_moves(p_ij, mapping, clusters, images):
        first, second, _, _ = p_ij
        assert first.tolist() == second.tolist() == [0, LEFT_OUT, 4]
        assert images == 2
        return 1 - mapping, []

    monkeypatch.setattr("iic.training.teaching.SAMPLE", 2)
    monkeypatch.setattr("iic.training.teaching.predict", predict)
    monkeypatch.setattr("iic.training.teaching.best_moves", best_moves)
    teaching = teaching_of()
    teaching.on_epoch_begin(5)
    assert teaching.model.targets.numpy().tolist() == [1, UNTAUGHT, 1]


def test_misplaced_style_is_taught_the_cluster_of_its_neighbours(params, monkeypatch):
    # Four styles of 50 images, one overcluster each. The first two are the same digit, but the
    # clustering head puts the second with the others. All partners are of the same digit.
    style = np.arange(200) // 50
    assigned = Assignments(
        cluster=np.eye(2)[np.array([0, 1, 1, 1])[style]], overcluster=np.eye(4)[style]
    )
    partners = np.stack([(np.arange(200) + shift) % 100 for shift in (1, 2, 50)], axis=1)
    partners[100:] += 100
    monkeypatch.setattr("iic.training.teaching.predict", lambda *_: assigned)
    params = params.with_values(model={"clusters": 2, "overclusters": 4})
    teaching = Teaching(StandIn(images=np.arange(200), partners=partners), params)
    targets = tf.Variable(np.full(200, 9))
    teaching.set_model(SimpleNamespace(network="network", targets=targets))
    monkeypatch.setattr("iic.training.teaching.LEAST_INFORMATION", 0.1)
    teaching.on_epoch_begin(5)
    np.testing.assert_array_equal(targets, np.where(style == 1, 0, UNTAUGHT))
