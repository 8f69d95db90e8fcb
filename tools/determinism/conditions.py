"""What may differ between two runs of the same code, data and parameters, and how to set it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from iic.experiments.sweep.task import THREADS


class Condition(NamedTuple):
    """One difference from the reference run; `{top}` stands for a folder of the run's own."""

    what: str  # what differs, for the table
    how: str = ""  # how it is set, for the table
    variables: Mapping[str, str] = {}  # environment variables
    command: tuple[str, ...] = ()  # command that starts Python
    files: Mapping[str, str] = {}  # contents to write below {top}, by name
    locale: str = ""  # locale to make below {top}/locale, by its name in the system's sources
    needs: tuple[str, ...] = ()  # instructions of the processor, as Linux names them
    cores: int = 1  # cores that the machine must have
    python: str = ""  # version of another interpreter
    folder: str = "clone"  # working directory of the stages, below {top}
    terminal: bool = False  # whether the stages write to a terminal
    jobs: int = 1  # pipelines at once
    umask: int = 0o022  # file mode mask of the stages
    settings: Mapping[str, object] = {}  # other parameters, as in a recipe


class Level(NamedTuple):
    """A pipeline that is run under conditions."""

    title: str  # name of the data, for the table
    recipe: str  # name of a recipe
    settings: Mapping[str, object]  # other parameters, as in a recipe
    conditions: tuple[str, ...]  # names of the conditions


