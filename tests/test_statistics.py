"""Statistics: against scipy, against numbers worked out by hand, and against chance itself."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from negativa import InputError
from negativa.experiments.statistics import (
    detectable,
    difference,
    holm,
    jackknife,
    jackknife_difference,
    mcnemar,
    mean,
    power_note,
    with_interval,
)

# Of 200 null studies at 5 %, ten are expected to be significant; outside 2..20 lies less than 0.2 % of Binomial(200, 0.05).
FEWEST, MOST = 2, 20


def test_the_bounds_of_the_null_studies_are_those_of_the_binomial() -> None:
    count = stats.binom(200, 0.05)
    assert count.mean() == 10 and count.cdf(FEWEST - 1) + count.sf(MOST) < 0.002


def test_a_share_has_wilsons_interval() -> None:
    """Fleiss, Levin & Paik 2003: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n), worked out for 3 of 10."""
    found, z = mean([1, 0, 0, 1, 0, 0, 0, 1, 0, 0]), 1.959963985
    half = z * math.sqrt(0.3 * 0.7 / 10 + z**2 / 400)
    assert (found.value, found.n) == (0.3, 10)
    assert found.low == pytest.approx((0.3 + z**2 / 20 - half) / (1 + z**2 / 10))
    assert found.high == pytest.approx((0.3 + z**2 / 20 + half) / (1 + z**2 / 10))
    certain = mean([1] * 16)
    assert certain.high == 1 and 0.7 < certain.low < 0.9, "sixteen of sixteen is not certainty"


def test_a_mean_has_about_the_interval_of_t_where_the_values_are_a_bell_curve() -> None:
    values = stats.norm.ppf((np.arange(8) + 0.5) / 8) * 3 + 7
    found = mean(values)
    reach = stats.t.ppf(0.975, 7) * values.std(ddof=1) / math.sqrt(8)
    assert found.value == pytest.approx(7)
    assert found.low == pytest.approx(7 - reach, abs=0.1 * reach)
    assert found.high == pytest.approx(7 + reach, abs=0.1 * reach)


def test_the_interval_of_a_mean_holds_it_in_about_95_of_100() -> None:
    """Of 200 intervals 190 are expected to; under 180 lies less than 0.2 % of Binomial(200, 0.95)."""
    rng = np.random.default_rng(5)
    assert stats.binom(200, 0.95).cdf(179) < 0.002
    bells = [mean(rng.normal(3, 2, 10)) for _ in range(200)]
    assert sum(found.low <= 3 <= found.high for found in bells) >= 180
    shares = [difference(*(rng.random((2, 12)) < [[0.8], [0.4]])) for _ in range(200)]
    assert sum(found.low <= -0.4 <= found.high for found in shares) >= 180


def test_where_there_is_no_interval() -> None:
    one = mean([2.5])
    assert one.value == 2.5 and one.n == 1 and math.isnan(one.low) and math.isnan(one.high)
    same = mean([0.25] * 5)
    assert (same.low, same.high) == (0.25, 0.25)
    pair = difference([0.2], [0.7])
    assert pair.value == pytest.approx(0.5) and math.isnan(pair.low) and pair.p == 1
    moved = difference([1.5, 2.5, 3.5], [2.0, 3.0, 4.0])
    assert (moved.low, moved.high) == (0.5, 0.5) and moved.p == 0.25
    for nothing in ([], [math.nan, 1.0], [[1.0], [2.0]]):
        with pytest.raises(InputError, match=r"values: .*allowed: one or more, all finite numbers"):
            mean(nothing)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"after: 2 scores were given beside 3"):
        difference([1, 2, 3], [1, 2])


def test_mcnemar_is_the_two_sided_binomial_of_the_pairs_that_differ() -> None:
    """Of nine pairs that differ eight go one way: 2 (C(9,0) + C(9,1)) / 2^9 = 20 / 512."""
    assert mcnemar(1, 8) == pytest.approx(20 / 512) == mcnemar(8, 1)
    assert mcnemar(0, 0) == 1
    before = [1] * 8 + [0] + [1] * 6 + [0] * 5
    after = [0] * 8 + [1] + [1] * 6 + [0] * 5
    found = difference(before, after)
    assert found.p == pytest.approx(20 / 512)
    assert (found.value, found.n) == (-0.35, 20)


def test_the_interval_of_paired_shares_is_that_of_agresti_and_min() -> None:
    """Their formula by hand: cells 1.5 and 8.5 of 22 pairs."""
    before = [1] * 8 + [0] + [1] * 6 + [0] * 5
    after = [0] * 8 + [1] + [1] * 6 + [0] * 5
    found = difference(before, after)
    reach = 1.959963985 * math.sqrt((10 - 49 / 22) / 22**2)
    assert (found.low, found.high) == pytest.approx((-7 / 22 - reach, -7 / 22 + reach))
    unmoved = difference([1, 0] * 8, [1, 0] * 8)
    assert unmoved.low == -unmoved.high and 0.05 < unmoved.high < 0.15, "no pair differs: not a proof that none ever would"


def test_few_pairs_are_tested_by_all_turns_of_sign() -> None:
    before = np.array([0.1, 0.4, 0.35, 0.8, 0.2, 0.6])
    apart = np.array([0.3, 0.25, -0.05, 0.4, 0.1, 0.2])
    found = difference(before, before + apart)
    turned = [abs(np.dot(signs, apart)) for signs in itertools.product((-1, 1), repeat=6)]
    assert found.p == pytest.approx(np.mean(np.array(turned) >= abs(apart.sum()) - 1e-9))
    assert found.value == pytest.approx(0.2) and found.low < 0.2 < found.high


def test_many_pairs_are_tested_by_chance_that_never_gives_nought() -> None:
    before = np.linspace(0, 1, 40)
    small = difference(before, before + 1 + 0.01 * np.cos(np.arange(40)))
    assert small.p == pytest.approx(2 / 10_000)
    apart = stats.norm.ppf((np.arange(40) + 0.5) / 40) + 0.25
    found = difference(before, before + apart)
    assert found.p == pytest.approx(stats.ttest_1samp(apart, 0).pvalue, abs=0.02)
    assert found == difference(before, before + apart)


def test_two_equal_arms_of_shares_are_called_different_at_most_as_often_as_allowed() -> None:
    """McNemar's test is exact, so under 5 %; the seed decides the picture, so pairs agree more often than chance."""
    rng = np.random.default_rng(11)
    alarms = 0
    for _ in range(200):
        likely = rng.beta(2, 2, 60)
        alarms += difference(*(rng.random((2, 60)) < likely)).p < 0.05
    assert alarms <= MOST


