"""Invalid and odd parameters, made by Hypothesis.

Invalid files and overrides must be refused before any work: in one line for each mistake, which
names the key or the line and contains no control characters, in little time and memory, and without
leaving a file. Odd but valid parameters go through all six stages on the 1,797 digits: a run must
end with all outputs and finite numbers, or be refused in one line, with no output of that stage.
"""

import contextlib
import gc
import importlib
import json
import math
import random
import re
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from dvc.utils.hydra import apply_overrides
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from iic.core.errors import InputError
from iic.core.files import read_table
from iic.core.params import OPERATIONS, Params
from iic.evaluation.paths import METRICS
from iic.experiments.recipes import read_settings, with_overrides
from iic.experiments.scratch import STAGES
from iic.model.diagnosis import diagnose
from iic.pipeline.costs import peak_memory
from iic.pipeline.paths import HISTORY, PARAMS, PIPELINE
from iic.pipeline.resume import FOLDER as STATES
from iic.pipeline.stage import read_params, run
from iic.report.paths import BENCHMARK
from tools.chaos.clones import Count, cloned, fault_of, written
from tools.command import call, ending_of
from tools.determinism.measure import declared_outputs

# Limits of a refusal, in seconds of processor time and in MB.
_SECONDS, _MEMORY = 5.0, 200.0
TEXT = (Path(__file__).parents[2] / PARAMS).read_text("utf-8")
_LINES, _TREE = TEXT.split("\n"), yaml.safe_load(TEXT)
_SECTIONS = [name for name in _TREE if isinstance(_TREE[name], dict)]
# The committed value of each dotted key.
VALUES: Mapping[str, object] = {
    **{name: value for name, value in _TREE.items() if name not in _SECTIONS},
    **{f"{name}.{key}": value for name in _SECTIONS for key, value in _TREE[name].items()},
}
# The type of keys whose committed value does not show it; the last three may be null.
_TYPES = {"recipe": "name", "data.path": "name", "report.label": "name", "data.local_dir": "name",
          "loss.alpha_final": "float", "train.second_seed": "int"}  # fmt: skip
# YAML texts of values that keys of a type do not accept.
_NOT_FLOAT = (
    "high", "1,5", "0x", "1:30", "5%", "1e", "++1", "½", "\u0661", "true",
    "<script>", "=1+1", "2024-01-01", ".nan", ".inf", "-.inf", "-1", "-0.5", "-1e-300", "1e309",
    "1e12", "1 000", '"1.0"', '"\\0"', "9" * 400, "9" * 5000,
)  # fmt: skip
_WRONG: Mapping[str, Sequence[str]] = {
    "list": ("noise", "5", "true", '"[1]"', "{noise: 1}", "[[noise]]", "[null]", "[1.5]", "[x]",
             "[-1]", "[9999]", "[0]", "[noise, noise]", "[Noise]"),
    "bool": ("yes", "no", "on", "1", "0", "0.0", '"true"', "tRue", "y", "[true]"),
    "name": ('""', "true", "1.5", ".nan", '"a\\nb"', '"\\0"', '"\\e[31m"', '"\\u2028"', "x" * 5000),
    "str": ("x", "7", "[mnist]", "<b>", "'; drop'", '"\\0"', "мнист", "true", ".inf", '"\\ud800"'),
    "float": _NOT_FLOAT,
    "int": (*_NOT_FLOAT, "6.5", "6.0", "1e3", "1.", "99999999999999999999"),
}  # fmt: skip
_STRANGE_KEYS = ("a\nb", "\x1b[31m", "<script>", "=1+1", "a: b", "a.b", "1", "null", "~", "<<",
                 "=", " ", "\u202e", "\u2028", "k" * 90)  # fmt: skip
