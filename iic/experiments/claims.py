"""Claims about variants, held against what was measured: paired differences, spread, a verdict."""

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy import stats

CONFIDENCE = 0.95
HOLDS, FAILS, OPEN = "holds", "does not hold", "undecided"
UNMEASURED = "not measured"
# What a study measures of a run, by the table of its page.
TABLES = {
    "Accuracy": {
        "acc": "accuracy of the last epoch",
        "best_acc": "accuracy of the best of the first 100 epochs by test labels, the article's",
        "best_epoch": "that epoch",
        "acc_100": "accuracy of epoch 100, the article's last",
        "change_after_100": "accuracy of the last epoch minus that of epoch 100",
        "train_acc": "accuracy of the last epoch on the training images",
        "nmi": "normalised mutual information of clusters and labels, test, last epoch",
        "ari": "adjusted Rand index of clusters and labels, test, last epoch",
    },
    "Clusters": {
        "merged": "digits that are the most frequent one of no cluster",
        "split": "digits that are the most frequent one of several clusters",
        "evenness": "entropy of the clusters' shares of training pairs, last epoch, over ln k",
        "over_acc": "accuracy of the overclustering head, each cluster its majority's digit",
        "over_digits": "digits that are the most frequent one of some overcluster",
        "crossed_held": "largest share of the crossed sevens in one overcluster",
        "crossed_pure": "share of that overcluster's sevens that are crossed",
    },
}
COLUMNS = {name: meaning for table in TABLES.values() for name, meaning in table.items()}
# All other columns are shares, shown in percent.
COUNTS = ("best_epoch", "merged", "split", "over_digits")
INDICES = ("nmi", "ari")

# Values of a column by variant and seed.
Column = Mapping[str, Mapping[int, float]]


class Claim(BaseModel):
    """A sentence about one column of one variant, and what has to be true for it.

    Attributes:
        says: the sentence.
        variant: of the grid.
        column: of the study's table.
        higher_than: variants whose column is lower, seed by seed.
        about: value that the mean is near to; `give` says how near.
        give: largest difference that still counts as near.
        reaches: value that every seed reaches.
        within: value that every seed stays below in either direction.
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
            raise ValueError("needs one of higher_than, about, reaches and within")
        if (self.about is None) != (self.give is None):
            raise ValueError("about needs give, how near is near, and nothing else does")
        if self.column not in COLUMNS:
            raise ValueError(f"{self.column!r} is no column (one of {', '.join(COLUMNS)})")
        return self

    @property
    def needs_spread(self) -> bool:
        """Whether it speaks of a mean, which one seed tells nothing of."""
        return self.higher_than is not None or self.about is not None

    @property
    def variants(self) -> list[str]:
        """All that it speaks of."""
        return [self.variant, *(self.higher_than or [])]


class Finding(NamedTuple):
    """One comparison: what was measured, in words, and the verdict on it."""

    measured: str
    verdict: str


def judge(claim: Claim, column: Column) -> list[Finding]:
    """Hold a claim against the values of its column; one finding a comparison."""
    values = column[claim.variant]
    if any(np.isnan(list(column[name].values())).any() for name in claim.variants):
        return [Finding("-", UNMEASURED)]
    if claim.higher_than is not None:
        return [
            _difference(claim, other, paired(values, column[other])) for other in claim.higher_than
        ]
    sample = list(values.values())
    measured = f"`{claim.variant}`: {summary(claim.column, sample)}"
    if claim.about is not None and claim.give is not None:
        low, high = interval(sample)
        near = (claim.about - claim.give, claim.about + claim.give)
        inside, apart = near[0] <= low <= high <= near[1], high < near[0] or low > near[1]
        return [
            Finding(
                f"{measured}; the mean in {_between(claim.column, low, high)}",
                HOLDS if inside else FAILS if apart else OPEN,
            )
        ]
    true = sum(_is_true(claim, value) for value in sample)
    verdict = HOLDS if true == len(sample) else FAILS if true == 0 else OPEN
    return [Finding(measured, f"{verdict}: {true} of {len(sample)} seeds")]


def _is_true(claim: Claim, value: float) -> bool:
    """Whether a claim that is about each seed is true of one."""
    if claim.within is not None:
        return abs(value) < claim.within
    return claim.reaches is not None and value >= claim.reaches


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> list[float]:
    """What the first has more than the second, seed by seed."""
    return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]


def interval(sample: Sequence[float]) -> tuple[float, float]:
    """Confidence interval of the mean of a normal sample (Student, 1908); at least two values."""
    if np.ptp(sample) == 0:
        # Without spread Student's interval is 0 / 0.
        return sample[0], sample[0]
    found = stats.ttest_1samp(sample, 0.0).confidence_interval(CONFIDENCE)
    return float(found.low), float(found.high)


def summary(column: str, sample: Sequence[float], then: str = ", from ") -> str:
    """Mean ± standard deviation, then the range; a dash where the column says nothing."""
    if np.isnan(sample).any():
        return "-"
    mean = figure(column, float(np.mean(sample)))
    if len(sample) == 1:
        return mean
    spread = figure(column, float(np.std(sample, ddof=1)))
    return f"{mean} ± {spread}{then}{_between(column, min(sample), max(sample))}"


def figure(column: str, value: float, sign: str = "") -> str:
    """A value of a column with its unit; sign "+" also shows that of positive ones."""
    if column in COUNTS:
        return f"{value:{sign}.1f}".removesuffix(".0")
    return f"{value:{sign}.4f}" if column in INDICES else f"{100 * value:{sign}.2f} %"


def _difference(claim: Claim, other: str, differences: list[float]) -> Finding:
    low, high = interval(differences)
    mean = figure(claim.column, float(np.mean(differences)), "+")
    return Finding(
        f"`{claim.variant}` - `{other}`: {mean}, in {_between(claim.column, low, high, '+')}",
        HOLDS if low > 0 else FAILS if high < 0 else OPEN,
    )


def _between(column: str, low: float, high: float, sign: str = "") -> str:
    return f"{figure(column, low, sign)} to {figure(column, high, sign)}"