def test_two_equal_arms_of_numbers_are_called_different_in_about_5_of_100() -> None:
    rng = np.random.default_rng(12)
    alarms = 0
    for _ in range(200):
        seed = rng.normal(size=18)
        alarms += difference(seed + rng.normal(size=18), seed + rng.standard_t(5, size=18)).p < 0.05
    assert FEWEST <= alarms <= MOST


def deviation(values: np.ndarray):
    return lambda kept: float(values[list(kept)].std())


def test_a_number_of_two_equal_arms_is_called_different_in_about_5_of_100() -> None:
    rng = np.random.default_rng(13)
    alarms = 0
    for _ in range(200):
        seed = rng.normal(size=16)
        first, second = seed + rng.normal(size=(2, 16))
        found = jackknife_difference(deviation(first), deviation(second), 16)
        alarms += found.p < 0.05
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
    assert FEWEST <= alarms <= MOST


def test_the_jackknife_of_a_mean_is_the_interval_of_t() -> None:
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    found = jackknife(lambda kept: float(values[list(kept)].mean()), 5)
    expected = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected) and found.value == 6.2 and found.n == 5
    doubled = jackknife_difference(
        lambda kept: float(values[list(kept)].mean()), lambda kept: float(2 * values[list(kept)].mean()), 5
    )
    assert (doubled.low, doubled.high) == pytest.approx(expected), "each seed is left out of both arms at once"
    assert doubled.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_the_jackknife_of_few_or_of_what_never_changes() -> None:
    two = jackknife_difference(lambda kept: 0.0, lambda kept: 1.0, 2)
    assert two.value == 1 and math.isnan(two.low) and two.p == 1
    fixed = jackknife_difference(lambda kept: 0.0, lambda kept: 1.0, 6)
    assert math.isnan(fixed.low) and math.isnan(fixed.high) and (fixed.value, fixed.p) == (1, 1 / 32)
    assert with_interval(fixed, "+") == "+1" and with_interval(jackknife(lambda kept: 0.0, 6)) == "0", (
        "no width is not no doubt"
    )
    assert with_interval(jackknife(lambda kept: float(sum(kept)), 6)).startswith("15 [")
    assert jackknife_difference(lambda kept: 1.0, lambda kept: 1.0, 6).p == 1
    unknown = jackknife_difference(lambda kept: 0.0, lambda kept: 1.0 if 3 in kept else math.nan, 6)
    assert (unknown.value, unknown.p) == (1, 1) and math.isnan(unknown.high)
    with pytest.raises(InputError, match="n: 0 was given"):
        jackknife(lambda kept: 0.0, 0)


