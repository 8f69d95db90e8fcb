"""README and docs/: every command, file, parameter and link in them exists."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from conftest import ROOT
from dvc.cli import DvcParserError, parse_args

from iic.cli.main import cli
from iic.experiments.recipes import DEFAULT
from iic.pipeline.paths import CLUSTERING, PIPELINES, SEGMENTATION

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*PAGES, *sorted((ROOT / "reports/studies").glob("*.md"))]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)

# Folders of the repository whose files the pages name.
FOLDERS = "data|docs|iic|model|recipes|reports|requirements|segmentation|stages|studies|tests|tools"
# Files that a command in the pages writes, or that the reader writes.
WRITTEN = {
    "reports/compare.html",
    "reports/explore.html",
    "reports/studies/mine.md",
    "studies/mine.yaml",
}


def code_of(text: str) -> list[str]:
    """Lines of the shell blocks without their output, then the inline code."""
    lines = []
    for language, block in re.findall(
        r"^ *```([^\n`]*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL
    ):
        found = [line.strip() for line in block.splitlines()]
        if language == "console":
            found = [line.removeprefix("$ ") for line in found if line.startswith("$ ")]
        if language in ("sh", "console"):
            lines += found
    outside = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return lines + re.findall(r"`([^`]+)`", re.sub(r"\s*\n\s*", " ", outside))


def commands(text: str, program: str) -> Iterator[list[str]]:
    """Yield the words after the program's name for each of its commands in a page."""
    for line in code_of(text):
        inner = re.findall(r"\$\(([^)]*)\)", line)
        outer = re.sub(r"\$\([^)]*\)", "", line)
        for command in [*re.split(r"&&|;|\|(?![^']*')", outer), *inner]:
            words = re.sub(r"^(\s*[A-Z_]+=\S+)+", "", command).strip()
            if words.startswith(f"{program} "):
                yield shlex.split(words, comments=True)[1:]


def anchors_of(path: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_iic_command(words: list[str]) -> None:
    """Raise click.UsageError unless `iic` has the subcommand with these options."""
    name, *arguments = words
    command = cli.commands.get(name)
    if command is None:
        raise click.UsageError(f"no command {name!r}")
    context = click.Context(command, info_name=name)
    _, rest, _ = command.make_parser(context).parse_args(arguments)
    if rest:
        raise click.UsageError(f"{name}: unexpected {rest}")


def test_readme_has_at_most_180_lines():
    assert len(README.read_text("utf-8").splitlines()) <= 180


def test_commands_are_extracted_from_blocks_and_inline_code():
    block = "```console\n$ A=1 dvc exp run $(iic recipe a) -S 'x=[1]' | tail  # why\ndvc no\n```\n"
    text = f"x `dvc repro` and\n`iic\nseeds`\n{block}"
    assert list(commands(text, "dvc")) == [["exp", "run", "-S", "x=[1]"], ["repro"]]
    assert list(commands(text, "iic")) == [["recipe", "a"], ["seeds"]]


@pytest.mark.parametrize("words", [["chose", "5"], ["choose", "5", "--pair=x"], ["info", "x"]])
def test_unknown_commands_options_and_arguments_are_detected(words):
    with pytest.raises(click.UsageError):
        check_iic_command(words)


@pages
def test_dvc_accepts_every_dvc_command(page, capsys):
    for words in commands(page.read_text("utf-8"), "dvc"):
        try:
            parse_args(words)
        except DvcParserError:
            pytest.fail(f"dvc {shlex.join(words)}: {capsys.readouterr().err[-300:]}")


def test_dvc_rejects_an_unknown_command():
    with pytest.raises(DvcParserError):
        parse_args(["exp", "shw"])
    assert sum(len([*commands(page.read_text("utf-8"), "dvc")]) for page in PAGES) > 10


@pages
def test_every_iic_command_and_option_exists(page):
    for words in commands(page.read_text("utf-8"), "iic"):
        # Not `iic --help`, nor the placeholder in `iic COMMAND --help`.
        if not (words[0].startswith("-") or words[0].isupper()):
            try:
                check_iic_command(words)
            except click.UsageError as error:
                pytest.fail(f"iic {shlex.join(words)}: {error.message}")


@pages
def test_every_recipe_exists(page):
    folders = (ROOT / "recipes", ROOT / "segmentation/recipes")
    known = {DEFAULT, *(path.stem for folder in folders for path in folder.glob("*.yaml"))}
    for words in commands(page.read_text("utf-8"), "iic"):
        if words[0] in ("recipe", "seeds") and len(words) > 1 and not words[1].startswith("-"):
            assert words[1] in known or words[1].isupper(), words


@pages
def test_every_make_target_and_extra_exists(page):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for words in commands(page.read_text("utf-8"), "make"):
        for word in words:
            name, is_variable, value = word.partition("=")
            if name == "EXTRAS":
                for extra in value.split():
                    assert (ROOT / f"requirements/{extra}.txt").is_file(), extra
            elif not is_variable:
                assert re.search(rf"^{re.escape(name)}:", makefile, re.MULTILINE), name


@pages
def test_every_python_module_exists(page):
    for words in commands(page.read_text("utf-8"), "python -m"):
        name = words[1]
        if name.partition(".")[0] in ("iic", "stages", "tools"):
            assert importlib.util.find_spec(name), name


@pages
def test_every_file_exists(page):
    outputs = [*declared_outputs(), "data", "model"]
    for code in code_of(page.read_text("utf-8")):
        for word in code.split():
            path = word.strip("'\",:").rstrip("/")
            if not re.fullmatch(rf"(?:{FOLDERS})/[\w.*/-]+", path) or path in WRITTEN:
                continue
            is_output = any(path == out or path.startswith(f"{out}/") for out in outputs)
            assert is_output or [*ROOT.glob(path)], path


def declared_outputs() -> list[str]:
    """Paths of all outputs of both pipelines."""
    stages = [
        stage
        for pipeline in PIPELINES
        for stage in yaml.safe_load((ROOT / pipeline.stages).read_text("utf-8"))["stages"].values()
    ]
    outputs = [
        out for s in stages for kind in ("outs", "metrics", "plots") for out in s.get(kind, [])
    ]
    return [out if isinstance(out, str) else next(iter(out)) for out in outputs]


@pages
def test_every_parameter_exists(page):
    pipeline = SEGMENTATION if page.name == "segmentation.md" else CLUSTERING
    parameters = yaml.safe_load((ROOT / pipeline.params).read_text("utf-8"))
    sections = {name: keys for name, keys in parameters.items() if isinstance(keys, dict)}
    for code in code_of(page.read_text("utf-8")):
        for section, key in re.findall(r"(?:^|-S '?)([a-z]+)\.([a-z_]+)(?:$|=)", code):
            if section in sections and key not in ("json", "npz"):
                assert key in sections[section], f"{section}.{key}"


@pytest.mark.parametrize("page", LINKED, ids=lambda path: path.name)
def test_every_internal_link_and_anchor_resolves(page):
    text = page.read_text("utf-8")
    for path, anchor in set(re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text)):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors_of(target), f"{path}#{anchor}"
