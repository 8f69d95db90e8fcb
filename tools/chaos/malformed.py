"""Parameter files that are no YAML any more, that ask for too much, or that are something else.

A refusal names the line where the file goes wrong, or the key if the line as such is whole.
"""

import re
from collections.abc import Callable, Mapping

from hypothesis import strategies as st

from tools.chaos.variants import (
    Variant,
    dotted,
    leaves,
    line,
    named,
    number_of,
    text,
    with_lines,
    with_values,
)

# What takes the place of a key's line, by what it is. {k} and {v} are the key and its value.
_LINES: Mapping[str, str] = {
    "a space too many": "   {k}: {v}",
    "a space too few": " {k}: {v}",
    "a tab": "\t{k}: {v}",
    "no colon": "  {k} {v}",
    "two colons": "  {k}: {k}: 1",
    **{f"begins with {sign}": f"  {{k}}: {sign} {{v}}" for sign in ("[", '"', "'", "@", "`", "%")},
    "an open brace": "  {k}: {{ {v}",
    "closed too early": "  {k}: ]",
    "a dash": "  - {k}: 1",
    "an unknown alias": "  {k}: *nobody",
    "an alias of itself": "  {k}: &me [*me]",
    "a merge": "  !!merge <<: {{{k}: 1}}",
    "half a character": '  {k}: "\\ud800"',
    "half a character in a key": '  "{k}\\udfff": 1',
    "an escape that is none": '  {k}: "\\q"',
    "an escape beyond all characters": '  {k}: "\\U00110000"',
    "an escape beyond all numbers": '  {k}: "\\UFFFFFFFF"',
    "a list as a key": "  [{k}]: 1",
    "a section as a key": "  ? {{{k}: 1}}\n  : 1",
    **{f"the tag {tag}": f"  {{k}}: {tag} [id]" for tag in (
        "!!python/object/apply:os.system", "!!python/name:id", "!!set", "!!omap", "!own", "!")},
    **{f"the tag {tag}": f"  {{k}}: {tag} x" for tag in (
        "!!int", "!!bool", "!!timestamp", "!!binary", "!!float", "!!str")},
}  # fmt: skip
_OPEN = ('begins with "', "begins with '")

_BYTES = (
    *(b"\0", b"\x07", b"\x1b", b"\x7f", b"\xff", b"\x80", b"\xc3(", b"\xed\xa0\x80"),
    b"\xef\xbf\xbe",
)
# Whole files of something else, {w} a word, and what of their refusal has to be found.
_FILES: Mapping[str, tuple[bytes, str]] = {
    "nothing": (b"", "expected sections"),
    "words": (b"{w} of nothing", "expected sections"),
    "a list": (b"- {w}\n- 2\n", "expected sections"),
    "a number": (b"42", "expected sections"),
    "comments": (b"# {w}\n", "expected sections"),
    "JSON lines": (b'{"recipe": "{w}"}\n{"seed": 1}', r"line 2\b"),
    "a script": (b"#!/bin/sh\necho {w} > out\n", "expected sections"),
    "HTML": (b"<html><body>{w}: <b>1</b></body></html>", "unknown key"),
    "TOML": (b'[data]\nname = "{w}"\n', r"line \d"),
    "PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR{w}", "not UTF-8"),
    "gzip": (b"\x1f\x8b\x08\0\0\0\0\0{w}", "not UTF-8"),
    "a section in the place of all": (b"data: {w}\n", ": data: "),
}


@st.composite
def broken_line(draw: st.DrawFn) -> Variant:
    """A line that is no YAML any more, or YAML that would ask for an object or for all memory."""
    leaf = draw(st.sampled_from([leaf for leaf in leaves() if leaf[0] not in ("", "report")]))
    how = draw(st.sampled_from(list(_LINES)))
    value = line(leaf).partition(": ")[2]
    # YAML may see it one line later or earlier, or where the next quotes are.
    number, is_open = number_of(leaf) + 1, how in _OPEN
    near = r"line \d" if is_open else rf"line ({number - 1}|{number}|{number + 1})\b"
    half = re.escape(f"{leaf[0]}: '{leaf[1]}")
    content = with_lines({leaf: _LINES[how].format(k=leaf[1], v=value)})
    return Variant(f"{dotted(leaf)}: {how}", content, (f"{near}|{named(leaf)}|{half}",))


