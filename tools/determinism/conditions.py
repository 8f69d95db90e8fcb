"""What may differ between two runs of the same code, data and parameters, and how to try it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from iic.experiments.sweep.task import THREADS


@dataclass(frozen=True)
class Condition:
    """One thing that differs from the reference run.

    Attributes:
        what: differs, for the table.
        how: it is set, for the table; empty where `what` says it.
        variables: of the environment; `{top}` stands for a folder of the run's own.
        command: that starts Python.
        files: to write below `{top}` before, by name.
        locale: to make below `{top}/locale`, by its name in the system's sources.
        needs: instructions of the processor, as Linux names them.
        cores: that the machine has to have.
        python: version of the interpreter, if another one.
        folder: that the stages run in, below `{top}`.
        terminal: whether the stages write to one.
        jobs: pipelines at once.
        umask: of the stages.
        settings: other parameters.
    """

    what: str
    how: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    locale: str = ""
    needs: tuple[str, ...] = ()
    cores: int = 1
    python: str = ""
    folder: str = "clone"
    terminal: bool = False
    jobs: int = 1
    umask: int = 0o022
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Level:
    """What is run under conditions.

    Attributes:
        title: for the table.
        recipe: name of one.
        settings: on top of it.
        conditions: names.
    """

    title: str
    recipe: str
    settings: tuple[str, ...]
    conditions: tuple[str, ...]


def _threads(count: int) -> dict[str, str]:
    return dict.fromkeys(THREADS, str(count))


def _numpy_beyond_avx2() -> str:
    """Features of this machine that NumPy has code for, and that AVX2 processors lack."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return " ".join(name for name in found if name.startswith(("AVX512", "X86_V4")))


