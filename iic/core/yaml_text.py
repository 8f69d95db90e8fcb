"""Parameter text: YAML 1.2 with DVC's scalars, without tags, anchors and repeated keys.

DVC parses with ruamel.yaml, and so does this module: `yes` is a string, 1e-4 a number and 010 ten.
Tags ask for Python objects, and anchors and aliases can exhaust the memory, so all are refused.
"""

import re
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.reader import ReaderError

from iic.core.errors import InputError, reason_of, shorten

# Ten times the committed params.yaml, which takes about a second to parse.
MAX_CHARACTERS = 50_000
# Levels of nesting; a grid needs five.
_MAX_DEPTH = 50
# A longer number is read as text, since Python cannot print all integers of thousands of digits.
_MAX_DIGITS = 1000


def _refuse(problem: str, item: Any) -> NoReturn:  # noqa: ANN401 - an event or a node
    raise MarkedYAMLError(None, None, problem, item.start_mark)


class _Composer(Composer):
    def get_single_node(self) -> Node | None:
        try:
            return super().get_single_node()
        except YAMLError:
            raise
        except Exception as error:
            # The scanner lets some errors of Python through, such as that of an impossible escape.
            problem = f"cannot be read ({reason_of(error)})"
            raise MarkedYAMLError(None, None, problem, self.loader.reader.get_mark()) from error

    def compose_node(self, parent: Node | None, index: object) -> Node:
        event = self.parser.peek_event()
        if event.anchor is not None:
            _refuse("anchors and aliases (&name, *name) are not supported; repeat the value", event)
        if event.tag is not None:
            _refuse("tags such as !!str are not supported; remove the tag", event)
        if self.depth == _MAX_DEPTH:
            _refuse("brackets nested too deeply", event)
        return super().compose_node(parent, index)


class _Constructor(SafeConstructor):
    def construct_object(self, node: Node, deep: bool = False) -> object:
        if isinstance(node, ScalarNode) and len(node.value) > _MAX_DIGITS:
            return node.value
        try:
            return super().construct_object(node, deep)
        except (ValueError, IndexError):
            return node.value  # `+_` has the form of a number, but is none.

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[str, Any]:  # noqa: ARG002
        tree: dict[str, Any] = {}
        marks: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                _refuse("a key should be a word", key)
            name = key.value
            if name in tree:
                twice, again = f"the key {shorten(name)}", "the same key again; keep one"
                raise MarkedYAMLError(twice, marks[name], again, key.start_mark)
            marks[name] = key.start_mark
            tree[name] = self.construct_object(value, deep=True)
        return tree


# ruamel.yaml would read dates and the words `<<` and `=` in ways that DVC's files do not use.
for _kind in ("timestamp", "merge", "value"):
    _Constructor.add_constructor(f"tag:yaml.org,2002:{_kind}", SafeConstructor.construct_yaml_str)


def read_tree(text: str, source: str) -> dict[str, Any]:
    """Parse the text of a parameter file, or a part of one, without validating the values.

    Args:
        text: YAML. All keys are read as text, also those that look like numbers.
        source: Name of the file, for messages.

    Returns:
        Nested sections and keys.

    Raises:
        InputError: One line that names the place and the problem.
    """
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"{source}: longer than {MAX_CHARACTERS} characters; is it the right file?"
        )
    parser = YAML(typ="safe", pure=True)
    parser.Composer, parser.Constructor = _Composer, _Constructor
    try:
        tree = parser.load(text)
    except YAMLError as error:
        raise InputError(f"{source}: not valid YAML: {_explain(error, text)}") from error
    if not isinstance(tree, dict):
        raise InputError(f"{source}: expected sections such as 'loss:' with keys below them")
    return tree


def _explain(error: YAMLError, text: str) -> str:
    """Describe a syntax error by its lines, the beginning of each, and the problem there."""
    if isinstance(error, ReaderError):
        number = len(_lines(text[: error.position])) - 1
        return f"{_line(text, number)}: a character that YAML does not allow"
    if not isinstance(error, MarkedYAMLError):
        return reason_of(error)
    marks = ((error.context_mark, error.context), (error.problem_mark, error.problem))
    return ", ".join(
        f"{_line(text, mark.line)}: {reason_of(what)}" for mark, what in marks if mark and what
    )


def _line(text: str, number: int) -> str:
    lines = [*_lines(text), ""]
    return f"line {number + 1} ({shorten(lines[number].strip()[:40])})"


def _lines(text: str) -> list[str]:
    """Split text into lines as YAML 1.2 counts them."""
    return re.split("\r\n|[\n\r]", text)
