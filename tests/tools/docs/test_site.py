"""Configuration of the documentation site; `make docs` builds the site."""

import importlib.util
import re

import pytest
from conftest import ROOT

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def conf():
    spec = importlib.util.spec_from_file_location("docs_conf", DOCS / "conf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("link", "page"),
    [
        ("[x](docs/own-data.md#predict)", "[x](own-data.md#predict)"),
        ("[x](README.md)", "[x](overview.md)"),
        ("[x](CHANGELOG.md#changed)", "[x](changelog.md#changed)"),
        ("[x](reports/studies/moves.md)", "[x](study-moves.md)"),
        ("[`a` [1]](params.yaml)", "[`a` [1]](repository:params.yaml.html)"),
        ("[x](reports/index.html)", "[x](repository:reports/index.html)"),
        ("[files](recipes/)", "files"),
    ],
)
def test_links_to_repository_files_lead_to_pages_of_the_site(conf, link, page):
    assert conf.localise(link, ROOT) == page


@pytest.mark.parametrize(
    "text",
    [
        "[x](https://example.org)",
        "[x](#anchor)",
        "[x](missing.md)",
        "![x](reports/figures/training.gif)",
        "[x](../outside.md)",
    ],
)
def test_other_links_and_images_are_kept(conf, text):
    assert conf.localise(text, ROOT) == text


def test_links_are_relative_to_the_folder_of_the_file(conf):
    assert conf.localise("[x](../README.md) [y](speed.md)", DOCS).startswith("[x](overview.md)")
    assert conf.localise("[x](article.md)", ROOT / "reports/studies") == "[x](study-article.md)"


@pytest.mark.parametrize(
    ("docstring", "rst"),
    [
        ("Read `a*b` and *.partial.", r"Read ``a*b`` and \*.partial."),
        ("Use ``code``.", "Use ``code``."),
        ("The name_ and |x|, not p_ij.", r"The name\_ and \|x\|, not p_ij."),
        ("A backslash \\ stays.", r"A backslash \\ stays."),
    ],
)
def test_docstrings_are_plain_text_with_code_in_backticks(conf, docstring, rst):
    lines = docstring.split("\n")
    conf.plain_docstring(None, "", "", None, None, lines)
    assert "\n".join(lines) == rst


def test_reference_has_a_section_for_each_module_of_a_sub_package(conf):
    text = conf._reference_of("iic.training")
    modules = {path.stem for path in (ROOT / "iic/training").glob("[!_]*.py")}
    assert set(re.findall(r"automodule:: iic\.training\.(\w+)", text)) == modules


def test_reference_lists_all_sub_packages(conf):
    page = (DOCS / "api.md").read_text("utf-8")
    assert set(re.findall(r"^api/(.+)$", page, re.MULTILINE)) == set(conf._packages())
    assert set(re.findall(r"\{py:mod\}`(.+?)`", page)) == set(conf._packages())


def test_index_lists_every_page(conf):
    text = (DOCS / "index.md").read_text("utf-8")
    listed = set(re.findall(r"^[^\n<>|]+ <([\w-]+)>$", text, re.MULTILINE))
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    assert pages <= listed


def test_included_files_exist_and_have_pages(conf):
    for path, page in conf.INCLUDED.items():
        assert f"{{include}} ../{path}\n" in (DOCS / page).read_text("utf-8")
        assert (ROOT / path).is_file()


def test_examples_of_a_command_keep_their_columns(conf):
    lines = ["Text.", "", "| iic info    metrics", "| iic explore  map", "", "End."]
    conf.literal_examples(None, None, lines)
    block = [".. code-block:: text", "", "   iic info    metrics", "   iic explore  map"]
    assert lines == ["Text.", "", *block, "", "End."]
