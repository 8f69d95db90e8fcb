"""Invalid and odd parameters, made by Hypothesis.

Invalid files must be refused in one line for each mistake, which names the key or the line and
contains no control characters, in little time and memory. Invalid overrides must end `dvc exp run`
before any work. Odd but valid parameters go through all stages on the 1,797 digits: a run must
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
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from iic.core.errors import InputError
from iic.core.files import read_table
from iic.core.params import OPERATIONS, Params, parse_params
from iic.evaluation.paths import METRICS
from iic.experiments.recipes import leaves, read_settings, with_overrides
from iic.experiments.scratch import STAGES
from iic.model.diagnosis import diagnose
from iic.pipeline.paths import HISTORY, PARAMS, PIPELINE
from iic.pipeline.resume import FOLDER as STATES
from iic.pipeline.stage import read_params
from iic.report.paths import BENCHMARK
from tools.chaos import hostile
from tools.chaos.clones import Count, cloned, fault_of, written
from tools.command import call, ending_of
from tools.determinism.measure import declared_outputs

# Limits of a refusal, in MB and in seconds.
_LIMITS = (200.0, 10.0)
TEXT = (Path(__file__).parents[2] / PARAMS).read_text("utf-8")
_COMMITTED, _LINES, _PARAMS = TEXT.encode(), TEXT.split("\n"), parse_params(TEXT, str(PARAMS))
_VALUES = dict(leaves(_PARAMS.model_dump()))
_KEYS, _SECTIONS = [*_VALUES], sorted({key.partition(".")[0] for key in _VALUES if "." in key})
_BELOW = [key for key in _KEYS if "." in key and key != "report.label"]
_NUMBERS = [key for key in _KEYS if type(_VALUES[key]) in (int, float)]
# YAML texts of values; each key is only given those that Params refuses.
_TEXTS = (
    *("high", "1,5", "0x", "1:30", "5%", "1e", "++1", "½", "\u0661", "2024-01-01", "1 000", "x"),
    *(".nan", ".inf", "-.inf", "-1", "-0.5", "-1e-300", "1e309", "1e12", "9" * 400, "9" * 5000),
    *("true", "tRue", "yes", "no", "on", "y", "0", "1", "1.", "6.0", "6.5", "1e3", "null", "~"),
    *("<script>", "=1+1", "'; drop'", "мнист", "x" * 5000, " ", '""', '"true"', '"1.0"', '"[1]"'),
    *(r'"\0"', r'"\e[31m"', r'"\u2028"', r'"a\nb"', r'"\ud800"', "{}", "{a: 1}", "{[]: 1, 2: 3}"),
    *("noise", "[noise, noise]", "[Noise]", "[[noise]]", "{noise: 1}", "[{x: [y]}]", "[null]"),
    *("[x]", "[-1]", "[0]", "[1.5]", "[9999]", "[true]"),
)
_PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
_ANY = _PLAIN | st.lists(_PLAIN, max_size=3) | st.dictionaries(st.text(), _PLAIN, max_size=3)
_ANY_TEXTS = st.sampled_from(_TEXTS) | _ANY.map(json.dumps)
_BEYOND = st.one_of(st.floats(max_value=-1e-300), st.floats(min_value=1e10),
                    st.integers(max_value=-1), st.integers(min_value=2**31))  # fmt: skip
_STRANGE_KEYS = st.sampled_from(("a\nb", "\x1b[31m", "<b>", "=1+1", "a: b", "a.b", "1", "null", "~",
                                 "<<", "=", " ", "\u202e", "\u2028", "k" * 90))  # fmt: skip
_NO_TEXT = st.just("")
# By kind of mistake: the keys or sections in whose lines it is made, what replaces such a line, and
# strategies of {text}. {line} is the old line, {start} its part before the colon, {value} the part
# behind it, and {key} the key without its section.
_MISTAKES: Mapping[str, tuple[Sequence[str], Sequence[str], st.SearchStrategy[str]]] = {
    "wrong value": (_KEYS, ["{start}: {text}"], _ANY_TEXTS),
    "wrong number": (_NUMBERS, ["{start}: {text}"], _BEYOND.map(str)),
    "two mistakes": (_KEYS, ["{start}: {{wrong: 1}}"], _NO_TEXT),
    "misspelt key": (_KEYS, ["{start}{text}: {value}"], st.text("aeiouxyz_", min_size=1)),
    "missing key": (_KEYS + _SECTIONS, [""], _NO_TEXT),
    "repeated key": (_KEYS + _SECTIONS, ["{line}\n{line}", "{line}\n{start}: 5.0"], _NO_TEXT),
    "unknown key": (_SECTIONS, ['{line}\n  "{text}": 1'], _STRANGE_KEYS | st.text(max_size=20)),
    # Text that is not YAML, or asks for Python objects or endless memory.
    "broken line": (_BELOW, [
        *("   {key}: {value}", " {key}: {value}", "\t{key}: {value}", "  {key} {value}"),
        *("  {key}: {key}: 1", "  - {key}: 1", "  !!merge <<: {{{key}: 1}}", "  [{key}]: 1"),
        *('  "{key}\\udfff": 1', "  ? {{{key}: 1}}\n  : 1"),
    ], _NO_TEXT),
    "broken value": (_BELOW, ["{start}: {text}"], st.sampled_from([
        *("[ 1", '" 1', "' 1", "@ 1", "` 1", "% 1", "{ 1", "]", "*nobody", "&me [*me]"),
        *(rf'"\{escape}"' for escape in ("ud800", "q", "U00110000", "UFFFFFFFF")),
        *(f"!!{tag} [id]" for tag in ("python/object/apply:os.system", "set", "omap")),
        *(f"!!{tag} x" for tag in ("python/name:id", "int", "bool", "timestamp", "binary", "str")),
        *("!own x", "! x"),
    ])),
}  # fmt: skip
_ODD_BYTES = (b"\0", b"\x07", b"\x1b", b"\x7f", b"\xff", b"\x80", b"\xc3(", b"\xed\xa0\x80",
              b"\xef\xbf\xbe")  # fmt: skip
_OTHER_FILES = (
    *(b"", b"words", b"- a\n- 2\n", b"42", b"# a\n", b"data: a\n", b'[data]\nname = "a"\n'),
    *(b'{"recipe": "a"}\n{"seed": 1}', b"#!/bin/sh\necho a > out\n", b"<html>a: <b>1</b></html>"),
    *(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\x1f\x8b\x08\0\0\0\0\0", TEXT.encode("utf-16")),
    f"{TEXT}---\na: 1\n".encode(),
)
# What comes before the committed text: a beginning, something many times, and an end.
_TOO_MUCH = (
    ("deep: ", "[", ""), ("deep: ", "{a: ", ""), ("deep:\n ", "- ", "x"), ("", "k", ": 1"),
    ("", "#" * 200, ""), ("", "\n" * 60, ""), ("many: [", "noisy, ", "]"), ("seed: ", "7", ""),
    ("".join(f"a{n + 1}: &a{n + 1} [{f'*a{n}, ' * 9}]\n" for n in range(30)), "a0: &a0 [x]", ""),
    ("".join(f"a{n + 1}: &a{n + 1} {{<<: *a{n}}}\n" for n in range(30)), "a0: &a0 {x: 1}", ""),
    ("".join(f"k{n}: 1\n" for n in range(2000)), "#", ""),
)  # fmt: skip
# What names the place of a mistake without a key of its own.
_PLACE = r"line \d|: missing|: unknown|expected sections|None should|not UTF-8|longer|deep|seed: "


class Invalid(NamedTuple):
    """A file that must be refused, and regular expressions that the refusal must match."""

    kind: str
    named: tuple[str, ...]
    content: bytes


def _is_refused(key: str, text: str) -> bool:
    """Whether Params refuses a value of a key, written as YAML."""
    try:
        with_overrides(_PARAMS, read_settings([f"{key}={text}"]), "settings")
    except InputError:
        return True
    return False


def _line_of(key: str) -> int:
    """Index of the line of a key or a section."""
    section, _, name = key.rpartition(".")
    start, begin = (_LINES.index(f"{section}:"), f"  {name}:") if section else (0, f"{name}:")
    return next(n for n in range(start, len(_LINES)) if _LINES[n].startswith(begin))


def _lines_with(lines: Mapping[str, str]) -> bytes:
    """The committed file with other lines for some keys or sections."""
    numbers = {_line_of(key): line for key, line in lines.items()}
    content = "\n".join(numbers.get(number, line) for number, line in enumerate(_LINES))
    return content.encode(errors="surrogatepass")


@st.composite
def _mistakes(draw: st.DrawFn, kind: str) -> Invalid:
    """Mistakes of a kind in the lines of some keys, each of which has to be named."""
    keys, templates, texts = _MISTAKES[kind]
    lines, named = dict[str, str](), list[str]()
    size = 2 if kind == "two mistakes" else 1
    for key in draw(st.lists(st.sampled_from(keys), min_size=size, max_size=size, unique=True)):
        (section, _, name), at, text = key.rpartition("."), _line_of(key), draw(texts)
        assume(kind != "wrong value" or _is_refused(key, text))
        if kind == "missing key":
            lines |= {below: "" for below in _KEYS if below.startswith(f"{key}.")}
        # An open quote is noticed where the next one stands.
        near = r"\d" if text[:1] in ("'", '"') else rf"({at}|{at + 1}|{at + 2}|{at + 3})\b"
        named.append(rf"line {near}|{section}\W*{name}|: {section}: None")
        if kind == "unknown key":
            # It is shown as it is, or in quotes and perhaps cut.
            named.append(rf"{name}\.?({re.escape(text)}|{re.escape(repr(text)[:40])}).*: unknown")
            text = "".join(f"\\U{ord(character):08x}" for character in text)
        (start, _, value), line = _LINES[at].partition(":"), draw(st.sampled_from(templates))
        known = {"line": _LINES[at], "start": start, "value": value.strip(), "key": name}
        lines[key] = line.format(text=text, **known)
    return Invalid(kind, tuple(named), _lines_with(lines))


# Values of the committed file after which values contradict each other, by the key to be named.
CONTRADICTIONS: Mapping[str, Mapping[str, str]] = {
    "train.second_seed": {"train.second_seed": "0"},
    "augment.views": {"augment.views": "1"},
    "augment.ops": {"augment.ops": "[noise, noise]"},
    "loss.alpha_falls_until": {"loss.alpha_falls_from": "0.9"},
    "data.image_size": {"data.image_size": "32"},
    "data.ink": {"data.name": "custom", "data.channels": "3", "data.ink": "light"},
    "model.clusters": {"model.clusters": "5000"},
    "model.poolings": {"model.poolings": "5"},
}


def contradiction(named: str, comment: str = "") -> Invalid:
    """Return a file of CONTRADICTIONS; a key that params.yaml no longer has is an error."""
    lines = {
        key: f"{_LINES[_line_of(key)].partition(':')[0]}: {value}  # {comment}"
        for key, value in CONTRADICTIONS[named].items()
    }
    return Invalid("contradiction", (rf": {re.escape(named)}: ",), _lines_with(lines))


# Contents of whole files that are invalid somewhere.
_WHOLE: Mapping[str, st.SearchStrategy[bytes]] = {
    "odd bytes": st.builds(lambda at, odd: _COMMITTED[:at] + odd + _COMMITTED[at:],
                           st.integers(0, len(_COMMITTED)), st.sampled_from(_ODD_BYTES)),
    "cut off": st.integers(0, TEXT.index("  label:")).map(lambda at: _COMMITTED[:at]),
    "too much": st.builds(lambda part, n: f"{part[0]}{part[1] * n}{part[2]}\n{TEXT}".encode(),
                          st.sampled_from(_TOO_MUCH), st.integers(1000, 20_000)),
    "other file": st.builds(lambda content, letters: content + f"\n# {letters}".encode(),
                            st.sampled_from(_OTHER_FILES), st.text("abc")),
}  # fmt: skip


KINDS: Mapping[str, st.SearchStrategy[Invalid]] = {
    **{kind: _mistakes(kind) for kind in _MISTAKES},
    **{kind: contents.map(partial(Invalid, kind, (_PLACE,))) for kind, contents in _WHOLE.items()},
    "contradiction": st.builds(contradiction, st.sampled_from([*CONTRADICTIONS]), st.text("abc")),
}
_QUIET = settings(database=None, deadline=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
# For `dvc exp run`: texts that are no override, unknown keys, invalid values and references.
OVERRIDES = (
    *("seed", "seed=[", "seed={", "seed='", "=seed", "seed =(", "seed=${", 'seed="<b>'),
    *("~model.clusters", "+train.epoch=1", "train.epoch=1", "seed.deeper=1", "+data.<b>=1"),
    *("loss.alpha=high", "augment.ops=[rotatoin]", "train={epochs:x}", "+seed=[1]", "seed=1e400"),
    *("seed=${nobody}", "seed=${data}", "recipe=[[1]]", "model.widths=yes", "train.epochs=0"),
    "loss.alpha=-1e-300",
)


def examples(strategy: st.SearchStrategy[Any], number: int, numbers: random.Random) -> list[Any]:
    """Draw at most `number` different examples of a strategy, chosen by the random source."""
    found: dict[Any, None] = {}

    @seed(numbers.getrandbits(64))
    @settings(_QUIET, max_examples=9 * number)  # Hypothesis repeats itself
    @given(strategy)
    def collect(example: object) -> None:
        found[example] = None

    collect()
    return numbers.sample(list(found), min(number, len(found)))


def bad_files(numbers: random.Random, trials: int = 500) -> Iterator[Count]:
    """Try invalid files of all kinds."""
    count = Count()
    for number, (kind, strategy) in enumerate(KINDS.items()):
        share = (number + 1) * trials // len(KINDS) - number * trials // len(KINDS)
        for file in examples(strategy, share, numbers):
            fault = judge(file)
            changed = [line for line in file.content.splitlines() if line not in _COMMITTED]
            count.add(fault and f"{kind}: {changed[:2]!r:.300}: {fault}", kind)
            yield count


def bad_overrides(_: random.Random) -> Iterator[Count]:
    """Try each of OVERRIDES with `dvc exp run`."""
    count = Count()
    with cloned() as clone:
        for override in OVERRIDES:
            fault = fault_of_experiment(clone, override)
            count.add(fault and f"dvc exp run -S {override}: {fault}", "refused by `dvc exp run`")
            yield count


def judge(invalid: Invalid) -> str:
    """Return what is wrong with how a file is refused, or "" if nothing is."""
    refusals: list[str] = []

    def read(folder: Path) -> None:
        try:
            read_params(folder / PARAMS)
        except InputError as error:
            refusals.append(str(error).replace(f"{folder}/", ""))
            raise InputError("refused") from error

    with tempfile.TemporaryDirectory() as name:
        (Path(name) / PARAMS).write_bytes(invalid.content)
        outcome = hostile.judge(read, Path(name), _LIMITS)
    return fault_of_refusal(refusals[0], invalid.named) if outcome == hostile.REFUSED else outcome


def fault_of_experiment(clone: Path, override: str) -> str:
    """Return what is wrong with how `dvc exp run` refuses an override, or "" if nothing is."""
    key, before = re.escape(re.split(r"[=\s<]", override.lstrip("+~="))[0]), written(clone)
    ending = ending_of("dvc", "exp", "run", "-S", override, cwd=clone)
    faults = [fault_of(ending, ".") if ending.status else "accepted"]
    # Hydra only quotes the place of a syntax error, and names its grammar.
    if not re.search(rf"{key}|override_grammar", ending.said):
        faults.append(f"does not name {key}: {ending.said!r:.300}")
    if written(clone) != before:
        faults.append("began to work")
    # DVC leaves the override in the file.
    call("git", "checkout", "--quiet", "--", str(PARAMS), cwd=clone)
    return ", ".join(filter(None, faults))


def fault_of_refusal(said: str, named: Sequence[str]) -> str:
    """Return what is wrong with the text of a refusal, or "" if nothing is."""
    lines = said.split("\n")
    # Also separators of lines, halves of characters, and marks that change the direction of text.
    unprintable = {unicodedata.category(c) for c in "".join(lines)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    if unprintable or not all(line.startswith(f"{PARAMS}: ") for line in lines):
        return f"not one printable line for each mistake: {said!r:.300}"
    if max(map(len, lines)) > 500 or len(lines) > 30:
        return f"{len(lines)} lines, {len(said)} characters"
    missing = [pattern for pattern in named if not re.search(pattern, said)]
    return f"does not name {missing[0]}: {said!r:.300}" if missing else ""


# Settings `key=value`, with the values as JSON.
Settings = tuple[str, ...]

# A network and a schedule as small as possible; what is odd comes on top.
SMALL: Settings = (
    *("data.name=digits", "augment.views=2", "model.widths=[4, 4, 8]", "model.head_widths=[8]"),
    *("model.overclusters=20", "train.epochs=2"),
)
# Values that any key gets if Params accepts them, and larger ones that would take too long.
_EXTREMES = (
    *(None, False, True, 0, 1, 2, 3, 7, 9, 500, 719, 1436, 1437, 1438, 10_000, 2**31 - 1),
    *(0.0, 1e-300, 1e-3, 0.51, 0.99, 1.0, 2.0, 4.0, 10.0, 28.0, 100.0, 180.0, 1000.0),
)
_MOST = {"train.epochs": 3, "student.length": 1.0, "student.teachers": 2, "augment.views": 7,
         "model.clusters": 500, "model.overclusters": 500}  # fmt: skip
_SPECIAL: Mapping[str, Sequence[object]] = {
    "recipe": ("<b>&amp;", "=1+1", "ünïcode 数字", "r" * 60),
    "augment.ops": ([], *([name] for name in OPERATIONS), ["noise", "rotation"]),
    "model.widths": ([1], [3, 1, 2, 1, 1, 1, 1, 1], [16]),
    "model.head_widths": ([], [1], [2, 1, 2]),
    "train.precision": ("mixed_bfloat16",),
    "report.label": (3, "none such", "<i>"),
}


def _odd_values() -> Iterator[str]:
    """Yield odd settings `key=value` that Params accepts."""
    for key in _KEYS:
        limit = _MOST.get(key, math.inf)
        extremes = [value for value in _EXTREMES if value is None or value <= limit]
        for value in () if key.startswith("data.") else _SPECIAL.get(key, extremes):
            if value != _VALUES[key] and not _is_refused(key, json.dumps(value)):
                # The value of a key that holds text is written without quotes.
                yield f"{key}={value if isinstance(value, str) else json.dumps(value)}"


def odd_runs(numbers: random.Random, trials: int = 100) -> Iterator[Count]:
    """Run the pipeline with a few odd settings at a time, until each has been tried."""
    values = [*_odd_values()]
    numbers.shuffle(values)
    # Dealt key by key, so that no run gets two values of one key.
    order = {key: n for n, key in enumerate(dict.fromkeys(map(_key, values)))}
    values.sort(key=lambda value: order[_key(value)])
    return runs([tuple(values[n::trials]) for n in range(trials)])


def _key(setting: str) -> str:
    return setting.partition("=")[0]


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
    model = params.model
    words = " ".join(diagnose(row, model.head_sizes, normalizes_logits=model.normalize_logits))
    return [word for word in ("collapsed", "empty", "undecided") if word in words]