# Lines that are not YAML, or ask for Python objects or endless memory; {k} and {v} are the key and
# its value.
_BROKEN_LINES = (
    "   {k}: {v}", " {k}: {v}", "\t{k}: {v}", "  {k} {v}", "  {k}: {k}: 1", "  {k}: {{ {v}",
    *(f"  {{k}}: {sign} {{v}}" for sign in ("[", '"', "'", "@", "`", "%")),
    "  {k}: ]", "  - {k}: 1", "  {k}: *nobody", "  {k}: &me [*me]", "  !!merge <<: {{{k}: 1}}",
    *(f'  {{k}}: "\\{escape}"' for escape in ("ud800", "q", "U00110000", "UFFFFFFFF")),
    '  "{k}\\udfff": 1', "  [{k}]: 1", "  ? {{{k}: 1}}\n  : 1",
    *(f"  {{k}}: {tag} [id]" for tag in (
        "!!python/object/apply:os.system", "!!python/name:id", "!!set", "!!omap", "!own", "!")),
    *(f"  {{k}}: !!{tag} x" for tag in ("int", "bool", "timestamp", "binary", "float", "str")),
)  # fmt: skip
_ODD_BYTES = (b"\0", b"\x07", b"\x1b", b"\x7f", b"\xff", b"\x80", b"\xc3(", b"\xed\xa0\x80",
              b"\xef\xbf\xbe")  # fmt: skip
_OTHER_FILES = (
    b"", b"words", b"- a\n- 2\n", b"42", b"# a\n", b'{"recipe": "a"}\n{"seed": 1}', b"data: a\n",
    b"#!/bin/sh\necho a > out\n", b"<html><body>a: <b>1</b></body></html>",
    b'[data]\nname = "a"\n', b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\x1f\x8b\x08\0\0\0\0\0",
    f"{TEXT}---\na: 1\n".encode(), TEXT.encode("utf-16"),
)  # fmt: skip
# What names the place of a mistake without a key of its own.
_PLACE = r"line \d|: missing|: unknown|expected sections|None should|not UTF-8|longer|deep|seed: "


class InvalidFile(NamedTuple):
    """A params.yaml that must be refused, and regular expressions that the refusal must match."""

    kind: str
    content: bytes
    named: tuple[str, ...]


def _number_of(key: str) -> int:
    """Index of the key's line."""
    section, _, name = key.rpartition(".")
    start, begin = (_LINES.index(f"{section}:"), f"  {name}:") if section else (0, f"{name}:")
    return next(n for n in range(start, len(_LINES)) if _LINES[n].startswith(begin))


def _line(key: str, value: object) -> str:
    section, _, name = key.rpartition(".")
    return f"{'  ' if section else ''}{name}: {value}"


def _wrong_values(key: str) -> list[str]:
    kind = _TYPES.get(key, type(VALUES[key]).__name__)
    null = () if key in [*_TYPES][-3:] else ("null", "~", "")
    any_type = ("{}", "{a: 1}", "[[1]]", "[{x: [y]}]", "{[]: 1, 2: 3}")
    return [*_WRONG[kind], *null, *(() if kind == "list" else any_type)]


def _new_line(draw: st.DrawFn, kind: str, key: str) -> str:
    """The key's line with a mistake of a kind."""
    old, name = _LINES[_number_of(key)], key.rpartition(".")[2]
    if kind == "misspelt key":
        at, letter = draw(st.integers(0, len(name))), draw(st.sampled_from("aeiouxyz_"))
        return old.replace(name, f"{name[:at]}{letter}{name[at:]}", 1)
    if kind == "two mistakes":
        return _line(key, "{wrong: 1}")
    if kind == "repeated key":
        return f"{old}\n{draw(st.sampled_from([old, _line(key, '5.0')]))}"
    if kind == "broken line":
        value = old.partition(": ")[2]
        return draw(st.sampled_from(_BROKEN_LINES)).format(k=name, v=value)
    if kind == "wrong number":
        floats = st.floats(max_value=0, exclude_max=True) | st.floats(min_value=1e10)
        return _line(key, draw(floats | st.integers(2**31) | st.integers(max_value=-1)))
    return "" if kind == "missing key" else _line(key, draw(st.sampled_from(_wrong_values(key))))


