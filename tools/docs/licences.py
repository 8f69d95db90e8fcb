"""List the licences of all pinned packages in docs/licences.md.

`python -m tools.docs.licences` rewrites it from the metadata of what is installed.
"""

from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from iic.core.errors import InputError
from iic.core.files import write_text
from tools.command import run_main
from tools.docs.pins import Pin, pins, requirements

PAGE = Path("docs/licences.md")
NOT_STATED = "not stated"
_TOP = """# Licences of the packages

All that `requirements*.txt` pin, with the licence that each package's own metadata state. This
project's own is the [MIT licence](../LICENSE). Nothing of these packages is part of this
repository; `pip` installs them. `requirements/run.txt` alone is what the pipeline needs; the other
files are for developers, and for what [CONTRIBUTING.md](../CONTRIBUTING.md#dependencies) names.

`python -m tools.docs.licences` writes this page. It needs all of them installed, by
`pip install --no-deps -r` of each file, into a folder on `PYTHONPATH` if need be.

| package | version | licence | in requirements |
| --- | --- | --- | --- |
"""
_CLASSIFIER = "License :: "
# A whole text stands there instead of a name.
_LONGEST = 60


def licence_of(package: Distribution) -> str:
    """The SPDX expression of a package if it states one, else its classifiers, else its words."""
    said = package.metadata.get_all
    classifiers = [c.split(" :: ")[-1] for c in said("Classifier", []) if _is_named(c)]
    words = [text for text in said("License", []) if _is_name(text)]
    return ", ".join(said("License-Expression", []) or classifiers or words) or NOT_STATED


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and "\n" not in text and text != "UNKNOWN"


def _is_named(classifier: str) -> bool:
    return classifier.startswith(_CLASSIFIER) and classifier != f"{_CLASSIFIER}OSI Approved"


def rows() -> list[tuple[str, str, str, str]]:
    """Name, versions, licence and files of each package.

    Raises:
        InputError: a package is installed at none of the versions that are pinned.
    """
    uses: dict[str, dict[Pin, list[str]]] = {}
    for path in requirements():
        use = path.stem.removeprefix("requirements").removeprefix("-") or "all"
        for pin in pins(path):
            uses.setdefault(pin.name, {}).setdefault(pin, []).append(use)
    return [_row(name, of_pin) for name, of_pin in sorted(uses.items())]


def _row(name: str, of_pin: Mapping[Pin, list[str]]) -> tuple[str, str, str, str]:
    versions = [pin.version for pin in of_pin]
    try:
        package = distribution(name)
    except PackageNotFoundError as error:
        raise InputError(f"{name}: not installed; {PAGE} says how") from error
    if package.version not in versions:
        raise InputError(f"{name}: {package.version} is installed, not {', '.join(versions)}")
    files = dict.fromkeys(use for found in of_pin.values() for use in found)
    return name, ", ".join(versions), licence_of(package), ", ".join(files)


def main(arguments: list[str]) -> None:
    """Rewrite the page."""
    if arguments:
        raise InputError("python -m tools.docs.licences takes no argument")
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows()]
    write_text(PAGE, _TOP + "\n".join(lines) + "\n")


if __name__ == "__main__":
    run_main(main)
