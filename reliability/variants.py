"""Parameter files that are invalid for sure, each with what its refusal has to name."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import yaml
from hypothesis import strategies as st

from stages.common import PARAMS

# A section's name, "" for none, and a key's.
Leaf = tuple[str, str]


@dataclass(frozen=True)
class Variant:
    """An invalid parameter file.

    Attributes:
        kind: of the mistake, in a word or two.
        says: what was done, for people.
        content: of the file.
        named: regular expressions, each of which has to be found in the refusal.
    """

    kind: str
    says: str
    content: bytes
    named: tuple[str, ...]


@cache
def text() -> str:
    """The committed file that all variants start from."""
    return PARAMS.read_text("utf-8")


@cache
def leaves() -> Mapping[Leaf, object]:
    """All keys and their committed values."""
    tree = yaml.safe_load(text())
    return {
        leaf: value
        for section, keys in tree.items()
        for leaf, value in (
            {(section, name): value for name, value in keys.items()}
            if isinstance(keys, dict)
            else {("", section): keys}
        ).items()
    }


def dotted(leaf: Leaf) -> str:
    """("loss", "alpha") -> "loss.alpha"."""
    return ".".join(filter(None, leaf))


def line_of(leaf: Leaf) -> int:
    """Index of the key's line in the file."""
    section, name = leaf
    lines = text().split("\n")
    start = lines.index(f"{section}:") if section else 0
    indent = "  " if section else ""
    return next(n for n in range(start, len(lines)) if lines[n].startswith(f"{indent}{name}:"))


def with_line(leaf: Leaf, *new: str) -> bytes:
    """The file with other lines in place of a key's."""
    lines, number = text().split("\n"), line_of(leaf)
    lines[number : number + 1] = new
    return "\n".join(lines).encode(errors="surrogatepass")


def with_value(leaf: Leaf, value: str) -> bytes:
    """The file with the text of another value for a key."""
    return with_line(leaf, f"{'  ' if leaf[0] else ''}{leaf[1]}: {value}")


_NULLABLE = ("data.local_dir", "loss.alpha_final", "train.second_seed")
_NO_SCALAR = ("{}", "{a: 1}", "[[1]]", "[{x: [y]}]", "{[]: 1, 2: 3}")
_NO_TEXT = (
    '""',
    "true",
    "1.5",
    ".nan",
    '"a\\nb"',
    '"\\0"',
    '"\\e[31mred"',
    '"\\u2028"',
    "x" * 5000,
)
_NO_NAME = ("", "x", "7", "[mnist]", "<b>", "'; drop'", '"\\0"', "мнист", "true", ".inf")
_NO_NUMBER = (
    *(
        "high",
        "1,5",
        "1_000",
        "0x10",
        "0o17",
        "1:30",
        "5%",
        '"1.0"',
        "1e",
        "++1",
        "1 000",
        "½",
        "١",
    ),
    *("true", ".nan", ".inf", "-.inf", "-1", "-0.5", "-1e-300", "1e309", "1e12", "9" * 400),
    *("9" * 5000, "2024-01-01", '"\\0"', "<script>", "=1+1"),
)
_NO_INTEGER = ("6.5", "6.0", "1e3", "1.", "99999999999999999999")
_NO_LIST = (
    "noise",
    "5",
    "true",
    '"[1]"',
    "{noise: 1}",
    "[[noise]]",
    "[null]",
    "[1.5]",
    "[x]",
    "[-1]",
)


def _no_values(leaf: Leaf, value: object) -> Sequence[str]:
    """Texts of values that the key cannot have."""
    null = () if dotted(leaf) in _NULLABLE else ("null", "~", "")
    if isinstance(value, list):
        more = ("[9999]", "[0]") if "widths" in leaf[1] else ("[noise, noise]", "[Noise]")
        return (*_NO_LIST, *null, *more)
    if isinstance(value, bool):
        return (
            *_NO_SCALAR,
            *null,
            "yes",
            "no",
            "on",
            "1",
            "0",
            "0.0",
            '"true"',
            "tRue",
            "y",
            "[true]",
        )
    if dotted(leaf) in ("recipe", "data.path", "data.local_dir", "report.label"):
        return (*_NO_SCALAR, *_NO_TEXT, *null)
    if isinstance(value, str):
        return (*_NO_SCALAR, *_NO_NAME)
    whole = isinstance(value, int) or dotted(leaf) == "train.second_seed"
    return (*_NO_SCALAR, *_NO_NUMBER, *null, *(_NO_INTEGER if whole else ()))