@st.composite
def _edited(draw: st.DrawFn, kind: str, keys: int = 1) -> InvalidFile:
    """The committed file with other lines for some keys, each of which has to be named."""
    known = {
        "broken line": [key for key in VALUES if "." in key and not key.startswith("report.")],
        "wrong number": [key for key in VALUES if type(VALUES[key]) in (int, float)],
    }.get(kind, list(VALUES))
    lines, named = [*_LINES], []
    for key in draw(st.lists(st.sampled_from(known), min_size=keys, max_size=keys, unique=True)):
        number, (section, _, name) = _number_of(key), key.rpartition(".")
        lines[number] = _new_line(draw, kind, key)
        # An open quote is noticed where the next one stands.
        is_open = kind == "broken line" and re.search(": [\"'] ", lines[number])
        near = r"\d" if is_open else rf"({number}|{number + 1}|{number + 2})\b"
        named.append(rf"line {near}|{section}\W*{name}|: {section}: None")
    return InvalidFile(kind, "\n".join(lines).encode(errors="surrogatepass"), tuple(named))


@st.composite
def _of_section(draw: st.DrawFn, kind: str) -> InvalidFile:
    """A section that is missing, empty, there twice, or has an unknown key."""
    section, known = draw(st.sampled_from(_SECTIONS)), {p for k in VALUES for p in k.split(".")}
    part = next(part for part in TEXT.split("\n\n") if part.startswith(f"{section}:"))
    if kind == "missing section":
        content = TEXT.replace(part, draw(st.sampled_from(["", f"{section}: {{}}"])))
        return InvalidFile(kind, content.encode(), (rf"{section}\b.*: missing",))
    if kind == "repeated section":
        again = draw(st.sampled_from(part.split("\n")[1:]))
        return InvalidFile(kind, f"{TEXT}{section}:\n{again}\n".encode(), (section,))
    names = st.sampled_from(_STRANGE_KEYS) | st.text(max_size=20)
    name = draw(names.filter(lambda name: name not in known))
    escaped = "".join(f"\\U{ord(character):08x}" for character in name)
    # It is shown as it is, or in quotes and perhaps cut.
    shown = rf"{section}\.?({re.escape(name)}|{re.escape(repr(name)[:40])}).*: unknown key"
    return InvalidFile(kind, TEXT.replace(part, f'{part}\n  "{escaped}": 1').encode(), (shown,))


@st.composite
def _contradiction(draw: st.DrawFn) -> InvalidFile:
    """Values that are valid alone and not together; the last key has to be named."""
    number = draw(st.integers(0, 2**31 - 1))
    low, high = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    other = draw(st.sampled_from(["rotation", "distortion", "binarization"]))
    values: Mapping[str, object] = draw(st.sampled_from([
        {"seed": number, "train.second_seed": number}, {"augment.noise": low, "augment.views": 1},
        {"loss.alpha_falls_from": high, "loss.alpha_falls_until": low},
        {"loss.teaching_weight": 0.0, "committee.members": number % 100 + 1},
        {"augment.shear": high, "augment.ops": f"[noise, {other}, noise]"},
    ]))  # fmt: skip
    lines = [*_LINES]
    for key, value in values.items():
        lines[_number_of(key)] = _line(key, value)
    return InvalidFile("contradiction", "\n".join(lines).encode(), (re.escape([*values][-1]),))


def _odd_bytes(at: int, odd: bytes) -> InvalidFile:
    content = TEXT.encode()
    number = content.count(b"\n", 0, at) + 1
    named = rf"line {number}\b|not UTF-8"
    return InvalidFile("odd bytes", content[:at] + odd + content[at:], (named,))