@st.composite
def odd_bytes(draw: st.DrawFn) -> Variant:
    """Bytes that do not belong into YAML, somewhere."""
    content = text().encode()
    at, strange = draw(st.integers(0, len(content))), draw(st.sampled_from(_BYTES))
    number = content.count(b"\n", 0, at) + 1
    content = content[:at] + strange + content[at:]
    return Variant(f"{strange!r} at {at}", content, (rf"line {number}\b|not UTF-8",))


@st.composite
def cut_off(draw: st.DrawFn) -> Variant:
    """A file that ends too early, as an editor or a full disk may leave it."""
    at = draw(st.integers(0, text().index("  label:")))
    wanted = r": missing|line \d|expected sections|: None should"
    return Variant(f"after {at}", text()[:at].encode(), (wanted,))


def _bomb(levels: int, merge: bool) -> str:
    """Aliases of aliases: nine to the power of `levels` values."""
    lines = [f"a0: &a0 {'{x: 1}' if merge else '[x]'}"]
    for level in range(1, levels):
        many = f"[{', '.join([f'*a{level - 1}'] * 9)}]"
        lines.append(f"a{level}: &a{level} {f'{{<<: {many}}}' if merge else many}")
    return "\n".join(lines) + "\n"


# Of a number from 2 to 60: the file, and what of its refusal has to be found.
_MUCH: Mapping[str, tuple[Callable[[int], str], str]] = {
    "bomb": (lambda n: _bomb(n, merge=False) + text(), "line 2 .*aliases"),
    "merging bomb": (lambda n: _bomb(n, merge=True) + text(), "line 2 .*aliases"),
    "lists": (lambda n: f"deep: {'[' * 300 * n}{']' * 300 * n}\n{text()}", "deep|longer"),
    "sections": (lambda n: f"deep: {'{a: ' * 300 * n}\n{text()}", "deep|line|longer"),
    "dashes": (lambda n: f"deep:\n {'- ' * 300 * n}x\n{text()}", "deep|longer"),
    "comment": (lambda n: text() + "#" * 10**5 * n, "longer"),
    "name": (lambda n: f"{'k' * 700 * n}: 1\n{text()}", "unknown key|longer|line 1"),
    "keys": (lambda n: "".join(f"k{i}: 1\n" for i in range(80 * n)) + text(), "k0: unk|longer"),
    "names": (
        lambda n: text().replace("[rotation", f"[{'noisy, ' * 100 * n}rotation", 1),
        r"augment\.ops\[0\]: unknown|longer",
    ),
    "digits": (lambda n: with_values({("", "seed"): "7" * 700 * n}).decode(), "seed: |longer"),
    "lines": (lambda n: text() + "\n" * 20_000 * n, "longer"),
}


@st.composite
def too_much(draw: st.DrawFn) -> Variant:
    """More than a parser can take: aliases of aliases, brackets in brackets, megabytes."""
    what, number = draw(st.sampled_from(list(_MUCH))), draw(st.integers(2, 60))
    make, wanted = _MUCH[what]
    return Variant(f"{what}, {number}", make(number).encode(), (wanted,))


@st.composite
def other_file(draw: st.DrawFn) -> Variant:
    """Whole files of something else."""
    word = draw(st.from_regex(r"[a-z]{1,8}", fullmatch=True))
    what = draw(st.sampled_from([*_FILES, "two documents", "UTF-16"]))
    if what == "two documents":
        return Variant(f"{what}, {word}", f"{text()}---\n{word}: 1\n".encode(), (r"line \d",))
    if what == "UTF-16":
        return Variant(f"{what}, {word}", f"# {word}\n{text()}".encode("utf-16"), ("not UTF-8",))
    content, wanted = _FILES[what]
    return Variant(f"{what}, {word}", content.replace(b"{w}", word.encode()), (wanted,))
