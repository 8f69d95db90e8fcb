"""`iic choose`: the experiments for each number of clusters, the table and the figure."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from iic.cli.main import cli
from iic.core.errors import InputError
from iic.core.files import read_table
from iic.experiments import choose
from iic.experiments.choose import Choice, choice_figure, pairs_of_runs, summary_lines
from iic.render.pictures import png


@pytest.fixture(autouse=True)
def _at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_each_number_has_its_own_pairs_of_seeds():
    wanted = pairs_of_runs([10, 5, 10], "default", ["seed=3", "data.name=digits"], pairs=2)
    assert [(e.variant, e.seed, e.params.train.second_seed) for e in wanted] == [
        ("5", 3, 4),
        ("5", 5, 6),
        ("10", 3, 4),
        ("10", 5, 6),
    ]
    assert [e.params.model.clusters for e in wanted] == [5, 5, 10, 10]
    assert {e.params.data.name for e in wanted} == {"digits"}
    assert len({e.name for e in wanted}) == 4
    assert "train.second_seed=4" in wanted[0].options
    other = pairs_of_runs([5], "default", ["seed=3", "data.name=digits", "loss.alpha=2"], pairs=1)
    assert other[0].name != wanted[0].name


def name_for(images: Path) -> str:
    settings = ["data.name=custom", f"data.path={images}"]
    (wanted,) = pairs_of_runs([5], "default", settings, pairs=1)
    return wanted.name


def test_new_images_behind_links_need_new_runs(tmp_path):
    """As in a folder of links to the folders of the classes, where DVC sees no change."""
    farm, elsewhere = tmp_path / "farm", tmp_path / "elsewhere"
    farm.mkdir()
    for label in "01":
        (elsewhere / label).mkdir(parents=True)
        (elsewhere / label / "old.png").write_bytes(b"old")
        (farm / label).symlink_to(elsewhere / label)
    names = [name_for(farm)]
    (elsewhere / "1/new.png").write_bytes(b"new")
    names.append(name_for(farm))
    (elsewhere / "1/new.png").write_bytes(b"newer")
    names.append(name_for(farm))
    assert len({*names}) == 3
    # Broken links and loops are no images.
    (farm / "2").symlink_to("missing")
    (farm / "loop").symlink_to("loop")
    (elsewhere / "0/up").symlink_to(farm)
    assert name_for(farm) == names[-1]


def test_wrong_settings_are_named():
    with pytest.raises(InputError, match=r"settings: los: unknown key"):
        pairs_of_runs([5], "default", ["los=3"], 1)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("model.clusters=12", "model.clusters: `iic choose` sets it .* name the numbers of clus"),
        ("model={clusters: 12}", "model.clusters: `iic choose` sets it"),
        ("train.second_seed=9", "train.second_seed: `iic choose` sets it .* leave it out"),
        ("train.second_seed=null", "train.second_seed: `iic choose` sets it"),
    ],
)
def test_a_setting_that_would_be_replaced_is_refused(word, message):
    with pytest.raises(InputError, match=f"^{message}"):
        pairs_of_runs([5, 8], "default", ["loss.alpha=2.0", word], 1)


def test_changed_images_give_another_experiment(tmp_path):
    def name() -> str:
        settings = ["data.name=custom", f"data.path={tmp_path}"]
        (experiment,) = pairs_of_runs([5], "default", settings, 1)
        return experiment.name

    (tmp_path / "a.png").write_bytes(b"one")
    first = name()
    assert name() == first
    (tmp_path / "b").mkdir()
    (tmp_path / "b/b.png").write_bytes(b"two")
    second = name()
    (tmp_path / "b/b.png").write_bytes(b"three")
    assert len({first, second, name()}) == 3


CHOICES = [
    Choice(2, 0, 1, 0.6, 0.9, 2),
    Choice(2, 2, 3, 0.5, 0.7, 2),
    Choice(10, 0, 1, 2.2, 0.95, 9),
    Choice(10, 2, 3, 2.2, 0.95, 10),
]


def test_the_table_has_means_and_spread_over_pairs():
    header, two, ten = summary_lines(CHOICES)
    assert " ".join(header.split()) == "k used mutual information of ln k stability pairs"
    assert " ".join(two.split()) == "2 2 0.550 nats 79.3 % 0.800 ± 0.141 2"
    assert " ".join(ten.split()) == "10 9.5 2.200 nats 95.5 % 0.950 ± 0.000 2"
    assert "±" not in summary_lines(CHOICES[:1])[1]


def test_the_figure_shows_each_pair_and_the_upper_bound():
    left, right = choice_figure(CHOICES).axes
    bound = next(line for line in left.lines if line.get_linestyle() == "--")
    np.testing.assert_allclose(bound.get_ydata(), np.log([2, 10]))
    shown = [line.get_ydata() for line in right.lines if line.get_marker() == "o"]
    assert [list(values) for values in shown] == [[0.9, 0.7], [0.95, 0.95]]
    np.testing.assert_allclose(right.lines[0].get_ydata(), [0.8, 0.95])


COLLAPSED = [
    Choice(2, 0, 1, 0.6, 0.9, 2),
    Choice(2, 2, 3, 0.5, math.nan, 1, 1),
    Choice(3, 0, 1, 0.0, math.nan, 1, 2),
    Choice(3, 2, 3, 0.0, math.nan, 1, 2),
]


def test_collapsed_trainings_have_no_stability_in_the_table():
    _, two, three, last = summary_lines(COLLAPSED)
    assert " ".join(two.split()) == "2 1.5 0.550 nats 79.3 % 0.900 2"
    assert " ".join(three.split()) == "3 1 0.000 nats 0.0 % - 2"
    assert last.startswith("collapsed, undertrained: 5 of 8 trainings have all test images in one")
    assert "train.epochs" in last


@pytest.mark.filterwarnings("error")
def test_the_figure_marks_collapsed_trainings():
    _, right = choice_figure(COLLAPSED).axes
    shown = [list(line.get_ydata()) for line in right.lines if line.get_marker() == "o"]
    assert shown == [[0.9], []]
    (crosses,) = (line for line in right.lines if line.get_marker() == "x")
    assert list(crosses.get_xdata()) == [2, 3]
    png(choice_figure(COLLAPSED[2:]))


@pytest.mark.parametrize(
    ("used", "metrics", "stability"),
    [
        (1.0, {"collapsed_trainings": 2}, "nan"),
        (2.0, {"collapsed_trainings": 1}, "nan"),
        (1.0, {"stability": 1.0}, "nan"),
        (2.0, {"stability": 0.25}, "0.25"),
    ],
)
def test_a_collapsed_training_leaves_no_stability(
    tmp_path, monkeypatch, capsys, used, metrics, stability
):
    monkeypatch.setattr(choose, "run_missing", lambda wanted, jobs: iter(wanted))
    history = {"cluster_mutual_information": np.array([0.5]), "clusters_used": np.array([used])}
    monkeypatch.setattr(choose, "columns_of", lambda name, path: history)
    monkeypatch.setattr(choose, "metrics_of", lambda name: metrics)
    monkeypatch.setattr(choose, "TABLE", tmp_path / "k.csv")
    monkeypatch.setattr(choose, "FIGURE", tmp_path / "k.png")
    choose.choose_k([2], "tour", [], 1, 1)
    with (tmp_path / "k.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["stability"] == stability
    assert np.isnan(read_table(tmp_path / "k.csv")["stability"][0]) == (stability == "nan")
    assert ("collapsed, undertrained" in capsys.readouterr().out) == (stability == "nan")


def test_the_command_writes_one_row_per_pair(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(choose, "run_missing", lambda wanted, jobs: iter(wanted[::-1]))
    monkeypatch.setattr(
        choose,
        "columns_of",
        lambda name, path: {
            "cluster_mutual_information": np.array([0.1, 0.7]),
            "clusters_used": np.array([1.0, 2.0]),
        },
    )
    monkeypatch.setattr(choose, "metrics_of", lambda name: {"stability": 0.25})
    monkeypatch.setattr(choose, "TABLE", tmp_path / "k.csv")
    monkeypatch.setattr(choose, "FIGURE", tmp_path / "k.png")
    cli.main(["choose", "3", "2", "--recipe", "tour"], standalone_mode=False)
    with (tmp_path / "k.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["k"], row["seed"], row["second_seed"]) for row in table] == [
        ("2", "0", "1"),
        ("3", "0", "1"),
    ]
    assert float(table[0]["share"]) == pytest.approx(0.7 / np.log(2), rel=1e-5)
    assert table[1]["stability"] == "0.25"
    assert (tmp_path / "k.png").read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr()
    assert "2 of 2: choose-k-2-seed-0" in said.err
    assert said.out.splitlines()[-1] == f"{tmp_path / 'k.csv'}, {tmp_path / 'k.png'}"