@st.composite
def wrong_value(draw: st.DrawFn) -> Variant:
    """A key with a value of another type or out of its range."""
    leaf = draw(st.sampled_from(list(leaves())))
    value = draw(st.sampled_from(_no_values(leaf, leaves()[leaf])))
    named = re.escape(f"params.yaml: {dotted(leaf)}") + r"(\[\d\])*: "
    return Variant("value", f"{dotted(leaf)}: {value[:40]}", with_value(leaf, value), (named,))


@st.composite
def wrong_number(draw: st.DrawFn) -> Variant:
    """A number that no key can have."""
    is_number = lambda v: isinstance(v, int | float) and not isinstance(v, bool)  # noqa: E731
    leaf = draw(st.sampled_from([leaf for leaf, value in leaves().items() if is_number(value)]))
    below = st.floats(max_value=0, exclude_max=True, allow_infinity=False)
    number = draw(
        st.one_of(below, st.floats(min_value=1e10), st.integers(2**31), st.integers(max_value=-1))
    )
    value = str(number).replace("inf", ".inf")
    named = re.escape(f"params.yaml: {dotted(leaf)}: ")
    return Variant("number", f"{dotted(leaf)}: {value[:40]}", with_value(leaf, value), (named,))


@st.composite
def two_mistakes(draw: st.DrawFn) -> Variant:
    """Two keys with wrong values; both have to be named."""
    first, second = draw(
        st.lists(st.sampled_from(list(leaves())), min_size=2, max_size=2, unique=True)
    )
    lines = text().split("\n")
    for leaf in (first, second):
        lines[line_of(leaf)] = (
            f"{'  ' if leaf[0] else ''}{leaf[1]}: {{wrong: {draw(st.integers(0, 99))}}}"
        )
    named = tuple(re.escape(f"params.yaml: {dotted(leaf)}: ") for leaf in (first, second))
    says = f"{dotted(first)} and {dotted(second)} are sections"
    return Variant("two mistakes", says, "\n".join(lines).encode(), named)


def _escaped(name: str) -> str:
    """How a strange name may begin in a message: as it is if it is plain, in quotes otherwise."""
    return f"({re.escape(name)}|{re.escape(repr(name)[:40])})"


@st.composite
def unknown_key(draw: st.DrawFn) -> Variant:
    """A key that nobody knows: a word, markup, control characters, anything."""
    known = {name for leaf in leaves() for name in leaf}
    strange = st.sampled_from(
        [
            "a\nb",
            "\x1b[31m",
            "<script>",
            "=1+1",
            "a: b",
            "a.b",
            "1",
            "null",
            "~",
            "<<",
            "=",
            " ",
            "\u202e",
            "k" * 500,
        ]
    )
    name = draw(st.one_of(strange, st.text(max_size=20)).filter(lambda name: name not in known))
    leaf = draw(st.sampled_from(list(leaves())))
    indent, prefix = ("  ", f"{leaf[0]}.") if leaf[0] else ("", "")
    line = text().split("\n")[line_of(leaf)]
    content = with_line(leaf, line, f"{indent}{json.dumps(name)}: 1")
    named = re.escape(f"params.yaml: {prefix}") + _escaped(name)
    return Variant("unknown key", f"{prefix}{name!r}", content, (named, "unknown key"))


@st.composite
def misspelt_key(draw: st.DrawFn) -> Variant:
    """A key with a letter too many."""
    leaf = draw(st.sampled_from(list(leaves())))
    at, letter = draw(st.integers(0, len(leaf[1]))), draw(st.sampled_from("aeiouxyz_"))
    name = f"{leaf[1][:at]}{letter}{leaf[1][at:]}"
    line = text().split("\n")[line_of(leaf)]
    content = with_line(leaf, line.replace(leaf[1], name, 1))
    wrong = dotted((leaf[0], name))
    named = (re.escape(f": {wrong}: unknown key"), re.escape(f": {dotted(leaf)}: missing"))
    return Variant("misspelt key", wrong, content, named)


@st.composite
def missing_key(draw: st.DrawFn) -> Variant:
    """A key or a whole section that is not there."""
    leaf = draw(st.sampled_from(list(leaves())))
    if not leaf[0] or draw(st.booleans()):
        only = [name for section, name in leaves() if section == leaf[0]] == [leaf[1]]
        named = f"{leaf[0]}: None should be" if only else f"{dotted(leaf)}: missing"
        return Variant("missing key", dotted(leaf), with_line(leaf), (re.escape(f": {named}"),))
    kept = [part for part in text().split("\n\n") if not part.startswith(f"{leaf[0]}:")]
    return Variant(
        "missing section", leaf[0], "\n\n".join(kept).encode(), (f": {leaf[0]}: missing",)
    )