def _too_much(which: int, n: int) -> bytes:
    """Aliases of aliases that stand for 9 ** n values, brackets in brackets, or megabytes."""
    aliases = [[f"a0: &a0 {first}"] for first in ("[x]", "{x: 1}")]
    for level in range(1, n):
        many = ", ".join([f"*a{level - 1}"] * 9)
        aliases[0].append(f"a{level}: &a{level} [{many}]")
        aliases[1].append(f"a{level}: &a{level} {{<<: [{many}]}}")
    return (
        *("\n".join([*lines, TEXT]) for lines in aliases),
        f"deep: {'[' * 300 * n}{']' * 300 * n}\n{TEXT}", f"deep: {'{a: ' * 300 * n}\n{TEXT}",
        f"deep:\n {'- ' * 300 * n}x\n{TEXT}", f"{'k' * 700 * n}: 1\n{TEXT}",
        TEXT + "#" * 10**5 * n, TEXT + "\n" * 20_000 * n,
        "".join(f"k{i}: 1\n" for i in range(80 * n)) + TEXT,
        TEXT.replace("[rotation", f"[{'noisy, ' * 100 * n}rotation", 1),
        TEXT.replace("seed: 0", f"seed: {'7' * 700 * n}", 1),
    )[which].encode()  # fmt: skip


def _whole(kind: str, contents: st.SearchStrategy[bytes]) -> st.SearchStrategy[InvalidFile]:
    return contents.map(lambda content: InvalidFile(kind, content, (_PLACE,)))


