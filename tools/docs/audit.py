"""Ask for known advisories about each pinned package: `make audit`.

Fails where there is one, and where nothing could be learnt about a package.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from iic.core.errors import InputError, reason_of
from tools.command import run_main
from tools.docs.pins import requirements

# Packages without data that are named.
_NAMED = 3


def audited(path: Path) -> list[Mapping[str, Any]]:
    """What pip-audit knows of each package that a file pins; nothing is installed for it.

    Raises:
        InputError: it could not ask.
    """
    options = ("--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json")
    done = subprocess.run(  # noqa: S603 - a list, no shell
        [sys.executable, "-m", "pip_audit", *options, "--requirement", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except (ValueError, KeyError, TypeError) as error:
        last = done.stderr.strip().splitlines()[-1:]
        reason = reason_of(last[0]) if last else f"exit status {done.returncode}"
        raise InputError(f"{path}: no data could be had ({reason})") from error


def advisories(found: list[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each advisory: the package, its names and what mends it."""
    for package in found:
        for known in package.get("vulns", []):
            names = ", ".join([known["id"], *known.get("aliases", [])])
            fixed = ", ".join(known["fix_versions"]) or "no version yet"
            yield reason_of(f"{package['name']} {package['version']}: {names}; fixed in {fixed}")


def without_data(found: list[Mapping[str, Any]]) -> list[str]:
    """Why nothing is known of a package, for each of those: no advisory is not the same."""
    return [reason_of(package["skip_reason"]) for package in found if "skip_reason" in package]


def main(arguments: list[str]) -> None:
    """Audit all files; fail with all that was found."""
    if arguments:
        raise InputError("python -m tools.docs.audit takes no argument")
    wrong: list[str] = []
    for path in requirements():
        found = audited(path)
        wrong += [f"{path}: {line}" for line in advisories(found)]
        unknown = without_data(found)
        if unknown or not found:
            some = "; ".join(unknown[:_NAMED])
            wrong.append(f"{path}: no data on {len(unknown)} of {len(found)} packages ({some})")
        known = len(found) - len(unknown)
        sys.stdout.write(f"{path}: asked about {known} packages\n")
    if wrong:
        raise InputError("\n".join(wrong))
    sys.stdout.write("no advisory is known\n")


if __name__ == "__main__":
    run_main(main)
