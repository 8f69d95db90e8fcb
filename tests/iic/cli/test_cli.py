"""The command line `iic` as a whole: help, groups, mistakes, imports. Commands have own tests."""

import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from conftest import ROOT, environment

from iic.cli.main import cli, main

COMMANDS = cli.commands
GROUPS = {
    "Use a trained model:": ["predict", "segment", "explore", "export", "info"],
    "Run and compare experiments:": ["recipe", "seeds", "choose", "study", "sweep", "compare"],
    "Maintain:": ["repair"],
}


def options_of(command: click.Command) -> list[click.Option]:
    return [option for option in command.params if isinstance(option, click.Option)]


def end_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """Run the command line in this process; return the exit status or message."""
    monkeypatch.setattr(sys, "argv", ["iic", *arguments])
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code


def test_help_lists_every_command_with_one_line_under_its_heading():
    shown = CliRunner().invoke(cli, ["--help"], prog_name="iic").output
    groups = {}
    for block in shown.split("\n\n"):
        heading, *lines = block.strip().splitlines()
        if heading in GROUPS:
            groups[heading] = [line.split()[0] for line in lines]
    assert groups == GROUPS
    assert sorted(name for names in groups.values() for name in names) == sorted(COMMANDS)
    for name, command in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(command.short_help)}$", shown, re.MULTILINE)
        assert command.short_help.endswith(".")


def test_without_a_command_the_help_is_shown(monkeypatch, capsys):
    assert end_of(monkeypatch) == 2
    said = capsys.readouterr()
    assert "Use a trained model:" in said.out + said.err


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_describes_every_option(name):
    result = CliRunner().invoke(cli, [name, "--help"], prog_name="iic")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: iic {name}")
    shown = " ".join(result.output.split())
    for option in options_of(COMMANDS[name]):
        assert option.help.rstrip("]").endswith(".") or "[default: " in option.help, option.name
        assert " ".join(option.help.split()) in shown
        assert all(word in shown for word in (*option.opts, *option.secondary_opts))
        if not (option.is_flag or option.required or option.multiple):
            description = shown[shown.index(f"{option.opts[-1]} ") :].partition(" --")[0]
            assert "[default: " in description, option.name


@pytest.mark.parametrize("word", ["--model", "--jobs", "--again", "--set", "-S"])
def test_options_of_the_same_name_look_the_same(word):
    found = [
        (option.opts, option.metavar, option.help, option.default)
        for name, command in COMMANDS.items()
        for option in options_of(command)
        # The model of `iic segment` is that of the other pipeline.
        if word in option.opts and (word, name) != ("--model", "segment")
    ]
    assert len(found) > 1
    assert all(option == found[0] for option in found)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ("train", 2, "No such command 'train'; see `iic --help`"),
        ("study", 2, "Missing argument 'GRID'; see `iic study --help`"),
        ("study mine.yaml --jobs 0", 2, "'--jobs': 0 is not in the range"),
        ("seeds --first -1", 2, "'--first': -1 is not in the range"),
        ("seeds --count few", 2, "'--count': 'few' is not a valid integer"),
        ("choose 1", 2, "'K...': 1 is not in the range"),
        ("compare HEAD HEAD", 2, "two different runs or more"),
        ("export", 2, "Missing option '--format'. Choose from: savedmodel, keras, onnx, litert"),
        ("recipe --run", 2, "need the NAME of a recipe"),
        ("recipe fast --again", 2, "No such option"),
        ("recipe fasst", 1, "fasst: no such recipe (one of default, article"),
        ("recipe fast -S loss.alhpa=1", 1, "loss.alhpa: unknown key"),
        ("seeds fasst", 1, "fasst: no such recipe"),
        ("choose 5 --recipe fasst", 1, "fasst: no such recipe"),
        ("choose 5 -S model.clusters=12", 1, "model.clusters: `iic choose` sets it"),
        ("study studies/mine.yaml", 1, "studies/mine.yaml: not found; the grids are in studies/"),
        ("sweep studies/mine.yaml --dry-run", 1, "studies/mine.yaml: not found"),
        ("predict scans --max-images 5", 1, "scans"),
        ("compare HEAD workspace", 1, "not a Git repository, which experiments need"),
        ("repair", 1, "run from the repository's top folder"),
    ],
)
def test_a_mistake_is_one_line(folder, monkeypatch, capsys, words, status, message):
    code = end_of(monkeypatch, *words.split())
    said = capsys.readouterr().err.splitlines()
    if isinstance(code, str):
        # The interpreter prints it and exits with status 1.
        code, said = 1, [*said, *code.splitlines()]
    errors = [line for line in said if line.startswith("error: ")]
    assert code == status
    assert len(errors) == 1
    assert said[-1] == errors[0]
    assert message in errors[0]


@pytest.mark.parametrize(
    ("function", "words"),
    [("study.run_study", ["study", "mine.yaml"]), ("choose.choose_k", ["choose", "5"])],
)
def test_an_interruption_tells_that_the_worker_goes_on(monkeypatch, function, words):
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"iic.experiments.{function}", interrupted)
    assert "interrupted; finished results are kept; DVC's worker goes on" in end_of(
        monkeypatch, *words
    )


def test_help_imports_nothing_heavy():
    heavy = ("tensorflow", "keras", "dvc", "ray", "matplotlib", "scipy", "sklearn", "pandas")
    code = (
        "import sys\n"
        "from iic.cli.main import main\n"
        f"for words in ([], *([name] for name in {list(COMMANDS)})):\n"
        "    sys.argv = ['iic', *words, '--help']\n"
        "    main()\n"
        f"sys.stderr.write(' '.join(name for name in {heavy} if name in sys.modules))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=ROOT)
    assert done.stdout.count("Usage: iic") == 1 + len(COMMANDS)
    assert done.stderr == ""


def test_the_code_of_a_folder_runs_as_a_module():
    command = [sys.executable, "-m", "iic.cli", "recipe"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("default ")
