"""YAML 1.2 as DVC reads it, as far as settings need it: no tags, no aliases, no key twice.

The scalars are DVC's: `yes` is a string, 1e-4 a number and 010 ten. What is left out could only
surprise: a tag asks for an object, and a few aliases of aliases for more memory than there is.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import yaml

from iic.core.errors import InputError

# Ten times the committed params.yaml; the parser takes a second or two for it.
MAX_CHARACTERS = 50_000

# As YAML counts lines.
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w.-]{0,60}", re.ASCII)


def _refuse(problem: str, event: Any) -> NoReturn:  # noqa: ANN401 - PyYAML has no types
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


class _Loader(yaml.SafeLoader):
    """Makes nodes, not objects, with the implicit types below and no others."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - PyYAML's
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            _refuse("aliases such as *name are not read; write the value out", event)
        if event.tag is not None:
            _refuse("tags such as !!str are not read; leave it out", event)
        return super().compose_node(parent, index)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first
    )


def read_tree(text: str, source: str) -> dict[str, Any]:
    """Sections and keys of the text of a parameter file or a part of one, not validated yet.

    Args:
        text: YAML; keys are text, whatever they look like.
        source: name of the file, for messages.

    Raises:
        InputError: one line that says where the text is no such YAML.
    """
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"{source}: longer than {MAX_CHARACTERS} characters; is it the right file?"
        )
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        raise InputError(f"{source}: not valid YAML: {_explain(error, text)}") from error
    except (ValueError, OverflowError) as error:
        # PyYAML takes the number in an escape such as "\\U00110000" for one of a character.
        where = _line(text, loader.line if loader else 0)
        raise InputError(
            f"{source}: not valid YAML: {where}: an escape beyond all characters"
        ) from error
    except RecursionError as error:
        raise InputError(f"{source}: not valid YAML: brackets nested too deeply") from error
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{source}: expected sections such as 'loss:' with keys below them")
    return _mapping(node, source, "")


def shown_key(name: str) -> str:
    """A key as it stands in a message: in quotes, and cut, unless it is a plain word."""
    return name if _PLAIN_KEY.fullmatch(name) else shorten(name)


def shorten(value: object) -> str:
    """A value as it stands in a message, on one line and with everything odd escaped."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _value(node: yaml.Node, source: str, path: str) -> object:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, source, f"{path}.")
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, source, f"{path}[{n}]") for n, item in enumerate(node.value)]
    return _SCALARS.get(node.tag.rpartition(":")[2], str)(node.value)


def _mapping(node: yaml.MappingNode, source: str, prefix: str) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise InputError(
                f"{source}: {prefix[:-1] or 'top'}: line {line}: a key should be a word"
            )
        path = prefix + shown_key(key.value)
        if key.value in tree:
            raise InputError(
                f"{source}: {path}: stands in line {lines[key.value]} and again in line {line}; "
                "keep one"
            )
        tree[key.value], lines[key.value] = _value(value, source, path), line
    return tree


def _integer(text: str) -> object:
    """Beyond some thousand digits Python refuses; a text is then no integer for the validation."""
    try:
        return int(text)
    except ValueError:
        return text


_SCALARS: Mapping[str, Callable[[str], object]] = {
    "null": lambda _: None,
    "bool": lambda text: text.lower() == "true",
    "int": _integer,
    # .inf and .nan have a dot that Python's do not.
    "float": lambda text: float(re.sub(r"\.(?=[a-zA-Z])", "", text)),
}


def _explain(error: yaml.YAMLError, text: str) -> str:
    """In which lines, with the begin of each, and what is wrong there."""
    if isinstance(error, yaml.reader.ReaderError):
        number = len(_LINE_BREAK.findall(text, 0, error.position))
        return f"{_line(text, number)}: a character that does not belong into YAML"
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    marks = ((error.context_mark, error.context), (error.problem_mark, error.problem))
    return ", ".join(f"{_line(text, mark.line)}: {what}" for mark, what in marks if mark and what)


def _line(text: str, number: int) -> str:
    lines = [*_LINE_BREAK.split(text), ""]
    return f"line {number + 1} ({shorten(lines[number].strip()[:40])})"
