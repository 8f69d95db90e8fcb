"""Mistakes in keys and values, in files that are YAML: what their refusals have to name."""

import re
from collections.abc import Callable, Mapping, Sequence

from hypothesis import strategies as st

from tools.chaos.variants import (
    Leaf,
    Variant,
    dotted,
    leaves,
    line,
    line_of,
    named,
    text,
    with_lines,
    with_values,
)

_NULLABLE = ("data.local_dir", "loss.alpha_final", "train.second_seed")
_NAMES = ("recipe", "data.path", "data.local_dir", "report.label")
# Texts of values, by what the key should be.
_NULL = ("null", "~", "")
_NO_SCALAR = ("{}", "{a: 1}", "[[1]]", "[{x: [y]}]", "{2: 3}")
_NO_TEXT = ('""', "true", "1.5", ".nan", '"a\\nb"', '"\\0"', '"\\e[31mr"', '"\\u2028"', "x" * 5000)
_NO_CHOICE = ("x", "7", "[mnist]", "<b>", "'; drop'", '"\\0"', "мнист", "true", ".inf", '"\\ud800"')
_NO_NUMBER = (
    *("high", "1,5", "0x", "1:30", "5%", "1e", "++1", "½", "\u0661", "true"),
    *("<script>", "=1+1", "2024-01-01", ".nan", ".inf", "-.inf", "-1", "-0.5", "-1e-300", "1e309"),
    *("1e12", "1 000", '"1.0"', '"\\0"', "9" * 400, "9" * 5000),
)
_NO_INTEGER = ("6.5", "6.0", "1e3", "1.", "99999999999999999999")
_NO_SWITCH = ("yes", "no", "on", "1", "0", "0.0", '"true"', "tRue", "y", "[true]")
_NO_LIST = (
    *("noise", "5", "true", '"[1]"', "{noise: 1}", "[[noise]]", "[null]", "[1.5]", "[x]", "[-1]"),
)
_NO_WIDTHS = ("[9999]", "[0]")
_NO_OPERATIONS = ("[noise, noise]", "[Noise]")
_STRANGE = (
    *("a\nb", "\x1b[31m", "<script>", "=1+1", "a: b", "a.b", "1", "null", "~", "<<", "=", " "),
    *("\u202e", "\u2028", "k" * 90),
)


def no_values(leaf: Leaf) -> Sequence[str]:
    """Texts of values that the key cannot have."""
    value, name = leaves()[leaf], dotted(leaf)
    null = () if name in _NULLABLE else _NULL
    if isinstance(value, list):
        return (*_NO_LIST, *null, *(_NO_WIDTHS if "widths" in name else _NO_OPERATIONS))
    if isinstance(value, bool):
        return (*_NO_SCALAR, *null, *_NO_SWITCH)
    if name in _NAMES:
        return (*_NO_SCALAR, *null, *_NO_TEXT)
    if isinstance(value, str):
        return (*_NO_SCALAR, *null, *_NO_CHOICE)
    whole = isinstance(value, int) or name == "train.second_seed"
    return (*_NO_SCALAR, *null, *_NO_NUMBER, *(_NO_INTEGER if whole else ()))


def _a_key(condition: Callable[[object], bool] = lambda _: True) -> st.SearchStrategy[Leaf]:
    return st.sampled_from([leaf for leaf, value in leaves().items() if condition(value)])


@st.composite
def wrong_value(draw: st.DrawFn) -> Variant:
    """A key with a value of another type or out of its range."""
    leaf = draw(_a_key())
    value = draw(st.sampled_from(no_values(leaf)))
    return Variant(f"{dotted(leaf)}: {value[:40]}", with_values({leaf: value}), (named(leaf),))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@st.composite
def wrong_number(draw: st.DrawFn) -> Variant:
    """A number that no key can have."""
    leaf = draw(_a_key(_is_number))
    below = st.floats(max_value=0, exclude_max=True, allow_infinity=False)
    above = st.floats(min_value=1e10, allow_infinity=False)
    number = draw(st.one_of(below, above, st.integers(2**31), st.integers(max_value=-1)))
    says = f"{dotted(leaf)}: {str(number)[:40]}"
    return Variant(says, with_values({leaf: number}), (named(leaf),))


@st.composite
def two_mistakes(draw: st.DrawFn) -> Variant:
    """Two keys with wrong values; both have to be named."""
    two = draw(st.lists(_a_key(), min_size=2, max_size=2, unique=True))
    says = f"{' and '.join(map(dotted, two))} are sections"
    content = with_values(dict.fromkeys(two, "{wrong: 1}"))
    return Variant(says, content, tuple(map(named, two)))


