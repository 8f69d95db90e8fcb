"""HTML pages from templates."""

import json
from importlib.resources import files

from jinja2 import Environment, StrictUndefined


def page_json(content: object) -> str:
    """JSON for a script element of a page, which nothing in it can end."""
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def render_html(package: str, template: str, **values: object) -> str:
    """Fill a template that lies in a package with values; whatever is put in is escaped."""
    text = (files(package) / template).read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text).render(**values)
