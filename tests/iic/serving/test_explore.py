"""The cluster explorer: its data, its HTML, the page in a real browser, and the command."""

import base64
import csv
import dataclasses
import io
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import fits, launched, needs_browser, opened
from conftest import ROOT, run
from PIL import Image
from playwright.sync_api import Browser, Page

from iic.cli.explore import explore
from iic.cli.main import main
from iic.core.errors import InputError
from iic.core.files import read_arrays, read_table, write_arrays
from iic.evaluation.card import ModelCard, write_card
from iic.model.network import build_network, embed, predict
from iic.model.store import hash_of_weights, save_network
from iic.render.pictures import sprite
from iic.serving import explore_page
from iic.serving.explore import write_page
from iic.serving.explore_page import (
    MOST_IMAGES,
    NEAR,
    SIMILAR,
    ExplorerData,
    centroids,
    nearest_groups,
    project,
    render_explorer,
    similar_images,
)

N, CLUSTERS, OVERCLUSTERS = 90, 3, 6
# Labels may be names of folders, which can contain any text.
NAMES = ["<b>bold</b>", '=1+1, "quoted"', "plain"]
KINDS = {"index": "<u4", "probability": "<f4", "overProbability": "<f4"}


def soft(hard: np.ndarray, k: int, certain: np.ndarray) -> np.ndarray:
    """Distributions over k clusters, with the probability `certain` for the cluster `hard`."""
    others = ((1 - certain) / (k - 1))[:, None]
    return np.where(np.arange(k) == hard[:, None], certain[:, None], others)


@pytest.fixture(scope="session")
def shown() -> ExplorerData:
    """Three clusters of two overclusters each, well apart on the map, with all optional data."""
    random = np.random.default_rng(0)
    overcluster = np.arange(N) % OVERCLUSTERS
    cluster = overcluster // 2
    angle = 2 * np.pi * overcluster / OVERCLUSTERS
    around = np.column_stack([np.cos(angle), np.sin(angle)])
    labels = cluster.copy()
    labels[2] = 0
    return ExplorerData(
        images=random.integers(0, 256, (N, 28, 28), np.uint8),
        split="test",
        total=N * 2,
        index=np.arange(N) * 2,
        features=random.normal(size=(N, 8)) + 4 * np.eye(8)[overcluster],
        points=10 * around + random.uniform(-1, 1, (N, 2)),
        cluster=soft(cluster, CLUSTERS, random.uniform(0.6, 1, N)),
        overcluster=soft(overcluster, OVERCLUSTERS, random.uniform(0.6, 1, N)),
        labels=labels,
        names=NAMES,
        cluster_names=[NAMES[0], NAMES[1], None],
        overcluster_names=[NAMES[0]] * 2 + [NAMES[1]] * 2 + [None] * 2,
        paths=[f"-folder/</script><script>alert({i})</script>.png" for i in range(N)],
        settings="recipe <i>default</i>",
    )


def without_labels(shown: ExplorerData) -> ExplorerData:
    return dataclasses.replace(
        shown, labels=None, names=[], cluster_names=[], overcluster_names=[], paths=None
    )


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])


def array_of(data: dict, name: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(data["arrays"][name]), KINDS.get(name, "<u2"))


# Data of the page


def test_similar_images_match_brute_force(random):
    features = random.normal(size=(40, 5))
    distances = np.linalg.norm(features[:, None] - features, axis=-1)
    np.fill_diagonal(distances, np.inf)
    expected = distances.argsort(axis=1)
    np.testing.assert_array_equal(similar_images(features, 7), expected[:, :7])
    assert similar_images(features).shape == (40, SIMILAR)
    assert similar_images(features[:3]).shape == (3, 2)
    assert similar_images(features[:1]).shape == (1, 0)


def test_the_map_preserves_neighbourhoods_and_is_deterministic(random):
    groups = np.arange(60) % 3
    features = random.normal(size=(60, 12)) + 20 * np.eye(12)[groups]
    points = project(features)
    np.testing.assert_array_equal(groups[similar_images(points, 5)], groups[:, None].repeat(5, 1))
    np.testing.assert_array_equal(points, project(features))


