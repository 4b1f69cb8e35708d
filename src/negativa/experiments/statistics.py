"""Statistics for arms that are paired by seed: intervals, tests, and what a number of seeds can tell at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from negativa.errors import InputError
from negativa.plain.knobs import whole

CONFIDENCE: Final = 0.95
LEVEL: Final = 0.05  # a p-value below it is called significant
POWER: Final = 0.8
RESAMPLES: Final = 9_999
TOGETHER: Final = 1_000_000  # numbers of resamples in memory

Statistic = Callable[[Sequence[int]], float]


@dataclass(frozen=True)
class Estimate:
    """A number of an arm with its 95 % interval, from `n` pictures; `low` and `high` are nan where they tell of none."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Difference:
    """What changed from one arm to another, with its 95 % interval and p-value, from `n` pairs of equal seed.

    `low` and `high` are nan where the pairs tell of no interval.
    """

    value: float
    low: float
    high: float
    n: int
    p: float


def with_interval(one: Estimate | Difference, sign: str = "") -> str:
    """As text, "0.48 [0.37, 0.6]", without brackets where there is no interval; `sign` "+" shows that of a number above 0."""
    value, low, high = (f"{number:{sign}.3g}" for number in (one.value, one.low, one.high))
    return value if math.isnan(one.low) else f"{value} [{low}, {high}]"


def mean(values: Sequence[float]) -> Estimate:
    """The mean of an arm's scores, one a seed.

    Scores that are all 0 or 1 are a share, with Wilson's interval (1927), which holds for few seeds and for shares of 0 and
    1 too. Others: the bootstrap (see `difference`). Raises `InputError` if there are none, or one is not finite.
    """
    rows = _finite("values", values)
    if not _is_binary(rows):
        return Estimate(float(rows.mean()), *_bootstrap(rows), len(rows))
    from scipy.stats import binomtest

    interval = binomtest(int(rows.sum()), len(rows)).proportion_ci(CONFIDENCE, "wilson")
    return Estimate(float(rows.mean()), float(interval.low), float(interval.high), len(rows))


def difference(before: Sequence[float], after: Sequence[float]) -> Difference:
    """The mean of `after` - `before`, two arms' scores in the same order of seeds.

    Scores that are all 0 or 1: p is McNemar's exact test (two-sided binomial over the pairs that differ), the interval that
    of Agresti & Min 2005, "Simple improved confidence intervals for comparing matched proportions" (half a pair added to
    each of the four cells): a bootstrap's has no width where no pair differs.
    Others: p is the paired permutation test (signs of the differences turned; all 2^n up to n = 13, else 9,999 drawn and one
    added to both counts), the interval the expanded percentile bootstrap over 9,999 resamples (Hesterberg 2015, "What
    teachers should know about the bootstrap", arXiv 1411.5279: the tails are those of t, or few pairs would make it too
    narrow). Where all differences are equal both its ends are that difference, for a single pair they are nan.
    The same numbers give the same answer. Raises `InputError` if the two differ in length, are empty, or not finite.
    """
    first, second = _finite("before", before), _finite("after", after)
    if len(first) != len(second):
        raise InputError(f"after: {len(second)} scores were given beside {len(first)}; allowed: one for each seed of both arms")
    apart = second - first
    if _is_binary(first) and _is_binary(second):
        gained, lost = int((apart > 0).sum()), int((apart < 0).sum())
        return Difference(float(apart.mean()), *_agresti_min(gained, lost, len(apart)), len(apart), mcnemar(gained, lost))
    return Difference(float(apart.mean()), *_bootstrap(apart), len(apart), _sign_flips(apart))


def mcnemar(gained: int, lost: int) -> float:
    """p of the exact two-sided test of McNemar (1947), given how many pairs turned from 0 to 1 and how many from 1 to 0."""
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def jackknife(statistic: Statistic, n: int) -> Estimate:
    """A number of a whole arm, with the interval of Tukey's jackknife: one seed left out at a time, t with n - 1 degrees.

    `statistic` is given the indices (of 0..n-1) that are in. Its `value` is that of all n, not corrected for bias. For
    smooth numbers such as the Vendi score; few seeds make it wide. Under three seeds, where one of the numbers is nan, or
    where leaving out changes nothing (no picture has a twin), it tells of no interval: the ends are nan.
    """
    value, error = _leaving_out(statistic, n)
    reach = _t_quantile(n) * error if error else math.nan
    return Estimate(value, value - reach, value + reach, n)


def jackknife_difference(before: Statistic, after: Statistic, n: int) -> Difference:
    """The difference of a whole-arm number, `after` - `before`, by leaving the same seed out of both arms (see `jackknife`).

    p is that of the t-test with n - 1 degrees, but never less than 2^(1 - n), the least that any paired test of signs can
    give: where leaving out changes nothing, t has no bound.
    """
    from scipy.stats import t

    value, error = _leaving_out(lambda kept: after(kept) - before(kept), n)
    reach = _t_quantile(n) * error if error else math.nan
    if math.isnan(error):
        return Difference(value, math.nan, math.nan, n, 1.0)
    p = 2 * float(t.sf(abs(value) / error, n - 1)) if error else float(value == 0)
    p = max(p, 2.0 ** (1 - n))
    return Difference(value, value - reach, value + reach, n, p)


def holm(ps: Sequence[float]) -> list[float]:
    """The p-values of a family of comparisons, adjusted so that any false alarm at all stays under the level.

    Holm 1979, "A simple sequentially rejective multiple test procedure"; in the order given, at most 1.
    """
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = largest
    return adjusted


