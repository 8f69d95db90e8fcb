"""Configuration of the documentation site; `make docs` builds it into docs/_build."""

import html
import os
import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))
# TensorFlow logs notes on the processor when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

project = "IIC"
author = "IIC contributors"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's name

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_click",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "jupyter_execute"]

# The build is strict (`-W`): a link to a missing page, heading or module stops it.
nitpicky = True
# Names of other libraries, which have no index here since the build needs no network, and private
# names.
nitpick_ignore_regex = [("py:.*", r"(?!iic\b).*|.*\._.*")]

# Single backticks mark code, and two hyphens begin an option.
default_role = "code"
smartquotes_action = "qe"

# Links to headings work as they do on the repository's web page.
myst_heading_anchors = 4
myst_url_schemes = {
    **dict.fromkeys(("http", "https", "mailto")),
    "repository": {"url": "repository/{{path}}"},
}

# The notebook runs in each build. An error ends the build, and so does anything that it writes to
# standard error, since warnings are errors.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 1800
nb_output_stderr = "warn"
nb_merge_streams = True

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
napoleon_use_rtype = False
autodoc_typehints = "signature"
# Optional libraries may not be installed. TensorFlow is imported: annotations use its types.
autodoc_mock_imports = ["ai_edge_litert", "onnx", "onnxruntime", "ray", "tf2onnx"]
add_module_names = False
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = "IIC"
html_copy_source = False
html_show_sphinx = False
copybutton_exclude = ".linenos, .gp, .go"

# Files outside docs/ that pages of the site include, as `path: page`.
INCLUDED = {
    "README.md": "overview.md",
    "CHANGELOG.md": "changelog.md",
    "reports/studies/article.md": "study-article.md",
    "reports/studies/article-recipe.md": "study-article-recipe.md",
    "reports/studies/moves.md": "study-moves.md",
}
# Other files of the repository that a page links to: they become pages under repository/.
_shown: set[str] = set()
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")


def localise(text: str, folder: Path) -> str:
    """Rewrite links to the repository's files so that they work in the site.

    Args:
        text: Markdown text.
        folder: Folder of the file that holds the text; its links are relative to it.

    Returns:
        The text with links to pages of the site, and to `repository:` for other files. Links to
        folders become plain text; links to missing files stay, so that the build reports them.
    """

    def rewritten(match: re.Match[str]) -> str:
        label, link, anchor = match[1], match[2], match[3] or ""
        target = (folder / link).resolve()
        if not target.exists() or not target.is_relative_to(ROOT):
            return match[0]
        name = target.relative_to(ROOT).as_posix()
        if name in INCLUDED:
            return f"[{label}]({INCLUDED[name]}{anchor})"
        if target.is_relative_to(DOCS):
            return f"[{label}]({target.relative_to(DOCS).as_posix()}{anchor})"
        if target.is_dir():
            return label
        _shown.add(name)
        return f"[{label}](repository:{_page_of(name)})"

    return _LINK.sub(rewritten, text)


def _page_of(name: str) -> str:
    return name if name.endswith(".html") else f"{name}.html"


def localise_page(_: "Sphinx", docname: str, source: list[str]) -> None:
    """Rewrite the links of a page."""
    if not docname.startswith("api/"):
        source[0] = localise(source[0], DOCS)


def localise_included(_: "Sphinx", path: Path, __: str, source: list[str]) -> None:
    """Rewrite the links of a file that a page includes."""
    source[0] = localise(source[0], (DOCS / path).parent)


def repository_pages(app: "Sphinx") -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield a page with the text of each file of the repository that a page links to."""
    formatter = HtmlFormatter(prestyles="white-space: pre-wrap")
    for name in sorted(_shown):
        if name.endswith(".html"):
            copy = Path(app.outdir, "repository", name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())
            continue
        text = (ROOT / name).read_text("utf-8")
        try:
            lexer = get_lexer_for_filename(name)
        except ClassNotFound:
            lexer = TextLexer()
        body = f"<h1><code>{html.escape(name)}</code></h1>{highlight(text, lexer, formatter)}"
        yield (
            posixpath.join("repository", name),
            {"title": name, "body": body, "parents": []},
            "page.html",
        )


def write_reference(_: "Sphinx") -> None:
    """Write docs/api/, a page for each sub-package with a section for each of its modules."""
    folder = DOCS / "api"
    folder.mkdir(exist_ok=True)
    pages = {f"{package}.rst": _reference_of(package) for package in _packages()}
    for path in folder.iterdir():
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def _packages() -> list[str]:
    inits = sorted((ROOT / "iic").rglob("*/__init__.py"))
    return [".".join(path.relative_to(ROOT).parts[:-1]) for path in inits]


def _reference_of(package: str) -> str:
    files = sorted((ROOT / package.replace(".", "/")).glob("[!_]*.py"))
    modules = [f"{package}.{path.stem}" for path in files]
    sections = [f"{name}\n{'-' * len(name)}\n\n.. automodule:: {name}\n" for name in modules]
    title = f"{package}\n{'=' * len(package)}\n\n.. automodule:: {package}\n"
    return "\n".join([title, *sections])


_CODE = re.compile(r"(`+[^`]+`+)")
_MARKUP = re.compile(r"\\|\*+|\||(?<=\w)_(?!\w)")


def plain_docstring(
    _: "Sphinx", __: str, ___: str, ____: object, _____: object, lines: list[str]
) -> None:
    """Prepare a docstring for Sphinx: backticks mark code, other characters are plain text."""
    parts = _CODE.split("\n".join(lines))
    parts[1::2] = [f"``{part.strip('`')}``" for part in parts[1::2]]
    parts[::2] = [_MARKUP.sub(_escaped, part) for part in parts[::2]]
    lines[:] = "".join(parts).split("\n")


def literal_examples(_: "Sphinx", __: object, lines: list[str]) -> None:
    """Keep the columns of examples in the description of a command."""
    examples = [line.startswith("| ") for line in lines]
    texts = [line.removeprefix("| ") for line in lines]
    if any(examples):
        lines[:] = [f"   {t}" if is_one else t for t, is_one in zip(texts, examples, strict=True)]
        first = examples.index(True)
        lines[first:first] = [".. code-block:: text", ""]


def without_aliases(
    _: "Sphinx", __: str, ___: str, member: object, skip: bool, ____: object
) -> bool | None:
    """Skip the fields of named tuples, whose docstrings only repeat their number."""
    alias = (getattr(member, "__doc__", None) or "").startswith("Alias for field number")
    return True if alias or skip else None


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"\\{character}" for character in match[0])


def setup(app: "Sphinx") -> None:
    """Connect the functions above to Sphinx's events."""
    # The diagram in README.md is shown as text: drawing it needs a script from the network.
    app.add_lexer("mermaid", TextLexer)
    app.connect("builder-inited", write_reference)
    app.connect("source-read", localise_page)
    app.connect("include-read", localise_included)
    app.connect("html-collect-pages", repository_pages)
    app.connect("sphinx-click-process-description", literal_examples)
    app.connect("autodoc-skip-member", without_aliases)
    # Before napoleon, which reads the sections of a docstring.
    app.connect("autodoc-process-docstring", plain_docstring, priority=100)
