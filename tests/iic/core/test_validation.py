"""Validation errors of pydantic as one-line messages."""

from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError

from iic.core.validation import explain_first


class Form(BaseModel):
    names: dict[Annotated[str, Field(pattern="^[a-z]+$")], list[int]]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({}, "names: missing"),
        ({"names": {"A b": []}}, "names.'A b': 'A b' should match pattern '^[a-z]+$'"),
        ({"names": {"a": [1, "x"]}}, "names.a[1]: 'x' should be an integer, unable to parse"),
        (3, "3 should be a section of keys and values"),
    ],
)
def test_first_error_is_described_with_key_value_and_rule(form, message):
    with pytest.raises(ValidationError) as caught:
        Form.model_validate(form)
    assert explain_first(caught.value).startswith(message)