@st.composite
def unknown_key(draw: st.DrawFn) -> Variant:
    """A key that nobody knows: a word, markup, control characters, anything."""
    known = {name for leaf in leaves() for name in leaf}
    any_text = st.one_of(st.sampled_from(_STRANGE), st.text(max_size=20))
    name = draw(any_text.filter(lambda name: name not in known))
    leaf = draw(_a_key())
    escaped = "".join(f"\\U{ord(character):08x}" for character in name)
    new = line_of((leaf[0], f'"{escaped}"'), 1)
    # In a message it stands as it is, or in quotes and perhaps cut.
    wanted = f"({re.escape(name)}|{re.escape(repr(name)[:40])})"
    prefix = re.escape(f"params.yaml: {dotted((leaf[0], ''))}") + r"\.?"
    return Variant(
        f"{leaf[0]}: {name!r}",
        with_lines({leaf: f"{line(leaf)}\n{new}"}),
        (f"{prefix}{wanted}.*: unknown key",),
    )


@st.composite
def misspelt_key(draw: st.DrawFn) -> Variant:
    """A key with a letter too many."""
    leaf = draw(_a_key())
    at, letter = draw(st.integers(0, len(leaf[1]))), draw(st.sampled_from("aeiouxyz_"))
    wrong = (leaf[0], f"{leaf[1][:at]}{letter}{leaf[1][at:]}")
    content = with_lines({leaf: line(leaf).replace(leaf[1], wrong[1], 1)})
    return Variant(dotted(wrong), content, (f"{named(wrong)}unknown", f"{named(leaf)}missing"))


@st.composite
def missing_key(draw: st.DrawFn) -> Variant:
    """A key that is not there, or a whole section, or all but one."""
    leaf = draw(_a_key())
    section = leaf[0]
    of_section = [other for other in leaves() if section and other[0] == section]
    if of_section == [leaf]:
        return Variant(dotted(leaf), with_lines({leaf: ""}), (re.escape(f": {section}: None "),))
    how = draw(st.sampled_from(["key", "section", "others"] if section else ["key"]))
    if how == "section":
        kept = [part for part in text().split("\n\n") if not part.startswith(f"{section}:")]
        return Variant(f"all of {section}", "\n\n".join(kept).encode(), (f": {section}: missing",))
    gone = [leaf] if how == "key" else [other for other in of_section if other != leaf]
    content = with_lines(dict.fromkeys(gone, ""))
    # More than twenty mistakes are counted.
    return Variant(f"{how} {dotted(leaf)}", content, tuple(f"{named(g)}missing" for g in gone[:20]))


@st.composite
def repeated_key(draw: st.DrawFn) -> Variant:
    """A key or a section that stands there twice."""
    leaf = draw(_a_key())
    again = draw(st.sampled_from([line(leaf), line_of(leaf, "5.0")]))
    if leaf[0] and draw(st.booleans()):
        content = f"{text()}{leaf[0]}:\n{again}\n".encode()
        return Variant(f"section {dotted(leaf)}", content, (f"the key '{leaf[0]}', line",))
    content = with_lines({leaf: f"{line(leaf)}\n{again}"})
    return Variant(f"{dotted(leaf)}, {again}", content, (f"the key '{leaf[1]}', line ",))


@st.composite
def contradiction(draw: st.DrawFn) -> Variant:
    """Keys that are valid alone and not together."""
    number = draw(st.integers(0, 2**31 - 1))
    low, high = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    other = draw(st.sampled_from(["rotation", "distortion", "binarization"]))
    cases: Mapping[Leaf, Mapping[Leaf, object]] = {
        ("train", "second_seed"): {("", "seed"): number, ("train", "second_seed"): number},
        ("augment", "views"): {("augment", "views"): 1, ("augment", "noise"): low},
        ("loss", "alpha_falls_until"): {
            ("loss", "alpha_falls_from"): high,
            ("loss", "alpha_falls_until"): low,
        },
        ("committee", "members"): {
            ("committee", "members"): number % 100 + 1,
            ("loss", "teaching_weight"): 0.0,
        },
        ("augment", "ops"): {
            ("augment", "ops"): f"[noise, {other}, noise]",
            ("augment", "shear"): high,
        },
    }
    key = draw(st.sampled_from(list(cases)))
    says = ", ".join(f"{dotted(leaf)}: {value}" for leaf, value in cases[key].items())
    return Variant(says, with_values(cases[key]), (named(key),))