@pytest.mark.parametrize("n", [1, 4, 5, 9])
def test_maps_of_few_or_equal_images_are_finite(n, random):
    for features in (random.normal(size=(n, 3)), random.normal(size=(n, 1)), np.ones((n, 3))):
        points = project(features)
        assert points.shape == (n, 2)
        assert np.isfinite(points).all()


def test_nearest_groups_are_ordered_by_distance_of_centroids(random):
    features = np.array([[0.0, 0], [2, 0], [10, 0], [11, 0], [4, 3]])
    centers = centroids(features, np.array([0, 0, 1, 1, 3]), 4)
    np.testing.assert_array_equal(centers, [[1, 0], [10.5, 0], [np.nan, np.nan], [4, 3]])
    near = nearest_groups(centers, centers, np.eye(4, dtype=bool))
    assert near[0] == [(3, 4.243), (1, 9.5)]
    assert [group for group, _ in near[1]] == [3, 0]
    assert near[2] == []
    many = random.normal(size=(30, 2))
    assert {len(row) for row in nearest_groups(many, many, np.eye(30, dtype=bool))} == {NEAR}


def test_the_page_is_rendered_without_tensorflow():
    code = "import sys, iic.serving.explore_page; print('tensorflow' in sys.modules)"
    assert run(sys.executable, "-c", code, cwd=ROOT).stdout.strip() == "False"