def detectable(n: int, worst: bool = False, comparisons: int = 1) -> float:
    """The smallest change of a share (0 to 1) that `n` seeds tell in 80 % of all tries, by McNemar's exact test at 5 %.

    Of several `comparisons` it is that of one alone, at the level that Holm's correction asks of the smallest p. It depends on
    how many pairs differ. Looked at are the two ends: no more than must (all that change, change the same way), and all of
    them (most one way, the rest the other). The smaller answer, or the larger one at `worst`; nan if `n` is too small for any
    change (under 6 for one comparison). Raises `InputError` for a number under 1.
    """
    from scipy.optimize import brentq

    level = LEVEL / whole("comparisons", comparisons, 1, 1_000_000)
    if _power(1.0, whole("n", n, 1, 1_000_000), True, level) < POWER:
        return math.nan
    ends = [brentq(lambda change, end=end: _power(change, n, end, level) - POWER, 0, 1, xtol=1e-5) for end in (False, True)]
    return float((max if worst else min)(ends))  # type: ignore[arg-type]


def power_note(n: int, comparisons: int = 1) -> str:
    """What `n` paired seeds cannot tell in so many comparisons, in a sentence. Raises `InputError` for a number under 1."""
    best, worst = (detectable(n, end, comparisons) for end in (False, True))
    given = "1 seed" if n == 1 else f"{n} seeds"
    given += "" if comparisons == 1 else f" and {comparisons} comparisons"
    if math.isnan(best):
        fewest = math.floor(1 - math.log2(LEVEL / comparisons)) + 1
        return f"with {given} this cannot tell any change of a share ({fewest} seeds are the fewest)"
    corrected = "" if comparisons == 1 else " with Holm's correction"
    return (
        f"with {given} this cannot tell less than {_points(best)} points (80 % power at 5 %, McNemar's exact test{corrected}), "
        f"at worst, with changes both ways, not less than {_points(worst)}"
    )


def _points(share: float) -> int:
    return math.ceil(share * 100 - 1e-3)


def _power(change: float, n: int, all_differ: bool, level: float) -> float:
    """Probability that McNemar's exact test at this level tells a change of this size in n pairs.

    Sum over d ~ Binomial(n, share of pairs that differ) of P(rejected | d), where of d pairs Binomial(d, way) change one way.
    """
    from scipy.stats import binom

    differ, way = (1.0, (1 + change) / 2) if all_differ else (change, 1.0)
    d = np.arange(n + 1)
    fewest = binom.ppf(level / 2, d, 0.5)  # the fewest of d that change one way without the test being rejected
    rejected = binom.cdf(fewest - 1, d, way) + binom.sf(d - fewest, d, way)
    return float(binom.pmf(d, n, differ) @ rejected)


def _finite(field: str, values: Sequence[float]) -> np.ndarray:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 1 or not len(rows) or not np.isfinite(rows).all():
        raise InputError(f"{field}: {len(rows)} scores were given; allowed: one or more, all finite numbers")
    return rows


def _is_binary(rows: np.ndarray) -> bool:
    return bool(np.isin(rows, (0, 1)).all())


def _bootstrap(rows: np.ndarray) -> tuple[float, float]:
    from scipy.stats import bootstrap, norm, t

    n = len(rows)
    if n == 1:
        return math.nan, math.nan
    if np.ptp(rows) == 0:
        return float(rows[0]), float(rows[0])
    tail = norm.cdf(math.sqrt(n / (n - 1)) * t.ppf((1 - CONFIDENCE) / 2, n - 1))
    settings = {"confidence_level": 1 - 2 * float(tail), "method": "percentile", **_resampling(n)}
    found = bootstrap((rows,), np.mean, **settings).confidence_interval
    return float(found.low), float(found.high)


def _resampling(n: int) -> dict[str, Any]:
    """How n rows are resampled: so many at a time that memory does not grow with n, and always the same ones."""
    return {"n_resamples": RESAMPLES, "batch": max(1, TOGETHER // n), "rng": np.random.default_rng(0)}


def _agresti_min(gained: int, lost: int, n: int) -> tuple[float, float]:
    from scipy.stats import norm

    total, up, down = n + 2, gained + 0.5, lost + 0.5
    middle = (up - down) / total
    reach = norm.ppf((1 + CONFIDENCE) / 2) * math.sqrt(up + down - (up - down) ** 2 / total) / total
    return max(-1.0, float(middle - reach)), min(1.0, float(middle + reach))


def _sign_flips(apart: np.ndarray) -> float:
    from scipy.stats import permutation_test

    if len(apart) == 1 or not apart.any():
        return 1.0
    settings = {"permutation_type": "samples", "vectorized": True, **_resampling(len(apart))}
    found = permutation_test((apart,), np.mean, **settings)
    return float(found.pvalue)


def _leaving_out(statistic: Statistic, n: int) -> tuple[float, float]:
    """The statistic of all n, and its standard error from the n that leave one out; nan under three."""
    value = float(statistic(range(whole("n", n, 1, 1_000_000))))
    if n < 3:
        return value, math.nan
    others = np.array([statistic([i for i in range(n) if i != left]) for left in range(n)])
    return value, float(np.sqrt((n - 1) * others.var()))


def _t_quantile(n: int) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + CONFIDENCE) / 2, max(1, n - 1)))
