import numpy as np
import pytest
from conftest import ROOT

from iic.data.datasets import digits_dataset
from iic.experiments.recipes import recipe_names, recipe_params
from iic.pairs.schedule import Schedule, steps_per_epoch, warn_of_few_steps


@pytest.fixture
def schedule_of(params):
    """Makes a schedule from the committed parameters with some keys replaced."""

    def make(steps: int, **values: object) -> Schedule:
        sections = {"loss": {}, "augment": {}}
        for key, value in values.items():
            sections["loss" if key.startswith("alpha") else "augment"][key] = value
        return Schedule(params.with_values(**sections), steps)

    return make


def test_alpha_changes_linearly_within_its_part_of_the_training(schedule_of):
    schedule = schedule_of(
        101, alpha=5.0, alpha_final=1.0, alpha_falls_from=0.4, alpha_falls_until=0.8
    )
    alphas = [schedule.at(step).alpha for step in (0, 40, 60, 80, 100)]
    np.testing.assert_allclose(alphas, [5, 5, 3, 1, 1])


def test_alpha_without_a_final_value_is_constant(schedule_of):
    schedule = schedule_of(101, alpha=5.0, alpha_final=None)
    assert {schedule.at(step).alpha for step in range(101)} == {5.0}


def test_strength_falls_from_the_first_to_the_last_step(schedule_of):
    schedule = schedule_of(101, strength_final=0.4)
    strengths = [schedule.at(step).strength for step in (0, 50, 100)]
    np.testing.assert_allclose(strengths, [1, 0.7, 0.4])


def test_share_of_neighbours_falls_to_0(schedule_of):
    schedule = schedule_of(10, neighbors=20, neighbor_share=0.8, neighbor_until=0.5)
    shares = [schedule.at(step).neighbor_share for step in (0, 1, 4, 5, 9)]
    np.testing.assert_allclose(shares, [0.8, 0.64, 0.16, 0, 0])


@pytest.mark.parametrize(
    "off", [{"neighbors": 0}, {"neighbor_share": 0.0}, {"neighbor_until": 0.0}]
)
def test_share_of_neighbours_can_be_0_throughout(schedule_of, off):
    settings = {"neighbors": 20, "neighbor_share": 0.8, "neighbor_until": 0.5} | off
    schedule = schedule_of(4, **settings)
    assert {schedule.at(step).neighbor_share for step in range(4)} == {0.0}


def test_single_step_has_the_initial_values(schedule_of):
    values = schedule_of(1, alpha=5.0, alpha_final=1.0, strength_final=0.4).at(0)
    assert (values.alpha, values.strength) == (5, 1)


def test_steps_are_full_batches_and_a_small_set_is_one_batch(params):
    train = params.train.model_copy(update={"batch_size": 250})
    assert [steps_per_epoch(images, train) for images in (60_000, 499, 250, 40)] == [240, 1, 1, 1]


def test_few_steps_are_warned_of_with_the_settings_that_change_them(params):
    few = warn_of_few_steps(425, params.train)
    assert few.startswith("425 training images make 6 steps in 6 epochs, with 250 images a step;")
    assert "MNIST's recipe has 1,440: raise train.epochs or lower train.batch_size" in few
    assert params.train.epochs * steps_per_epoch(60_000, params.train) == 1440


@pytest.mark.parametrize("recipe", recipe_names())
def test_no_recipe_has_few_steps(monkeypatch, recipe):
    monkeypatch.chdir(ROOT)
    params = recipe_params(recipe)
    images = len(digits_dataset().train_images) if params.data.name == "digits" else 60_000
    assert warn_of_few_steps(images, params.train) is None
