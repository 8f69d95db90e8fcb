"""The pages for people: what they name exists, and DVC understands the commands that they give."""

import re
import shlex
from pathlib import Path

import pytest
from conftest import ROOT
from dvc.cli import DvcParserError, parse_args

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def code_of(text: str) -> list[str]:
    """Lines of the shell blocks without what they print, then what stands between backticks."""
    lines = []
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        found = block.splitlines()
        if language == "console":
            found = [line.removeprefix("$ ") for line in found if line.startswith("$ ")]
        if language in ("sh", "console"):
            lines += found
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return lines + re.findall(r"`([^`]+)`", outside.replace("\n", " "))


def dvc_commands(text: str) -> list[list[str]]:
    """Words after `dvc` of each complete command in a page."""
    commands = []
    for line in code_of(text):
        without_substitution = re.sub(r"\$\([^)]*\)", "", line)
        for command in re.split(r"&&|\|(?![^']*')", without_substitution):
            words = re.sub(r"^(\s*[A-Z_]+=\S+)+", "", command).strip()
            if words.startswith("dvc "):
                commands.append(shlex.split(words, comments=True)[1:])
    return commands


def anchors_of(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_dvc_understands_the_commands(page, capsys):
    for words in dvc_commands(page.read_text("utf-8")):
        try:
            parse_args(words)
        except DvcParserError:
            pytest.fail(f"dvc {shlex.join(words)}: {capsys.readouterr().err[-300:]}")


def test_commands_are_found_and_mistakes_noticed():
    block = "```console\n$ A=1 dvc exp run $(a b) -S 'x=[1]' | tail  # why\ndvc no\n```\n"
    assert dvc_commands(f"x `dvc repro` and\n{block}") == [["exp", "run", "-S", "x=[1]"], ["repro"]]
    assert sum(len(dvc_commands(page.read_text("utf-8"))) for page in PAGES) > 10
    with pytest.raises(DvcParserError):
        parse_args(["exp", "shw"])


@pages
def test_every_file_target_and_parameter_that_is_named_exists(page):
    text = page.read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"^make ([a-z]+)", "\n".join(code_of(text)), re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path, anchor in set(re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text)):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors_of(target), anchor
    parameters = (ROOT / "params.yaml").read_text("utf-8")
    for section, key in re.findall(r"-S '?([a-z]+)\.([a-z_]+)=", text):
        assert re.search(rf"^{section}:$", parameters, re.MULTILINE)
        assert re.search(rf"^  {key}:", parameters, re.MULTILINE), key