@st.composite
def repeated_key(draw: st.DrawFn) -> Variant:
    """A key or a section that stands there twice."""
    leaf = draw(st.sampled_from(list(leaves())))
    if leaf[0] and draw(st.booleans()):
        content = f"{text()}{leaf[0]}:\n  {leaf[1]}: 1\n".encode()
        return Variant(
            "repeated section", f"{leaf[0]}, {leaf[1]}", content, (f": {leaf[0]}: stands in",)
        )
    line = text().split("\n")[line_of(leaf)]
    again = draw(st.sampled_from([line, f"{line.partition(':')[0]}: 5.0"]))
    named = re.escape(f": {dotted(leaf)}: stands in line ")
    return Variant(
        "repeated key", f"{dotted(leaf)}, {again}", with_line(leaf, line, again), (named,)
    )


def _near(leaf: Leaf) -> str:
    """The line of a key, or one beside it: where YAML first sees that something is wrong."""
    number = line_of(leaf) + 1
    return rf"line ({number - 1}|{number}|{number + 1})\b"


@st.composite
def broken_line(draw: st.DrawFn) -> Variant:
    """A line that is no YAML any more, or YAML that would ask for an object or for all memory."""
    leaf = draw(st.sampled_from([leaf for leaf in leaves() if leaf[0] not in ("", "report")]))
    section, name = leaf
    line = text().split("\n")[line_of(leaf)]
    value = line.partition(":")[2]
    broken = {
        "a space too many": f"   {line.strip()}",
        "a space too few": f" {line.strip()}",
        "a tab": f"\t{line.strip()}",
        "no colon": f"  {name}{value}",
        "two colons": f"  {name}: {name}: 1",
        **{f"begins with {sign}": f"  {name}: {sign}{value}" for sign in ("[", "{", '"', "'", "@", "`", "%")},
        "closed too early": f"  {name}: ]",
        "a dash": f"  - {name}: 1",
        "an unknown alias": f"  {name}: *nobody",
        "an alias of itself": f"  {name}: &me [*me]",
        **{f"the tag {tag}": f"  {name}: {tag} [id]" for tag in (
            "!!python/object/apply:os.system", "!!python/name:os.system", "!!set", "!!omap", "!own", "!")},
        **{f"the tag {tag}": f"  {name}: {tag} x" for tag in ("!!int", "!!bool", "!!timestamp", "!!binary", "!!float", "!!str")},
        "a merge": f"  !!merge <<: {{{name}: 1}}",
        "a half character": f'  {name}: "\\ud800"',
        "an escape that is none": f'  {name}: "\\q"',
        "a list as a key": f"  [{name}]: 1",
        "a section as a key": f"  ? {{{name}: 1}}\n  : 1",
    }  # fmt: skip
    how = draw(st.sampled_from(list(broken)))
    # A key of its own is named where the line as such is whole.
    named = f"{_near(leaf)}|params.yaml: {re.escape(dotted(leaf))}: "
    return Variant("broken line", f"{dotted(leaf)}: {how}", with_line(leaf, broken[how]), (named,))


@st.composite
def odd_bytes(draw: st.DrawFn) -> Variant:
    """Bytes that do not belong into YAML, somewhere."""
    content = text().encode()
    at = draw(st.integers(0, len(content)))
    strange = draw(
        st.sampled_from(
            [
                b"\0",
                b"\x07",
                b"\x1b",
                b"\x7f",
                b"\xff",
                b"\x80",
                b"\xc3(",
                b"\xed\xa0\x80",
                b"\xef\xbf\xbe",
            ]
        )
    )
    line = content.count(b"\n", 0, at) + 1
    says = f"{strange!r} at {at}"
    return Variant("odd bytes", says, content[:at] + strange + content[at:], (rf"line {line}\b",))


@st.composite
def cut_off(draw: st.DrawFn) -> Variant:
    """A file that ends too early, as an editor or a full disk may leave it."""
    at = draw(st.integers(0, text().index("  label:")))
    return Variant(
        "cut off",
        f"after {at}",
        text()[:at].encode(),
        (r"missing|line \d|expected sections|report: None",),
    )


@st.composite
def contradiction(draw: st.DrawFn) -> Variant:
    """Keys that are valid alone and not together."""
    number = draw(st.integers(0, 2**31 - 1))
    low, high = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    cases: Mapping[str, Mapping[Leaf, object]] = {
        "train.second_seed": {("", "seed"): number, ("train", "second_seed"): number},
        "augment.views": {("augment", "views"): 1, ("augment", "rotation"): low},
        "loss.alpha_falls_until": {
            ("loss", "alpha_falls_from"): high,
            ("loss", "alpha_falls_until"): low,
        },
        "committee.members": {
            ("committee", "members"): number % 100 + 1,
            ("loss", "teaching_weight"): 0.0,
        },
        "augment.ops": {
            ("augment", "ops"): f"[noise, noise, {'rotation' if number % 2 else 'distortion'}]",
            ("augment", "shear"): high,
        },
    }
    key = draw(st.sampled_from(list(cases)))
    lines = text().split("\n")
    for leaf, value in cases[key].items():
        lines[line_of(leaf)] = f"{'  ' if leaf[0] else ''}{leaf[1]}: {value}"
    says = ", ".join(f"{dotted(leaf)}: {value}" for leaf, value in cases[key].items())
    return Variant("contradiction", says, "\n".join(lines).encode(), (re.escape(f": {key}: "),))