# Features of this processor that NumPy has code for, and that AVX2 processors lack.
_FOUND = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
_BEYOND_AVX2 = " ".join(name for name in _FOUND if name.startswith(("AVX512", "X86_V4")))
_TWO = dict.fromkeys(THREADS, "2")
_ONEDNN = "ONEDNN_MAX_CPU_ISA"
_NUMPY = {"NPY_DISABLE_CPU_FEATURES": _BEYOND_AVX2}
_OPENBLAS = ("OPENBLAS_CORETYPE", "Haswell")
_XLA = ("XLA_FLAGS", "--xla_cpu_max_isa=AVX2")
_AVX2 = dict([(_ONEDNN, "AVX2"), _XLA, _OPENBLAS]) | _NUMPY
_WIDE = ("avx512f",)
_KERAS = '{"floatx": "float64", "image_data_format": "channels_first", "epsilon": 0.01}'
_MATPLOTLIB = "font.size: 20\naxes.facecolor: yellow\n"
_LONG = "a path with spaces, ümläuts, 数字 and a good many letters " + "x" * 120
_HOME = {"HOME": "{top}/home", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": ""}
_TURKISH, _GERMAN = (
    {"LC_ALL": f"{name}.UTF-8", "LOCPATH": "{top}/locale"} for name in ("tr_TR", "de_DE")
)
_ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
_ZONE = {"TZ": "Pacific/Chatham"}
_ONE_CORE = ("taskset", "-c", "0")


def _switch(what: str, variable: str, value: str, *needs: str) -> Condition:
    return Condition(what, f"`{variable}={value}`", {variable: value}, needs=needs)


CONDITIONS: Mapping[str, Condition] = {
    "again": Condition("nothing, run once more"),
    "two-at-once": Condition("two runs at the same time", jobs=2),
    "threads-1": Condition("one thread", "the three variables = 1", dict.fromkeys(THREADS, "1")),
    "threads-2": Condition("two threads, set explicitly", "the three variables = 2", _TWO,
                           cores=2),
    "threads-4": Condition("four threads", "the three variables = 4", dict.fromkeys(THREADS, "4")),
    "intraop-1": _switch("one thread within an operation", THREADS[1], "1"),
    "interop-1": _switch("one operation at a time", THREADS[2], "1"),
    "omp-1": _switch("one thread in NumPy, SciPy and scikit-learn", THREADS[0], "1"),
    "one-core": Condition("one core of two", "`taskset -c 0`", command=_ONE_CORE, cores=2),
    "one-core-two-threads": Condition(
        "one core of two, two threads", "`taskset -c 0`, the three variables = 2", _TWO,
        _ONE_CORE, cores=2),
    "onednn-amx-off": _switch("oneDNN without AMX", _ONEDNN, "AVX512_CORE_FP16", "amx_tile"),
    "onednn-bf16": _switch("oneDNN with AVX-512 and bfloat16, no half precision", _ONEDNN,
                           "AVX512_CORE_BF16", "avx512_bf16"),
    "onednn-avx512": _switch("oneDNN with plain AVX-512", _ONEDNN, "AVX512_CORE", *_WIDE),
    "onednn-avx2": _switch("oneDNN with AVX2", _ONEDNN, "AVX2", *_WIDE),
    "onednn-off": _switch("TensorFlow's own convolutions", "TF_ENABLE_ONEDNN_OPTS", "0"),
    "xla-avx2": _switch("XLA (the transform of images) with AVX2", *_XLA, *_WIDE),
    "numpy-avx2": Condition(
        "NumPy with AVX2", "`NPY_DISABLE_CPU_FEATURES`, all beyond", _NUMPY, needs=_WIDE),
    "openblas-avx2": _switch(
        "OpenBLAS (NumPy, SciPy, scikit-learn) with AVX2", *_OPENBLAS, *_WIDE),
    "avx2": Condition("all four with AVX2", "the four switches together", _AVX2, needs=_WIDE),
    "no-fma": _switch(
        "the C library without FMA", "GLIBC_TUNABLES", "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2"),
    "terminal": Condition("progress bars on a terminal", terminal=True),
    "turkish": Condition("a Turkish locale", "`LC_ALL=tr_TR.UTF-8`", _TURKISH, locale="tr_TR"),
    "german": Condition("a German locale", "`LC_ALL=de_DE.UTF-8`", _GERMAN, locale="de_DE"),
    "ascii": Condition("an ASCII locale", "`LC_ALL=C PYTHONUTF8=0`", _ASCII),
    "time-zone": _switch("another time zone", "TZ", _ZONE["TZ"]),
    "path": Condition("a long path with spaces and letters beyond ASCII", folder=_LONG),
    "hash-seed": _switch("another order of sets", "PYTHONHASHSEED", "1"),
    "umask": Condition("files that only their owner can read", "`umask 077`", umask=0o077),
    "home": Condition("a new, empty home folder", "`HOME`", _HOME),
    "keras-settings": Condition(
        "a user's settings for Keras", "`keras.json` with float64, channels first",
        {"KERAS_HOME": "{top}/keras"}, files={"keras/keras.json": _KERAS}),
    "matplotlib-settings": Condition(
        "a user's settings for Matplotlib", "`matplotlibrc` with large letters",
        {"MPLCONFIGDIR": "{top}/matplotlib"}, files={"matplotlib/matplotlibrc": _MATPLOTLIB}),
    "nice": Condition("a low priority", "`nice -n 19`", command=("nice", "-n", "19")),
    "memory": _switch("new memory that is not zero", "MALLOC_PERTURB_", "165"),
    "addresses": Condition("fixed memory addresses", "`setarch -R`", command=("setarch", "-R")),
    "surroundings": Condition(
        "terminal, Turkish locale, time zone, path, home, `umask` and order of sets at once",
        "as above", _TURKISH | _ZONE | _HOME | {"PYTHONHASHSEED": "1"}, locale="tr_TR",
        folder=_LONG, terminal=True, umask=0o077),
    **{f"python-{version}": Condition(f"Python {version}", python=version)
       for version in ("3.11", "3.12", "3.13")},
    "seed": Condition("for scale: another seed", "`seed: 1`", settings={"seed": 1}),
}  # fmt: skip

# What this machine cannot show.
ELSEWHERE = {
    "a real AVX2 processor, one of another maker, ARM": "no such machine; the switches show what "
    "the libraries would choose there, not how that processor differs otherwise",
    "macOS": "no such machine",
    "a GPU": "no such machine; on x86-64 Linux the pinned TensorFlow could use one, but its CUDA "
    "libraries are not installed",
}
_BFLOAT16 = {"train": {"epochs": 8, "precision": "mixed_bfloat16"}}
LEVELS: Mapping[str, Level] = {
    "digits": Level("digits", "tour", {"train": {"epochs": 8}}, tuple(CONDITIONS)),
    "bfloat16": Level("digits, bfloat16", "tour", _BFLOAT16, (
        *("again", "threads-1", "onednn-amx-off", "onednn-bf16", "onednn-avx512", "onednn-avx2"),
        *("onednn-off", "seed"))),
    "mnist": Level("MNIST", "fast", {}, (
        *("again", "seed", "threads-1", "avx2", "onednn-amx-off", "surroundings"),
        *("python-3.13", "one-core-two-threads", "two-at-once"))),
}  # fmt: skip
