"""The listed cases of invalid parameters are refused by today's parameters, as they claim."""

import random

import pytest

from iic.core.errors import InputError
from iic.pipeline.stage import read_params
from tools.chaos import parameters
from tools.chaos.parameters import CONTRADICTIONS, OVERRIDES, TEXT, contradiction

# Beginnings of overrides that set a key or a section; others are refused whatever is in the file.
SETTINGS = tuple(f"{key}=" for key in (*parameters._KEYS, *parameters._SECTIONS))


@pytest.fixture
def refusal(tmp_path, monkeypatch):
    """A function that returns how the content of params.yaml is refused."""
    monkeypatch.chdir(tmp_path)

    def refuse(content):
        parameters.PARAMS.write_bytes(content)
        with pytest.raises(InputError) as refused:
            read_params(parameters.PARAMS)
        return str(refused.value)

    return refuse


@pytest.mark.parametrize("named", CONTRADICTIONS)
def test_a_contradiction_is_refused_in_a_line_that_names_its_key(refusal, named):
    invalid = contradiction(named, "abc")
    assert refusal(invalid.content).startswith(f"params.yaml: {named}: ")
    assert parameters.fault_of_refusal(refusal(invalid.content), invalid.named) == ""


def test_a_contradiction_of_a_key_that_is_gone_is_an_error(monkeypatch):
    gone = {"loss.teaching_weight": {"loss.teaching_weight": "0.0", "model.members": "1"}}
    monkeypatch.setattr(parameters, "CONTRADICTIONS", gone)
    with pytest.raises(StopIteration):
        contradiction("loss.teaching_weight")


def test_the_campaign_tries_each_contradiction():
    found = parameters.examples(parameters.KINDS["contradiction"], 40, random.Random(0))
    assert {file.named for file in found} == {contradiction(name).named for name in CONTRADICTIONS}
    assert {file.kind for file in found} == {"contradiction"}


def test_limits_and_special_values_of_odd_settings_are_of_known_keys():
    assert {*parameters._MOST, *parameters._SPECIAL} <= {*parameters._KEYS}


@pytest.mark.parametrize("content", parameters._OTHER_FILES)
def test_another_file_is_refused(refusal, content):
    assert parameters.fault_of_refusal(refusal(content), [parameters._PLACE]) == ""


@pytest.mark.parametrize("part", parameters._TOO_MUCH, ids=range(len(parameters._TOO_MUCH)))
def test_too_much_is_refused(refusal, part):
    begin, many, end = part
    content = f"{begin}{many * 1000}{end}\n{TEXT}".encode()
    assert parameters.fault_of_refusal(refusal(content), [parameters._PLACE]) == ""


@pytest.mark.parametrize("override", [o for o in OVERRIDES if o.lstrip("+").startswith(SETTINGS)])
def test_an_override_has_a_value_that_is_refused(refusal, override):
    key, _, value = override.lstrip("+").partition("=")
    start = parameters._LINES[parameters._line_of(key)].partition(":")[0]
    content = parameters._lines_with({key: f"{start}: {value}"})
    assert parameters.fault_of_refusal(refusal(content), [rf"{key}|line \d"]) == ""
