"""Claims about variants: intervals, verdicts, and values with their unit."""

import numpy as np
import pytest

from iic.experiments.claims import (
    FAILS,
    HOLDS,
    OPEN,
    UNMEASURED,
    Claim,
    format_value,
    interval,
    judge,
    paired,
    summary,
)


def test_a_column_with_a_missing_value_is_a_dash():
    assert summary("crossed_held", [float("nan"), 0.5]) == "-"


def test_an_interval_equals_one_computed_by_hand():
    # Mean 3, standard deviation sqrt(2.5), 4 degrees of freedom: t = 2.776.
    half = 2.776445 * np.sqrt(2.5 / 5)
    assert interval([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx((3 - half, 3 + half), abs=1e-5)
    assert interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


def test_differences_are_taken_seed_by_seed():
    assert paired({0: 3.0, 2: 5.0, 7: 1.0}, {7: 0.5, 2: 1.0, 9: 4.0}) == [4.0, 0.5]


def test_values_are_formatted_with_their_unit():
    assert format_value("acc", 0.98765) == "98.77 %"
    assert format_value("acc", 0.01, "+") == "+1.00 %"
    assert format_value("merged", 1.2) == "1.2"
    assert summary("acc", [0.9, 0.8]) == "85.00 % ± 7.07 %, from 80.00 % to 90.00 %"
    assert summary("acc", [0.9, 0.8], "<br>") == "85.00 % ± 7.07 %<br>80.00 % to 90.00 %"
    assert summary("merged", [2.0]) == "2"
    assert format_value("nmi", 0.98765) == "0.9877"


TABLE = {
    "high": {0: 0.9, 1: 0.92, 2: 0.91},
    "low": {0: 0.5, 1: 0.53, 2: 0.51},
    "same": {0: 0.93, 1: 0.89, 2: 0.905},
}


def claim(**values: object) -> Claim:
    return Claim.model_validate({"says": "s", "variant": "high", "column": "acc"} | values)


def test_a_difference_is_judged_by_its_interval():
    findings = judge(claim(higher_than=["low", "same"]), TABLE)
    assert [finding.verdict for finding in findings] == [HOLDS, OPEN]
    low, high = interval([0.4, 0.39, 0.4])
    expected = f"`high` - `low`: +39.67 %, in {100 * low:+.2f} % to {100 * high:+.2f} %"
    assert findings[0].measured == expected
    (reverse,) = judge(claim(variant="low", higher_than=["high"]), TABLE)
    assert reverse.verdict == FAILS


@pytest.mark.parametrize(
    ("value", "give", "verdict"),
    [
        # The interval is 0.885 to 0.935.
        *((0.91, 0.03, HOLDS), (0.91, 0.02, OPEN), (0.94, 0.02, OPEN)),
        *((0.85, 0.03, FAILS), (0.97, 0.03, FAILS)),
    ],
)
def test_a_level_is_judged_by_the_interval_of_the_mean(value, give, verdict):
    (finding,) = judge(claim(about=value, give=give), TABLE)
    assert finding.verdict == verdict
    assert finding.measured.startswith("`high`: 91.00 % ± 1.00 %, from 90.00 % to 92.00 %")


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.9, f"{HOLDS}: 3 of 3 seeds"), (0.915, f"{OPEN}: 1 of 3 seeds"), (0.95, f"{FAILS}: 0 of 3")],
)
def test_a_threshold_counts_seeds(value, verdict):
    (finding,) = judge(claim(reaches=value), TABLE)
    assert finding.verdict.startswith(verdict)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.03, f"{HOLDS}: 3 of 3 seeds"), (0.02, f"{OPEN}: 2 of 3 seeds"), (0.005, f"{FAILS}: 0 of")],
)
def test_a_bound_applies_to_both_signs(value, verdict):
    changes = {"high": {0: 0.01, 1: -0.025, 2: -0.01}}
    (finding,) = judge(claim(within=value), changes)
    assert finding.verdict.startswith(verdict)


@pytest.mark.parametrize("kind", [{"reaches": 0.5}, {"within": 0.5}, {"higher_than": ["low"]}])
def test_a_missing_value_gives_no_verdict(kind):
    table = {"high": {0: float("nan"), 1: 0.9}, "low": {0: 0.1, 1: 0.2}}
    assert judge(claim(**kind), table) == [("-", UNMEASURED)]
