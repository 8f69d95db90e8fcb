"""HTML pages from the templates of this package."""

from importlib.resources import files

from jinja2 import Environment, StrictUndefined


def render_html(template: str, **values: object) -> str:
    """Fill the template of that name with values; whatever is put in is escaped."""
    text = (files("iic") / "templates" / template).read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text).render(**values)
