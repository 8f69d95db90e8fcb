"""HTML pages from templates."""

import json

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def page_json(content: object) -> str:
    """Serialise content as JSON for a script element; no text in it can close the element."""
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def render_html(package: str, template: str, **values: object) -> str:
    """Render a Jinja template of a package; values are HTML-escaped.

    The template may use those of this package: `page.html.j2`, the frame of a report, and
    `macros.html.j2`, its parts.

    Args:
        package: Name of the package that contains the template.
        template: File name of the template.
        values: Variables of the template; a variable without a value raises an error.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name, "") for name in (package, __package__)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