def test_embed_returns_features_and_assignments(tiny_params, digits):
    network = build_network(tiny_params.model)
    features, assignments = embed(network, digits.test_images[:30], batch_size=20)
    assert features.shape == (30, tiny_params.model.widths[-1])
    for found, expected in zip(assignments, predict(network, digits.test_images[:30]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


# HTML


def test_the_page_contains_the_given_data(shown):
    page = render_explorer(shown)
    data = data_of(page)
    np.testing.assert_array_equal(array_of(data, "index"), shown.index)
    np.testing.assert_array_equal(array_of(data, "cluster"), shown.cluster.argmax(axis=1))
    np.testing.assert_array_equal(array_of(data, "overcluster"), shown.overcluster.argmax(axis=1))
    np.testing.assert_array_equal(array_of(data, "label"), shown.labels)
    np.testing.assert_array_equal(
        array_of(data, "probability"), shown.cluster.max(axis=1).astype(np.float32)
    )
    np.testing.assert_array_equal(
        array_of(data, "neighbors").reshape(N, SIMILAR), similar_images(shown.features)
    )
    points = array_of(data, "points").reshape(N, 2) / 65535
    scale = np.ptp(shown.points, axis=0).max()
    np.testing.assert_allclose(
        points - points[0], (shown.points - shown.points[0]) / scale, atol=1e-4
    )
    assert data["names"] == NAMES
    assert data["paths"] == shown.paths
    near = [[group for group, _ in row] for row in data["groups"]["cluster"]["near"]]
    assert [set(row) for row in near] == [{2, 3, 4, 5}, {0, 1, 4, 5}, {0, 1, 2, 3}]


def test_the_sprite_contains_the_images_in_order(shown):
    page = render_explorer(shown)
    content = base64.b64decode(re.search(r'src="data:image/png;base64,([^"]+)"', page)[1])
    sheet = np.asarray(Image.open(io.BytesIO(content)))
    columns = data_of(page)["columns"]
    for i in (0, 17, N - 1):
        row, column = divmod(i, columns)
        tile = sheet[28 * row : 28 * (row + 1), 28 * column : 28 * (column + 1)]
        np.testing.assert_array_equal(tile, 255 - shown.images[i])
    rows = np.asarray(Image.open(io.BytesIO(sprite(shown.images[:5], 2))))
    np.testing.assert_array_equal(rows[56:84, :28], 255 - shown.images[4])
    assert (rows[56:, 28:] == 255).all()


def test_a_sprite_of_large_images_stays_within_what_phones_draw(shown, monkeypatch):
    monkeypatch.setattr(explore_page, "_SPRITE_PIXELS", N * 20 * 20)
    page = render_explorer(dataclasses.replace(shown, images=np.zeros((N, 64, 64, 3), np.uint8)))
    content = base64.b64decode(re.search(r'src="data:image/png;base64,([^"]+)"', page)[1])
    assert data_of(page)["size"] == 20
    assert Image.open(io.BytesIO(content)).width == 20 * data_of(page)["columns"]


def test_names_and_paths_are_escaped_and_nothing_is_loaded(shown):
    page = render_explorer(shown)
    assert page.count("<script") == 2
    assert "<b>" not in page
    assert "<i>" not in page
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "http" not in page
    assert f"an even sample of {2 * N}" in page
    assert page == render_explorer(shown)


def test_without_labels_the_page_offers_no_labels(shown):
    page = render_explorer(without_labels(shown))
    assert data_of(page)["arrays"]["label"] is None
    assert 'value="label"' not in page
    assert 'value="overcluster"' in page


# The page in a browser


@pytest.fixture(scope="session")
def html(shown, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("explorer") / "explore.html"
    file.write_text(render_explorer(shown), "utf-8")
    return file


def ready(tab: Page) -> Page:
    tab.wait_for_selector(".chip")
    return tab


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def tab(browser, html) -> Iterator[Page]:
    with opened(browser, html, accept_downloads=True) as page:
        yield ready(page)


def rows(tab: Page) -> list[int]:
    """Images of the panel's grid, in order."""
    items = tab.locator("[role=option]").all()
    return [int(item.get_attribute("data-image")) for item in items]


def chosen(tab: Page) -> list[int]:
    return tab.evaluate("inOrder(selected)")


def position(tab: Page, image: int) -> tuple[float, float]:
    """Position of an image on the screen."""
    box = tab.locator("#map").bounding_box()
    x, y = tab.evaluate(f"place({image})")
    return box["x"] + x, box["y"] + y


def switch(tab: Page, field: str, value: str) -> None:
    tab.locator(f"#{field} label", has=tab.locator(f"[value={value}]")).click()


def wait_for_paper(tab: Page, comparison: str) -> None:
    """Wait until the brightness of the map's corner, 0 to 765, fulfils a comparison."""
    tab.wait_for_function(
        """() => {
          const copy = document.createElement("canvas").getContext("2d");
          copy.drawImage(map, 0, 0);
          const [red, green, blue] = copy.getImageData(1, 1, 1, 1).data;
          return red + green + blue COMPARISON;
        }""".replace("COMPARISON", comparison)
    )


@needs_browser
def test_a_group_lists_its_members_by_confidence(tab, shown):
    cluster, probability = shown.cluster.argmax(axis=1), shown.cluster.max(axis=1)
    tab.click(".chip[value='1']")
    members = np.flatnonzero(cluster == 1)
    order = members[np.argsort(-probability[members])].tolist()
    assert rows(tab) == order
    assert f"Cluster 1: {NAMES[1]}" in tab.locator("h2").inner_text()
    assert "30 images, 33.3 % of all" in tab.locator("#detail").inner_text()
    assert f"labels {NAMES[1]} × 29, {NAMES[0]} × 1" in tab.locator("#detail").inner_text()
    tab.click("text=lowest first")
    assert rows(tab) == order[::-1]
    assert tab.locator("[aria-label='Overclusters of these images'] button").count() == 2
    assert tab.locator(".chip[aria-pressed=true]").count() == 1
    tab.click("[aria-label^='Nearest overclusters of other clusters'] button >> nth=0")
    group = data_of(render_explorer(shown))["groups"]["cluster"]["near"][1][0][0]
    members = np.flatnonzero(shown.overcluster.argmax(axis=1) == group)
    certain = shown.overcluster.max(axis=1)[members]
    assert rows(tab) == members[np.argsort(-certain)].tolist()
    tab.click("text=Back")
    assert "Cluster 1" in tab.locator("h2").inner_text()


@needs_browser
def test_a_dot_shows_its_image_and_opens_its_group(tab, shown):
    at = position(tab, 8)
    tab.mouse.move(*at)
    assert tab.locator("#tip").inner_text().splitlines() == [
        shown.paths[8],
        f"Cluster 1: {NAMES[1]}, {100 * shown.cluster[8].max():.1f} %",
        f"Overcluster 2: {NAMES[1]}",
        f"label {NAMES[1]}",
    ]
    tab.mouse.click(*at)
    assert "Cluster 1" in tab.locator("h2").inner_text()
    assert "16" in tab.locator(".card dd >> nth=0").inner_text()
    tab.mouse.move(5, 5)
    assert tab.locator("#tip").is_hidden()
    tab.click("text=Similar images")
    assert rows(tab) == similar_images(shown.features)[8].tolist()
    tab.click("[role=option] >> nth=3")
    assert rows(tab) == similar_images(shown.features)[rows_first(shown, 8, 3)].tolist()


def rows_first(shown: ExplorerData, image: int, k: int) -> int:
    return int(similar_images(shown.features)[image][k])


@needs_browser
def test_images_are_selected_with_the_mouse(tab, shown):
    switch(tab, "tool", "select")
    tab.click(".chip[value='0']")
    members, options = rows(tab), tab.locator("[role=option]")
    options.nth(2).click()
    options.nth(6).click(modifiers=["Shift"])
    assert chosen(tab) == sorted(members[2:7])
    options.nth(4).click()
    assert chosen(tab) == sorted(set(members[2:7]) - {members[4]})
    assert options.nth(3).get_attribute("aria-selected") == "true"
    assert tab.locator("#count").inner_text() == "4 images selected"
    tab.click("#clear")
    tab.mouse.click(*position(tab, 7))
    assert chosen(tab) == [7]
    tab.mouse.click(*position(tab, 7))
    assert chosen(tab) == []
    tab.click("text=Select all 30")
    assert chosen(tab) == sorted(members)
    tab.click("text=Deselect all")
    switch(tab, "tool", "inspect")
    options.nth(1).click(modifiers=["ControlOrMeta"])
    assert chosen(tab) == [members[1]]


def drag_around(tab: Page, images: list[int]) -> None:
    places = np.array([position(tab, i) for i in images])
    (left, top), (right, bottom) = places.min(axis=0) - 6, places.max(axis=0) + 6
    tab.mouse.move(left, top)
    tab.mouse.down()
    for at in ((right, top), (right, bottom), (left, bottom)):
        tab.mouse.move(*at, steps=4)
    tab.mouse.up()


@needs_browser
def test_a_lasso_selects_the_images_inside(tab, shown):
    overcluster = shown.overcluster.argmax(axis=1)
    group = np.flatnonzero(overcluster == 3).tolist()
    switch(tab, "tool", "select")
    drag_around(tab, group)
    assert chosen(tab) == group
    switch(tab, "tool", "inspect")
    tab.keyboard.down("Shift")
    drag_around(tab, np.flatnonzero(overcluster == 5).tolist())
    tab.keyboard.up("Shift")
    assert chosen(tab) == np.flatnonzero(np.isin(overcluster, (3, 5))).tolist()
    tab.keyboard.down("Alt")
    tab.keyboard.down("Shift")
    drag_around(tab, group)
    tab.keyboard.up("Shift")
    tab.keyboard.up("Alt")
    assert chosen(tab) == np.flatnonzero(overcluster == 5).tolist()
    # Without Shift, dragging moves the map.
    before = tab.evaluate("view.x")
    tab.mouse.move(300, 300)
    tab.mouse.down()
    tab.mouse.move(340, 300, steps=3)
    tab.mouse.up()
    assert tab.evaluate("view.x") < before
    assert chosen(tab) == np.flatnonzero(overcluster == 5).tolist()


@needs_browser
def test_a_group_is_selected_named_and_exported_by_keyboard(tab, shown):
    tab.focus(".chip[value='2']")
    tab.keyboard.press("Enter")
    members = rows(tab)
    tab.focus("[role=option] >> nth=0")
    for key in ("ArrowRight", "Space", "Shift+ArrowRight", "Shift+ArrowRight", "End", "Space"):
        tab.keyboard.press(key)
    assert chosen(tab) == sorted([*members[1:4], members[-1]])
    tab.keyboard.press("Home")
    tab.keyboard.press("ArrowDown")
    focused = tab.evaluate("Number(document.activeElement.dataset.image)")
    assert members.index(focused) > 3
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.tagName") == "H2"
    assert rows(tab) == similar_images(shown.features)[focused].tolist()
    tab.focus("#name")
    tab.keyboard.type("first")
    tab.keyboard.press("Enter")
    assert tab.locator("#named li span").all_inner_texts() == ["first: 4 images"]
    assert tab.locator("#count").inner_text() == "No images selected"
    tab.focus("#export")
    with tab.expect_download() as download:
        tab.keyboard.press("Enter")
    assert len(download.value.path().read_text("utf-8").splitlines()) == 5
    tab.keyboard.press("Escape")
    assert tab.locator("h2").inner_text() == "How to use this page"


@needs_browser
def test_named_groups_are_exported_as_csv(tab, shown):
    cluster, overcluster = shown.cluster.argmax(axis=1), shown.overcluster.argmax(axis=1)

    def name(text: str) -> None:
        tab.fill("#name", text)
        tab.click("#keep")

    switch(tab, "colour", "overcluster")
    tab.click(".chip[value='2']")
    tab.click("text=Select all 15")
    name('=HYPERLINK("x")')
    tab.click("[role=option] >> nth=0", modifiers=["ControlOrMeta"])
    name("crossed, seven")
    tab.fill("#name", "nothing selected")
    tab.keyboard.press("Enter")
    assert tab.locator("#keep").is_disabled()
    tab.click("[role=option] >> nth=1", modifiers=["ControlOrMeta"])
    name("crossed, seven")
    tab.click("[role=option] >> nth=2", modifiers=["ControlOrMeta"])
    name("gone")
    tab.click("[aria-label='Remove group gone']")
    tab.click("[aria-label='Show group crossed, seven']")
    two = rows(tab)
    with tab.expect_download() as download:
        tab.click("#export")
    assert download.value.suggested_filename == "groups.csv"
    with download.value.path().open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    group = np.flatnonzero(overcluster == 2).tolist()
    assert len(two) == 2
    assert table == [
        {
            "split": "test",
            "index": str(2 * i),
            "path": f"'{shown.paths[i]}",
            "group": text,
            "cluster": str(cluster[i]),
            "overcluster": "2",
            "probability": f"{np.float32(shown.cluster[i].max()):.6g}",
            "label": f"'{NAMES[1]}" if shown.labels[i] == 1 else NAMES[shown.labels[i]],
        }
        for text, images in (('\'=HYPERLINK("x")', group), ("crossed, seven", two))
        for i in images
    ]


@needs_browser
def test_cells_are_quoted_and_never_formulas(tab):
    expected = {
        "plain": "plain",
        "a,b": '"a,b"',
        'say "a"': '"say ""a"""',
        "two\nlines": '"two\nlines"',
        "=1": "'=1",
        "+1": "+1",
        "-1": "-1",
        "-1+2": "'-1+2",
        "'=1": "''=1",
        "=": "=",
        "@a": "'@a",
        "\ta": "'\ta",
        "\ra": '"\'\ra"',
        "=a,b": '"\'=a,b"',
        -1.5: "-1.5",
    }
    assert tab.evaluate("values => values.map(cell)", list(expected)) == list(expected.values())


@needs_browser
def test_images_are_coloured_by_cluster_overcluster_or_label(tab, shown):
    def colour_of(image: int) -> str:
        return tab.evaluate(f"colours[by][groupOf[by][{image}]]")

    assert tab.locator(".chip").count() == CLUSTERS
    # A cluster has the colour of its matched label.
    cluster = [colour_of(i) for i in (0, 4, 8)]
    switch(tab, "colour", "overcluster")
    assert tab.locator(".chip").count() == OVERCLUSTERS
    assert len({colour_of(i) for i in range(OVERCLUSTERS)}) == OVERCLUSTERS
    switch(tab, "colour", "label")
    assert tab.locator(".chip").all_inner_texts() == NAMES
    assert [colour_of(i) for i in (0, 8)] == [cluster[0], cluster[2]]
    tab.click(".chip[value='0']")
    assert sorted(rows(tab)) == np.flatnonzero(shown.labels == 0).tolist()[:32]


@needs_browser
def test_the_map_is_operated_by_keyboard(tab):
    tab.focus("#map")
    start = tab.evaluate("({...view})")
    for _ in range(3):
        tab.keyboard.press("+")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowDown")
    now = tab.evaluate("({...view})")
    assert now["scale"] > 2 * start["scale"]
    assert now["x"] > start["x"]
    assert now["y"] > start["y"]
    tab.keyboard.press("-")
    assert tab.evaluate("view.scale") < now["scale"]
    tab.evaluate("goTo(10)")
    tab.keyboard.press("Space")
    assert chosen(tab) == [10]
    tab.keyboard.press("Enter")
    assert "20" in tab.locator(".card dd >> nth=0").inner_text()
    for _ in range(3):
        tab.keyboard.press("Escape")
    assert tab.evaluate("({...view})") == start


@needs_browser
def test_wheel_and_buttons_zoom_until_images_appear(tab):
    assert tab.evaluate("view.scale") > 0
    tab.click("#zoom-out")
    x, y = position(tab, 3)
    before = tab.evaluate("view.scale")
    tab.mouse.move(x, y)
    tab.mouse.wheel(0, -600)
    tab.wait_for_function(f"view.scale > {before}")
    # The image under the pointer stays there.
    np.testing.assert_allclose(position(tab, 3), (x, y), atol=3)
    tab.click("#zoom-in")
    assert tab.evaluate("tileSize()") > 15
    tab.click("#zoom-fit")
    assert tab.evaluate("view.moved") is False


@needs_browser
def test_an_image_is_found_by_index_or_path(tab):
    for wanted, image in (("24", 12), ("alert(33)", 33)):
        tab.fill("#query", wanted)
        tab.keyboard.press("Enter")
        assert str(2 * image) in tab.locator(".card dd >> nth=0").inner_text()
    tab.fill("#query", "77777")
    tab.keyboard.press("Enter")
    assert tab.evaluate("get('query').validationMessage") == "No such image on this page."


@needs_browser
def test_the_map_follows_the_colour_scheme(browser, html):
    with opened(browser, html, color_scheme="dark") as tab:
        ready(tab)
        for scheme, comparison in (("dark", "< 120"), ("light", "> 700"), ("dark", "< 120")):
            tab.emulate_media(color_scheme=scheme)
            wait_for_paper(tab, comparison)


@needs_browser
def test_the_page_works_on_a_phone(browser, html):
    with opened(
        browser, html, width=390, height=844, has_touch=True, is_mobile=True, device_scale_factor=2
    ) as tab:
        ready(tab)
        assert fits(tab)
        box = tab.locator("#map").bounding_box()
        assert tab.locator("#detail").bounding_box()["y"] > box["y"] + box["height"]
        tab.touchscreen.tap(*position(tab, 8))
        assert tab.locator("#tip").is_visible()
        assert "16" in tab.locator(".card dd >> nth=0").inner_text()
        assert fits(tab)
        tab.tap(".chip[value='0']")
        tab.tap("text=Select all 30")
        tab.fill("#name", "a name that is long enough to be wider than a phone" * 3)
        tab.tap("#keep")
        assert fits(tab)
        tab.evaluate("scrollTo(0, 0)")
        before = tab.evaluate("view.scale")
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        devtools = tab.context.new_cdp_session(tab)
        for kind, apart in (("touchStart", 20), ("touchMove", 60), ("touchEnd", None)):
            fingers = [] if apart is None else [(middle[0] + d, middle[1]) for d in (-apart, apart)]
            points = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(fingers)]
            devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        np.testing.assert_allclose(tab.evaluate("view.scale") / before, 3, rtol=0.05)
        assert chosen(tab) == []


@needs_browser
def test_without_labels_groups_are_exported_without_labels(browser, shown, tmp_path):
    (tmp_path / "page.html").write_text(render_explorer(without_labels(shown)), "utf-8")
    with opened(browser, tmp_path / "page.html", accept_downloads=True) as tab:
        ready(tab)
        assert tab.locator("#colour [type=radio]").count() == 2
        assert tab.locator(".chip").all_inner_texts() == ["0", "1", "2"]
        tab.click(".chip[value='1']")
        assert tab.locator("h2").inner_text().strip() == "Cluster 1"
        tab.click("[role=option] >> nth=0")
        tab.click("text=Select all 24")
        tab.fill("#name", "mine")
        tab.click("#keep")
        with tab.expect_download() as download:
            tab.click("#export")
        header = download.value.path().read_text("utf-8").splitlines()[0]
        assert header == "split,index,group,cluster,overcluster,probability"


@needs_browser
@pytest.mark.parametrize("n", [1, 3])
def test_a_page_of_very_few_images_works(browser, shown, tmp_path, n):
    arrays = ("images", "index", "features", "points", "cluster", "overcluster", "labels", "paths")
    few = dataclasses.replace(shown, **{name: getattr(shown, name)[:n] for name in arrays})
    (tmp_path / "page.html").write_text(render_explorer(few), "utf-8")
    with opened(browser, tmp_path / "page.html") as tab:
        ready(tab).mouse.click(*position(tab, 0))
        tab.click("text=Similar images")
        assert len(rows(tab)) == n - 1


@needs_browser
def test_map_of_10000_images_stays_responsive(browser, shown, tmp_path):
    n, random = 10_000, np.random.default_rng(0)
    cluster, overcluster = random.integers(0, 10, n), random.integers(0, 50, n)
    many = dataclasses.replace(
        without_labels(shown),
        images=np.zeros((n, 28, 28), np.uint8),
        index=np.arange(n),
        features=random.normal(size=(n, 3)),
        points=random.normal(size=(n, 2)),
        cluster=soft(cluster, 10, random.uniform(0.5, 1, n)),
        overcluster=soft(overcluster, 50, random.uniform(0.5, 1, n)),
    )
    (tmp_path / "page.html").write_text(render_explorer(many), "utf-8")
    with opened(browser, tmp_path / "page.html") as tab:
        ready(tab)
        seconds = tab.evaluate(
            """async () => {
              const took = [];
              for (let k = 0; k < 21; k++) {
                pan(k % 2 ? 5 : -5, 0);
                const start = performance.now();
                draw();
                took.push(performance.now() - start);
                await new Promise(requestAnimationFrame);
              }
              return took.sort((a, b) => a - b)[10] / 1000;
            }"""
        )
        # It takes a few milliseconds; the bound allows for busy machines.
        assert seconds < 0.1


def test_indices_of_all_images_of_a_page_fit_into_16_bits():
    assert np.iinfo(np.uint16).max >= MOST_IMAGES
    (limit,) = (option for option in explore.params if option.name == "limit")
    assert limit.type.max == MOST_IMAGES


def test_many_clusters_keep_the_page_small(shown):
    certain = np.full(N, 0.9)
    many = dataclasses.replace(
        shown,
        cluster=soft(np.arange(N) * 3, 300, certain),
        overcluster=soft(np.arange(N) * 6, 600, certain),
        cluster_names=[None] * 300,
        overcluster_names=[None] * 600,
    )
    page = render_explorer(many)
    assert len(page.encode()) < 500_000
    assert data_of(page)["groups"]["overcluster"]["count"] == 600


# The command


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny_params, digits) -> Path:
    """A workspace with an untrained model, and the images and labels of 40 test digits."""
    monkeypatch.chdir(tmp_path)
    # Fitting a map is tested above, and slow on a shared processor.
    monkeypatch.setattr("iic.serving.explore.project", lambda features: features[:, :2])
    save_network(build_network(tiny_params.model), tiny_params.model, tmp_path / "model")
    images = {"train_images": digits.train_images[:0], "test_images": digits.test_images[:40]}
    write_arrays(tmp_path / "data/images.npz", images)
    write_labels(tmp_path / "data/labels.npz", digits.test_labels[:40])
    return tmp_path


def write_labels(path: Path, labels: np.ndarray, paths: list[str] | None = None) -> None:
    arrays = {
        "train_labels": labels[:0],
        "test_labels": labels,
        "names": np.array([f"digit {d}" for d in range(10)] if len(labels) else [], np.str_),
        "train_paths": np.array([], np.str_),
        "test_paths": np.array(paths or [], np.str_),
    }
    write_arrays(path, arrays)


def card() -> ModelCard:
    return ModelCard(
        recipe="tiny",
        seed=3,
        data="digits",
        size="fit",
        ink="auto",
        labels=[f"digit {d}" for d in range(10)],
        clusters=[None, *range(1, 10)],
        overclusters=[4] * 20,
        metrics={},
        weights_sha256=hash_of_weights(Path("model")),
    )


def explored(**options: object) -> dict:
    write_page(Path("model"), "test", options.pop("limit", 100), Path("out.html"))
    return data_of(Path("out.html").read_text("utf-8"))


def test_labels_paths_and_card_are_optional(folder, digits):
    data = explored()
    np.testing.assert_array_equal(array_of(data, "label"), digits.test_labels[:40])
    assert (data["paths"], data["groups"]["cluster"]["names"]) == (None, [])
    write_card(card(), folder / "model-card.json")
    write_labels(
        folder / "data/labels.npz", digits.test_labels[:0], [f"{i}.png" for i in range(40)]
    )
    data = explored()
    assert data["arrays"]["label"] is None
    assert data["paths"][39] == "39.png"
    assert data["groups"]["cluster"]["names"][:2] == [None, "digit 1"]
    assert "digits, recipe tiny, seed 3" in Path("out.html").read_text("utf-8")
    (folder / "data/labels.npz").unlink()
    assert explored()["names"] == []


def test_more_images_than_the_limit_are_sampled_evenly(folder, digits, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    data = explored(limit=14)
    np.testing.assert_array_equal(array_of(data, "index"), np.arange(14) * 3)
    np.testing.assert_array_equal(array_of(data, "label"), digits.test_labels[:40:3])
    assert "14 of 40 test images" in capsys.readouterr().err
    assert "an even sample of 40" in Path("out.html").read_text("utf-8")


def test_files_that_do_not_belong_together_are_named(folder, digits):
    with pytest.raises(InputError, match=r"data/images.npz: contains no train images; .*--split"):
        write_page(Path("model"), "train", 100, Path("out.html"))
    other = card().model_copy(update={"weights_sha256": "0" * 64})
    write_card(other, folder / "model-card.json")
    with pytest.raises(
        InputError, match=r"model-card.json: describes other weights than those in model"
    ):
        explored()
    write_card(card().model_copy(update={"images_sha256": "0" * 64}), folder / "model-card.json")
    with pytest.raises(InputError, match=r"data/images.npz: not the images that model was trained"):
        explored()
    (folder / "model-card.json").unlink()
    write_labels(folder / "data/labels.npz", digits.test_labels[:39])
    with pytest.raises(InputError, match="data/labels.npz: 39 test_labels for 40 images"):
        explored()
    write_labels(folder / "data/labels.npz", np.full(40, 10))
    with pytest.raises(InputError, match="data/labels.npz: test_labels has a label without a name"):
        explored()
    with pytest.raises(InputError, match="nowhere/model.json: not found; run `dvc repro`"):
        write_page(Path("nowhere"), "test", 100, Path("out.html"))
    assert not Path("out.html").exists()


def test_the_command_shows_the_assignments_of_the_pipeline(
    pipeline_run, tmp_path, monkeypatch, capsys, digits
):
    for name in ("model", "data", "reports"):
        shutil.copytree(pipeline_run / name, tmp_path / name)
    (tmp_path / "data/labels.npz").unlink()
    write_labels(tmp_path / "data/labels.npz", digits.test_labels)
    (tmp_path / "data/labels.npz").chmod(0o644)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["iic", "explore", "--out", "page.html"])
    main()
    assert capsys.readouterr().out == "page.html\n"
    data = data_of(Path("page.html").read_text("utf-8"))
    table = read_table(Path("reports/assignments.csv"), text=("split", "path"))
    test = table["split"] == "test"
    for name in ("cluster", "overcluster"):
        np.testing.assert_array_equal(array_of(data, name), table[name][test])
    np.testing.assert_allclose(array_of(data, "probability"), table["probability"][test], atol=1e-5)
    images = read_arrays(Path("data/images.npz"), ["test_images"])["test_images"]
    np.testing.assert_array_equal(array_of(data, "index"), np.arange(len(images)))
    monkeypatch.setattr(sys, "argv", ["iic", "explore", "--model", "nowhere"])
    with pytest.raises(SystemExit, match="^error: nowhere/model.json: not found; run `dvc repro`"):
        main()