_ONEDNN = "ONEDNN_MAX_CPU_ISA"
_NUMPY = {"NPY_DISABLE_CPU_FEATURES": _numpy_beyond_avx2()}
_OPENBLAS = {"OPENBLAS_CORETYPE": "Haswell"}
_XLA = {"XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}
_NO_FMA = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2"}
AVX2 = {_ONEDNN: "AVX2", **_XLA, **_NUMPY, **_OPENBLAS}
_WIDE = ("avx512f",)
_KERAS = '{"floatx": "float64", "image_data_format": "channels_first", "epsilon": 0.01}'
_MATPLOTLIB = "font.size: 20\naxes.facecolor: yellow\n"
_LONG = "a path with spaces, ümläuts, 数字 and a good many letters " + "x" * 120
_HOME = {"HOME": "{top}/home", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": ""}
_TURKISH = {"LC_ALL": "tr_TR.UTF-8", "LOCPATH": "{top}/locale"}
_GERMAN = {"LC_ALL": "de_DE.UTF-8", "LOCPATH": "{top}/locale"}
_ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
_ZONE = {"TZ": "Pacific/Chatham"}

CONDITIONS: Mapping[str, Condition] = {
    "again": Condition("nothing, run once more"),
    "two-at-once": Condition("two runs at the same time", jobs=2),
    "threads-1": Condition("one thread", "the three variables = 1", _threads(1)),
    "threads-2": Condition(
        "two threads, said explicitly", "the three variables = 2", _threads(2), cores=2
    ),
    "threads-4": Condition("four threads", "the three variables = 4", _threads(4)),
    "intraop-1": Condition(
        "one thread within an operation", "`TF_NUM_INTRAOP_THREADS=1`", {THREADS[1]: "1"}
    ),
    "interop-1": Condition(
        "one operation at a time", "`TF_NUM_INTEROP_THREADS=1`", {THREADS[2]: "1"}
    ),
    "omp-1": Condition(
        "one thread in NumPy, SciPy and scikit-learn", "`OMP_NUM_THREADS=1`", {THREADS[0]: "1"}
    ),
    "one-core": Condition(
        "one core of two", "`taskset -c 0`", command=("taskset", "-c", "0"), cores=2
    ),
    "one-core-two-threads": Condition(
        "one core of two, two threads",
        "`taskset -c 0`, the three variables = 2",
        _threads(2),
        ("taskset", "-c", "0"),
        cores=2,
    ),
    "onednn-amx-off": Condition(
        "oneDNN without AMX",
        f"`{_ONEDNN}=AVX512_CORE_FP16`",
        {_ONEDNN: "AVX512_CORE_FP16"},
        needs=("amx_tile",),
    ),
    "onednn-bf16": Condition(
        "oneDNN with AVX-512 and bfloat16, no half precision",
        f"`{_ONEDNN}=AVX512_CORE_BF16`",
        {_ONEDNN: "AVX512_CORE_BF16"},
        needs=("avx512_bf16",),
    ),
    "onednn-avx512": Condition(
        "oneDNN with plain AVX-512",
        f"`{_ONEDNN}=AVX512_CORE`",
        {_ONEDNN: "AVX512_CORE"},
        needs=_WIDE,
    ),
    "onednn-avx2": Condition(
        "oneDNN with AVX2", f"`{_ONEDNN}=AVX2`", {_ONEDNN: "AVX2"}, needs=_WIDE
    ),
    "onednn-off": Condition(
        "TensorFlow's own convolutions", "`TF_ENABLE_ONEDNN_OPTS=0`", {"TF_ENABLE_ONEDNN_OPTS": "0"}
    ),
    "xla-avx2": Condition(
        "XLA (the transform of images) with AVX2",
        f"`XLA_FLAGS={_XLA['XLA_FLAGS']}`",
        _XLA,
        needs=_WIDE,
    ),
    "numpy-avx2": Condition(
        "NumPy with AVX2", "`NPY_DISABLE_CPU_FEATURES`, all beyond", _NUMPY, needs=_WIDE
    ),
    "openblas-avx2": Condition(
        "OpenBLAS (NumPy, SciPy, scikit-learn) with AVX2",
        "`OPENBLAS_CORETYPE=Haswell`",
        _OPENBLAS,
        needs=_WIDE,
    ),
    "avx2": Condition("all four with AVX2", "the four switches together", AVX2, needs=_WIDE),
    "no-fma": Condition(
        "the C library without FMA", "`GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2`", _NO_FMA
    ),
    "terminal": Condition("progress bars on a terminal", terminal=True),
    "turkish": Condition("a Turkish locale", "`LC_ALL=tr_TR.UTF-8`", _TURKISH, locale="tr_TR"),
    "german": Condition("a German locale", "`LC_ALL=de_DE.UTF-8`", _GERMAN, locale="de_DE"),
    "ascii": Condition("a locale of ASCII alone", "`LC_ALL=C PYTHONUTF8=0`", _ASCII),
    "time-zone": Condition("another time zone", "`TZ=Pacific/Chatham`", _ZONE),
    "path": Condition("a long path with spaces and letters beyond ASCII", folder=_LONG),
    "hash-seed": Condition("another order of sets", "`PYTHONHASHSEED=1`", {"PYTHONHASHSEED": "1"}),
    "umask": Condition("files for their owner alone", "`umask 077`", umask=0o077),
    "home": Condition("a new, empty home folder", "`HOME`", _HOME),
    "keras-settings": Condition(
        "settings of one's own for Keras",
        "`keras.json` with float64, channels first",
        {"KERAS_HOME": "{top}/keras"},
        files={"keras/keras.json": _KERAS},
    ),
    "matplotlib-settings": Condition(
        "settings of one's own for matplotlib",
        "`matplotlibrc` with large letters",
        {"MPLCONFIGDIR": "{top}/matplotlib"},
        files={"matplotlib/matplotlibrc": _MATPLOTLIB},
    ),
    "nice": Condition("a low priority", "`nice -n 19`", command=("nice", "-n", "19")),
    "memory": Condition(
        "memory that is never zero at first", "`MALLOC_PERTURB_=165`", {"MALLOC_PERTURB_": "165"}
    ),
    "addresses": Condition(
        "addresses that are not random", "`setarch -R`", command=("setarch", "-R")
    ),
    "surroundings": Condition(
        "terminal, Turkish locale, time zone, path, home, `umask` and order of sets at once",
        "as above",
        _TURKISH | _ZONE | _HOME | {"PYTHONHASHSEED": "1"},
        locale="tr_TR",
        folder=_LONG,
        terminal=True,
        umask=0o077,
    ),
    "python-3.11": Condition("Python 3.11", python="3.11"),
    "python-3.12": Condition("Python 3.12", python="3.12"),
    "python-3.13": Condition("Python 3.13", python="3.13"),
    "seed": Condition("for scale: another seed", "`seed: 1`", settings=("seed=1",)),
}

# What no switch of this machine shows.
ELSEWHERE = {
    "a real AVX2 processor, one of another maker, ARM": "no such machine; the switches show what "
    "the libraries would choose there, not what its maker does otherwise",
    "macOS": "no such machine",
    "a GPU": "no such machine; the pinned TensorFlow is the one for processors",
}

_PROCESSOR = ("onednn-amx-off", "onednn-bf16", "onednn-avx512", "onednn-avx2")
LEVELS: Mapping[str, Level] = {
    "digits": Level("digits", "tour", ("train.epochs=8",), tuple(CONDITIONS)),
    "bfloat16": Level(
        "digits, bfloat16",
        "tour",
        ("train.epochs=8", "train.precision=mixed_bfloat16"),
        ("again", "threads-1", *_PROCESSOR, "onednn-off", "seed"),
    ),
    "mnist": Level(
        "MNIST",
        "fast",
        (),
        (
            *("again", "seed", "threads-1", "avx2", "onednn-amx-off", "surroundings"),
            *("python-3.13", "one-core-two-threads", "two-at-once"),
        ),
    ),
}