def _bomb(levels: int, fan: int, merge: bool) -> str:
    """Aliases of aliases: fan ** levels values."""
    names = [f"a{level}" for level in range(levels)]
    first = "{x: 1}" if merge else "[x]"
    lines = [f"{names[0]}: &{names[0]} {first}"]
    for name, below in zip(names[1:], names, strict=False):
        many = f"[{', '.join([f'*{below}'] * fan)}]"
        lines.append(f"{name}: &{name} {{<<: {many}}}" if merge else f"{name}: &{name} {many}")
    return "\n".join(lines) + "\n"


@st.composite
def too_much(draw: st.DrawFn) -> Variant:
    """More than a parser can take: aliases of aliases, brackets in brackets, megabytes."""
    number = draw(st.integers(2, 60))
    cases: Mapping[str, Callable[[], tuple[str, str]]] = {
        "bomb": lambda: (_bomb(number, 9, merge=False) + text(), "line 2 .*aliases"),
        "merging bomb": lambda: (_bomb(number, 9, merge=True) + text(), "line 2 .*aliases"),
        "deep list": lambda: ("deep: " + "[" * 300 * number + "]" * 300 * number + "\n" + text(), "nested|deep|longer"),
        "deep section": lambda: ("deep: " + "{a: " * 300 * number + "\n" + text(), "nested|line|longer"),
        "deep dashes": lambda: ("deep:\n " + "- " * 300 * number + "x\n" + text(), "nested|deep|longer"),
        "long comment": lambda: (text() + "#" * 10**5 * number, "longer"),
        "long name": lambda: (f"{'k' * 700 * number}: 1\n{text()}", "unknown key|longer|line 1"),
        "many keys": lambda: ("".join(f"k{n}: 1\n" for n in range(80 * number)) + text(), "k0: unknown|longer"),
        "many names": lambda: (text().replace("[rotation", f"[{'noisy, ' * 100 * number}rotation", 1), r"augment\.ops\[0\]: unknown|longer"),
        "many digits": lambda: (with_value(("", "seed"), "7" * 700 * number).decode(), "seed: |longer"),
        "many lines": lambda: (text() + "\n" * 20_000 * number, "longer"),
    }  # fmt: skip
    what = draw(st.sampled_from(list(cases)))
    content, named = cases[what]()
    return Variant("too much", f"{what}, {number}", content.encode(), (named,))


@st.composite
def other_shape(draw: st.DrawFn) -> Variant:
    """Whole files of something else."""
    word = draw(st.from_regex(r"[a-z]{1,8}", fullmatch=True))
    whole = f"{text()}--- \n{word}: 1\n"
    cases = {
        "empty": (b"", "expected sections"),
        "words": (f"{word} of nothing".encode(), "expected sections"),
        "a list": (f"- {word}\n- 2\n".encode(), "expected sections"),
        "a number": (str(len(word)).encode(), "expected sections"),
        "comments": (f"# {word}\n".encode(), "expected sections"),
        "two documents": (whole.encode(), r"line \d+"),
        "UTF-16": (text().encode("utf-16"), "line 1"),
        "JSON lines": (b'{"recipe": "x"}\n{"seed": 1}', r"line \d+"),
        "a script": (f"#!/bin/sh\necho {word} > out\n".encode(), "expected sections"),
        "HTML": (f"<html><body>{word}: <b>1</b></body></html>".encode(), "unknown key|expected"),
        "TOML": (f'[data]\nname = "{word}"\n'.encode(), r"line \d+|expected"),
        "PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "line 1"),
        "gzip": (b"\x1f\x8b\x08\0\0\0\0\0", "line 1"),
        "one section in the place of all": (f"data: {word}\n".encode(), "data: "),
    }
    what = draw(st.sampled_from(list(cases)))
    content, named = cases[what]
    return Variant("other shape", f"{what}, {word}", content, (named,))


def invalid() -> st.SearchStrategy[Variant]:
    """All kinds."""
    return st.one_of(
        wrong_value(), wrong_number(), two_mistakes(), unknown_key(), misspelt_key(), missing_key(),
        repeated_key(), broken_line(), odd_bytes(), cut_off(), contradiction(), too_much(), other_shape(),
    )  # fmt: skip
