"""Check claims about variants against measurements: paired differences, spread, a verdict."""

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from iic.core.plurals import counted

CONFIDENCE = 0.95
HOLDS, FAILS, OPEN = "holds", "does not hold", "undecided"
UNMEASURED = "not measured"
# The columns of a study's table and their meaning, by the heading on its page.
TABLES = {
    "Accuracy": {
        "acc": "test accuracy of the last epoch",
        "best_acc": "highest test accuracy of the first 100 epochs, as the article reports it",
        "best_epoch": "epoch of `best_acc`",
        "acc_100": "test accuracy of epoch 100, the article's last",
        "change_after_100": "test accuracy of the last epoch minus that of epoch 100",
        "train_acc": "accuracy of the last epoch on the training images",
        "nmi": "normalised mutual information of clusters and labels, test, last epoch",
        "ari": "adjusted Rand index of clusters and labels, test, last epoch",
    },
    "Clusters": {
        "merged": "number of digits that are the majority of no cluster",
        "split": "number of digits that are the majority of several clusters",
        "evenness": "entropy of the clusters' marginal over training pairs, last epoch, over ln k",
        "over_acc": "accuracy of the overclusters, each named by its majority of training images",
        "over_purity": "accuracy of the overclusters, each named by its majority of test images",
        "over_digits": "number of digits that are the majority of at least one overcluster",
        "crossed_held": "largest share of the crossed sevens in one overcluster",
        "crossed_pure": "share of crossed sevens among all sevens of that overcluster",
    },
}
COLUMNS = {name: meaning for table in TABLES.values() for name, meaning in table.items()}
# All other columns are shares, shown in percent.
COUNTS = ("best_epoch", "merged", "split", "over_digits")
INDICES = ("nmi", "ari")

# Values of a column by variant and seed.
Column = Mapping[str, Mapping[int, float]]


class Claim(BaseModel):
    """A statement about one column of one variant, and the condition under which it holds.

    Exactly one of `higher_than`, `about`, `reaches` and `within` is given.

    Attributes:
        says: The statement, a sentence.
        variant: Name of the variant.
        column: Name of a column of the study's table.
        higher_than: Names of variants whose values are lower, compared seed by seed.
        about: Expected mean.
        give: Largest difference from `about`, positive.
        reaches: Value that every seed reaches or exceeds.
        within: Bound on the absolute value of every seed, positive.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    says: str
    variant: str
    column: str
    higher_than: Annotated[list[str], Field(min_length=1)] | None = None
    about: float | None = None
    give: Annotated[float, Field(gt=0)] | None = None
    reaches: float | None = None
    within: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _is_one_claim(self) -> Self:
        kinds = (self.higher_than, self.about, self.reaches, self.within)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("needs exactly one of higher_than, about, reaches and within")
        if (self.about is None) != (self.give is None):
            raise ValueError("about and give belong together: give both or neither")
        if self.column not in COLUMNS:
            raise ValueError(f"{self.column!r} is not a column (one of {', '.join(COLUMNS)})")
        return self

    @property
    def needs_spread(self) -> bool:
        """Whether the claim is about a mean, whose interval needs two or more seeds."""
        return self.higher_than is not None or self.about is not None

    @property
    def variants(self) -> list[str]:
        """Names of all variants that the claim mentions."""
        return [self.variant, *(self.higher_than or [])]


class Finding(NamedTuple):
    """One comparison of a claim: the measurement in words, and the verdict."""

    measured: str
    verdict: str


def judge(claim: Claim, column: Column) -> list[Finding]:
    """Check a claim against the values of its column.

    Args:
        claim: Claim to check.
        column: Values of the claim's column by variant and seed.

    Returns:
        One finding, or one for each variant in `higher_than`.
    """
    values = column[claim.variant]
    if any(np.isnan(list(column[name].values())).any() for name in claim.variants):
        return [Finding("-", UNMEASURED)]
    if claim.higher_than is not None:
        return [
            _judge_difference(claim, other, paired(values, column[other]))
            for other in claim.higher_than
        ]
    sample = list(values.values())
    measured = f"`{claim.variant}`: {summary(claim.column, sample)}"
    if claim.about is not None and claim.give is not None:
        low, high = interval(sample)
        near = (claim.about - claim.give, claim.about + claim.give)
        inside, apart = near[0] <= low <= high <= near[1], high < near[0] or low > near[1]
        return [
            Finding(
                f"{measured}; the mean in {_format_range(claim.column, low, high)}",
                HOLDS if inside else FAILS if apart else OPEN,
            )
        ]
    true = sum(_is_true(claim, value) for value in sample)
    verdict = HOLDS if true == len(sample) else FAILS if true == 0 else OPEN
    return [Finding(measured, f"{verdict}: {true} of {counted(len(sample), 'seed')}")]


def _is_true(claim: Claim, value: float) -> bool:
    """Return whether a claim about each seed holds for the value of one seed."""
    if claim.within is not None:
        return abs(value) < claim.within
    return claim.reaches is not None and value >= claim.reaches


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> list[float]:
    """Compute the differences between two variants, seed by seed.

    Args:
        first: Value of the first variant by seed.
        second: Value of the second variant by seed.

    Returns:
        Differences, first minus second, of the seeds that both have.
    """
    return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]


def interval(sample: Sequence[float]) -> tuple[float, float]:
    """Return the confidence interval of the mean of a normal sample (Student, 1908).

    Args:
        sample: Two or more values.

    Returns:
        Lower and upper bound.
    """
    if np.ptp(sample) == 0:
        # Without spread Student's interval is 0 / 0.
        return sample[0], sample[0]
    # Imported here, since it takes a second, which commands would need to refuse a setting.
    from scipy import stats

    found = stats.ttest_1samp(sample, 0.0).confidence_interval(CONFIDENCE)
    return float(found.low), float(found.high)


def summary(column: str, sample: Sequence[float], separator: str = ", from ") -> str:
    """Format a sample: mean ± standard deviation and range, or a dash if a value is missing.

    Args:
        column: Name of the column, which decides the unit.
        sample: One or more values.
        separator: Text between the standard deviation and the range.

    Returns:
        Text with the unit of the column.
    """
    if np.isnan(sample).any():
        return "-"
    mean = format_value(column, float(np.mean(sample)))
    if len(sample) == 1:
        return mean
    spread = format_value(column, float(np.std(sample, ddof=1)))
    return f"{mean} ± {spread}{separator}{_format_range(column, min(sample), max(sample))}"


def format_value(column: str, value: float, sign: str = "") -> str:
    """Format a value with the unit of its column.

    Args:
        column: Name of the column, which decides the unit.
        value: Value of the column.
        sign: "+" to mark positive values, too.
    """
    if column in COUNTS:
        return f"{value:{sign}.1f}".removesuffix(".0")
    return f"{value:{sign}.4f}" if column in INDICES else f"{100 * value:{sign}.2f} %"


def _judge_difference(claim: Claim, other: str, differences: list[float]) -> Finding:
    low, high = interval(differences)
    mean = format_value(claim.column, float(np.mean(differences)), "+")
    return Finding(
        f"`{claim.variant}` - `{other}`: {mean}, in {_format_range(claim.column, low, high, '+')}",
        HOLDS if low > 0 else FAILS if high < 0 else OPEN,
    )


def _format_range(column: str, low: float, high: float, sign: str = "") -> str:
    return f"{format_value(column, low, sign)} to {format_value(column, high, sign)}"