def test_holm() -> None:
    """0.01 × 4, 0.015 × 3, 0.03 × 2, and 0.04 may not come before 0.06."""
    assert holm([0.03, 0.01, 0.04, 0.015]) == pytest.approx([0.06, 0.04, 0.06, 0.045])
    assert holm([0.9, 0.6]) == [1, 1] and holm([0.02]) == [0.02] and holm([]) == []


def told(n: int, change: float, differ: float) -> float:
    """How often McNemar's test tells a change, by chance, 2,000 times."""
    rng = np.random.default_rng(n)
    pairs = rng.multinomial(n, [(differ + change) / 2, (differ - change) / 2, 1 - differ], 2_000)
    return float(np.mean([stats.binomtest(int(a), int(a + b)).pvalue < 0.05 if a + b else False for a, b, _ in pairs]))


@pytest.mark.parametrize("n", [12, 40])
def test_what_n_seeds_can_tell_they_tell_in_four_tries_of_five(n: int) -> None:
    best, worst = detectable(n), detectable(n, worst=True)
    assert best < worst
    assert told(n, best, best) == pytest.approx(0.8, abs=0.04)
    assert told(n, worst, 1.0) == pytest.approx(0.8, abs=0.04)


def test_what_sixteen_seeds_can_tell() -> None:
    """Six pairs that change the same way are the fewest that are significant: 2 / 2^6 < 5 % < 2 / 2^5."""
    assert stats.binom(16, detectable(16)).sf(5) == pytest.approx(0.8, abs=1e-3)
    assert power_note(16) == (
        "with 16 seeds this cannot tell less than 45 points (80 % power at 5 %, McNemar's exact test), "
        "at worst, with changes both ways, not less than 71"
    )
    assert power_note(5) == "with 5 seeds this cannot tell any change of a share (6 seeds are the fewest)"
    assert math.isnan(detectable(5)) and detectable(6) == pytest.approx(2 * 0.8 ** (1 / 6) - 1, abs=1e-4)
    with pytest.raises(InputError, match="n: 0 was given; allowed: a whole number"):
        power_note(0)


def test_of_several_comparisons_seeds_tell_less() -> None:
    """Holm asks 5 % / 10 of the smallest of ten p: nine pairs that change the same way, 2 / 2^9 < 0.5 % < 2 / 2^8."""
    change = detectable(64, comparisons=10)
    assert stats.binom(64, change).sf(8) == pytest.approx(0.8, abs=1e-3)
    assert power_note(64, 10).startswith("with 64 seeds and 10 comparisons this cannot tell less than 18 points")
    assert "McNemar's exact test with Holm's correction" in power_note(64, 10)
    assert power_note(8, 8) == (
        "with 8 seeds and 8 comparisons this cannot tell any change of a share (9 seeds are the fewest)"
    )
    with pytest.raises(InputError, match="comparisons: 0 was given; allowed: a whole number"):
        power_note(6, 0)