_CUT_OFF = st.integers(0, TEXT.index("  label:")).map(lambda at: TEXT[:at].encode())
_COMMENTS = st.text("abc").map(lambda text: f"\n# {text}".encode())
_ODD_FILES = st.builds(_odd_bytes, st.integers(0, len(TEXT)), st.sampled_from(_ODD_BYTES))
_TOO_MUCH = st.builds(_too_much, st.integers(0, 10), st.integers(2, 60))
_OTHER = st.builds(bytes.__add__, st.sampled_from(_OTHER_FILES), _COMMENTS)
# Strategies of invalid files by kind, and how many of 500 trials each gets.
KINDS: Mapping[str, tuple[st.SearchStrategy[InvalidFile], int]] = {
    **{kind: (_edited(kind), trials) for kind, trials in (
        ("wrong value", 120), ("wrong number", 40), ("misspelt key", 40), ("missing key", 30),
        ("repeated key", 20), ("broken line", 40))},
    "two mistakes": (_edited("two mistakes", keys=2), 20),
    **{kind: (_of_section(kind), trials) for kind, trials in (
        ("missing section", 10), ("repeated section", 20), ("unknown key", 40))},
    "contradiction": (_contradiction(), 20),
    "odd bytes": (_ODD_FILES, 40),
    "cut off": (_whole("cut off", _CUT_OFF), 20),
    "too much": (_whole("too much", _TOO_MUCH), 20),
    "other file": (_whole("other file", _OTHER), 20),
}  # fmt: skip
_QUIET = settings(database=None, deadline=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
# Overrides of no key, or no overrides at all; {key} is a key, {section} its section or "data".
_BAD_FORMS = (
    *("{key}", "{key}=[", "{key}={{", "{key}='", "={key}", "{key}.deeper=1", "+{key}=[1]"),
    *("~{key}", "+{key}x=1", "{key}x=1", "{key} =(", "{key}=${{", "+{section}.<b>=1"),
    *("{key}={{wrong:1}}", "{key}=[[1]]", '{key}="<b>', "{key}=${{nobody}}", "{key}=${{data}}"),
    "{key}={key}!",
)
# Values that are valid in an override, or too long for DVC to name the key.
_FINE = re.compile(r"tRue|\.nan|.*\\.*|9{5000}")
# For `dvc exp run` itself; refusals have to name the key.
REAL = ("loss.alpha=high", "augment.ops=[rotatoin]", "train={epochs:x}", "+train.epoch=1",
        "train.epoch=1", "seed=1e400", "~model.clusters", "seed=${nobody}")  # fmt: skip


@st.composite
def invalid_overrides(draw: st.DrawFn) -> tuple[str, str]:
    """Draw an override as after `-S`, and a regular expression that its refusal must match."""
    key = draw(st.sampled_from([key for key in VALUES if not key.startswith("report.")]))
    section = key.rpartition(".")[0] or "data"
    forms = [form.format(key=key, section=section) for form in _BAD_FORMS]
    values = [f"{key}={value}" for value in _wrong_values(key) if not _FINE.fullmatch(value)]
    return draw(st.sampled_from(forms) | st.sampled_from(values)), re.escape(key)


def examples(strategy: st.SearchStrategy[Any], number: int, numbers: random.Random) -> list[Any]:
    """Draw at most `number` different examples of a strategy, chosen by the random source."""
    found: dict[Any, None] = {}

    # Nine for each that is wanted, since Hypothesis repeats itself.
    @seed(numbers.getrandbits(64))
    @settings(_QUIET, max_examples=9 * number)
    @given(strategy)
    def collect(example: object) -> None:
        found[example] = None

    collect()
    return numbers.sample(list(found), min(number, len(found)))


def bad_files(numbers: random.Random, trials: int = 500) -> Iterator[Count]:
    """Try invalid files of all kinds."""
    count = Count()
    for kind, (strategy, share) in KINDS.items():
        for file in examples(strategy, max(1, share * trials // 500), numbers):
            fault = fault_of_file(file)
            changed = [line for line in file.content.splitlines() if line not in TEXT.encode()]
            count.add(fault and f"{kind}: {changed[:2]!r:.300}: {fault}", kind)
            yield count


def bad_overrides(numbers: random.Random, trials: int = 60) -> Iterator[Count]:
    """Try overrides in this process, then those of REAL with `dvc exp run`."""
    count = Count()
    for override, named in examples(invalid_overrides(), trials, numbers):
        fault, by = fault_of_override(override, named)
        count.add(fault and f"-S {override}: {fault}", f"refused by {by}")
        yield count
    with cloned() as clone:
        for override in REAL:
            key = override.lstrip("+~").partition("=")[0]
            fault = fault_of_experiment(clone, override, rf"{re.escape(key)}\b")
            count.add(fault and f"dvc exp run -S {override}: {fault}", "refused by `dvc exp run`")
            yield count


def fault_of_file(file: InvalidFile) -> str:
    """Return what is wrong with the refusal of a parameter file, or "" if nothing is."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        PARAMS.write_bytes(file.content)
        return fault_of_stage(file.named)


def fault_of_override(override: str, named: str) -> tuple[str, str]:
    """Write an override into params.yaml as DVC does; return what is wrong, and who refused."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        PARAMS.write_text(TEXT, "utf-8")
        try:
            apply_overrides(PARAMS, [override])
        except Exception as error:
            # DVC prints any exception as one line, and quotes a text that is not an override.
            said = f"{error} {error.__cause__ or ''}"
            if PARAMS.read_text("utf-8") != TEXT:
                return "params.yaml is changed", "DVC"
            is_named = re.search(rf"{named}|deeper|Invalid `--set-param` value", said)
            return "" if is_named else f"does not name {named}: {said!r:.300}", "DVC"
        return fault_of_stage([named]), "the first stage"


def fault_of_experiment(clone: Path, override: str, named: str) -> str:
    """Return what is wrong with how `dvc exp run` refuses an override, or "" if nothing is."""
    before = written(clone)
    ending = ending_of("dvc", "exp", "run", "-S", override, cwd=clone)
    faults = [fault_of(ending, ".") if ending.status else "accepted"]
    if not re.search(named, ending.said):
        faults.append(f"does not name {named}: {ending.said!r:.300}")
    if written(clone) != before:
        faults.append("began to work")
    # DVC leaves the override in the file.
    call("git", "checkout", "--quiet", "--", str(PARAMS), cwd=clone)
    return ", ".join(filter(None, faults))


def fault_of_stage(named: Sequence[str]) -> str:
    """Begin a stage in the current folder; return what is wrong with its refusal, or ""."""
    worked: list[Params] = []
    files, begin, before = _files(), time.process_time(), peak_memory()
    try:
        run(worked.append)
    except SystemExit as error:
        fault = fault_of_message(str(error.code), named)
    except Exception as error:
        fault = f"{type(error).__name__} instead of a refusal: {error!r:.200}"
    else:
        fault = "accepted"
    seconds, memory = time.process_time() - begin, peak_memory() - before
    faults = {
        fault: bool(fault),
        "began to work": bool(worked),
        f"took {seconds:.1f} s": seconds > _SECONDS,
        f"took {memory:.0f} MB": memory > _MEMORY,
        "left a file": _files() != files,
    }
    return ", ".join(text for text, is_so in faults.items() if is_so)


def fault_of_message(said: str, named: Sequence[str]) -> str:
    """Return what is wrong with the text of a refusal, or "" if nothing is."""
    lines = said.removeprefix("error: ").split("\n")
    if not (said.startswith("error: ") and all(line.startswith(f"{PARAMS}: ") for line in lines)):
        return f"not one line for each mistake: {said!r:.300}"
    # Also separators of lines, halves of characters, and marks that change the direction of text.
    if {unicodedata.category(c) for c in "".join(lines)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}:
        return f"contains control characters: {said!r:.300}"
    if max(map(len, lines)) > 500 or len(lines) > 30:
        return f"{len(lines)} lines, {len(said)} characters"
    missing = [pattern for pattern in named if not re.search(pattern, said)]
    return f"does not name {missing[0]}: {said!r:.300}" if missing else ""


def _files() -> list[tuple[str, int]]:
    return [(str(path), path.stat().st_mtime_ns) for path in sorted(Path().rglob("*"))]


# Settings `key=value`, with the values as JSON.
Settings = tuple[str, ...]

# A network and a schedule as small as possible; what is odd comes on top.
SMALL: Settings = (
    *('data.name="digits"', "augment.views=2", "model.widths=[4, 4, 8]", "model.head_widths=[8]"),
    *("model.overclusters=20", "train.epochs=2"),
)
# Always tried, in this order; 1,437 of the digits are trained on.
NAMED: Sequence[Settings] = (
    *((f"train.batch_size={size}",) for size in (100_000, 1437, 1436, 719, 1)),
    ("train.batch_size=2", "train.epochs=1"),
    ("train.epochs=1",),
    ("augment.ops=[]",),
    *((f'augment.ops=["{name}"]',) for name in OPERATIONS),
    ("model.clusters=2", "model.overclusters=2"),
    ("model.clusters=500", "model.overclusters=500"),
)
_ODD: Mapping[str, Sequence[object]] = {
    "seed": (1, 2**31 - 1), "recipe": ("<b>&amp;", "=1+1", "ünïcode 数字", "r" * 60),
    "augment.ops": ([], *([name] for name in OPERATIONS), ["noise", "rotation"]),
    "augment.views": (1, 2, 7), "augment.both_views": (False,),
    "augment.rotation": (0, 180.0), "augment.shear": (0, 2.0), "augment.scale": (0, 0.99),
    "augment.shift": (0, 28.0), "augment.elastic": (0, 28.0), "augment.binarization": (0, 1),
    "augment.noise": (0, 2), "augment.strength_final": (0, 1),
    "augment.neighbors": (0, 1, 1436, 1437, 10_000), "augment.neighbor_share": (0.0, 0.01),
    "augment.neighbor_until": (0.0, 1.0), "model.widths": ([1], [3, 1, 2, 1, 1, 1, 1, 1], [16]),
    "model.head_widths": ([], [1], [2, 1, 2]), "model.clusters": (2, 3, 500),
    "model.overclusters": (2, 9, 500), "model.pool_first": (False,),
    "model.normalize_logits": (False,), "loss.alpha": (1e-3, 1e-300, 1000.0),
    "loss.alpha_final": (None, 1e-3, 1000), "loss.alpha_falls_from": (0.0,),
    "loss.alpha_falls_until": (1.0,), "loss.overclustering_weight": (0.0, 1.0),
    "loss.teaching_weight": (0.0, 100.0), "loss.teaching_from": (0.0, 1.0), "train.epochs": (1, 3),
    "train.batch_size": (1, 7, 719, 1436, 1437, 1438, 2**31 - 1),
    "train.learning_rate": (1e-300, 1.0, 10), "train.learning_rate_final": (0.0, 1e-300, 10),
    "train.precision": ("mixed_bfloat16",), "train.second_seed": (1, 5),
    "committee.members": (1, 2), "committee.width": (1e-3, 4.0), "committee.epochs": (1,),
    "committee.kept": (1e-3, 1.0), "committee.quorum": (0.51, 1.0),
    "committee.weight": (1e-3, 100.0), "report.label": (3, "none such", "<i>"),
}  # fmt: skip


def odd_settings() -> st.SearchStrategy[Settings]:
    """Strategy of one to five odd settings together that are not in NAMED."""
    one = st.sampled_from([f"{key}={json.dumps(value)}" for key in _ODD for value in _ODD[key]])
    several = st.lists(one, min_size=1, max_size=5, unique_by=lambda text: text.partition("=")[0])
    named = {tuple(sorted(chosen)) for chosen in NAMED}
    return several.map(lambda chosen: tuple(sorted(chosen))).filter(lambda s: s not in named)


def odd_runs(numbers: random.Random, trials: int = 100) -> Iterator[Count]:
    """Run the pipeline with each of NAMED, then with others."""
    return runs([*NAMED, *examples(odd_settings(), trials - len(NAMED), numbers)])


def runs(chosen: Sequence[Settings]) -> Iterator[Count]:
    """Run the pipeline once for each of these settings."""
    count, root = Count(), Path.cwd()
    for values in chosen:
        with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
            BENCHMARK.parent.mkdir(parents=True)
            shutil.copy(root / BENCHMARK, BENCHMARK)
            what, *details = _run(root, values)
        count.add(what and f"{', '.join(values)}: {what}", *details)
        yield count


def _run(root: Path, values: Settings) -> tuple[str, ...]:
    """Run the stages in the current, empty folder; return what was lost, then how it ended."""
    pipeline, stage = root / PIPELINE, "params.yaml"
    try:
        overrides = read_settings([*SMALL, *values])
        params = with_overrides(read_params(root / PARAMS), overrides, "params.yaml")
        for stage in STAGES:
            importlib.import_module(f"stages.{stage}").main(params)
    except InputError as error:
        outputs = declared_outputs(pipeline, stage) if stage in STAGES else []
        left = [path for path in outputs if Path(path).exists()]
        fault = f"refused, but {', '.join(left)} is there" if left else ""
        lines = len(str(error).splitlines())
        return fault if lines == 1 else f"refused in {lines} lines", f"refused by {stage}"
    except Exception as error:
        return (f"{stage}: {type(error).__name__}: {' '.join(str(error).split())[:300]}",)
    finally:
        # Otherwise each training would leave its graph in memory.
        importlib.import_module("keras").backend.clear_session()
        gc.collect()
    return _fault_of_outputs(declared_outputs(pipeline)), "ran to the end", *_diagnosed(params)


def _fault_of_outputs(outputs: Sequence[str]) -> str:
    if missing := [path for path in outputs if not Path(path).exists()]:
        return f"without {', '.join(missing)}"
    if any(STATES.glob("*")):
        return "a resume state is left"
    columns = read_table(HISTORY).values()
    metrics = json.loads(METRICS.read_text("utf-8")).values()
    is_finite = all(math.isfinite(number) for column in (metrics, *columns) for number in column)
    return "" if is_finite else "a metric is not a number"


def _diagnosed(params: Params) -> list[str]:
    """Words for what the training diagnosed about itself."""
    row = {name: float(column[-1]) for name, column in read_table(HISTORY).items()}
    words = " ".join(diagnose(row, params.model.head_sizes))
    return [word for word in ("collapsed", "empty", "undecided") if word in words]
