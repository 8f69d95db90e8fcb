"""HTML pages from templates."""

import json
from importlib.resources import files

from jinja2 import Environment, StrictUndefined


def page_json(content: object) -> str:
    """Serialise content as JSON for a script element; no text in it can close the element."""
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def render_html(package: str, template: str, **values: object) -> str:
    """Render a Jinja template of a package; values are HTML-escaped.

    Args:
        package: Name of the package that contains the template.
        template: File name of the template.
        values: Variables of the template; a variable without a value raises an error.
    """
    text = (files(package) / template).read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text).render(**values)
