"""Cards as they are written: published answers of Combine 10.6, closed forms, and brute force, on small cards.

The cards are those of Combine's public manual and tutorials (github.com/cms-analysis/HiggsAnalysis-CombinedLimit), in our
own words where words do not matter, or made for these tests.
"""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

from superbin.likelihood import Evaluation, Fitter, PublishedLikelihood, evaluate

Compiled = Callable[..., PublishedLikelihood]


def one_channel(observed: float, columns: str, rates: str, *lines: str) -> str:
    """A card of one channel; columns are process:number."""
    pairs = [column.split(":") for column in columns.split()]
    return "\n".join(
        [
            "bin a",
            f"observation {observed}",
            " ".join(["bin", *("a" for _ in pairs)]),
            " ".join(["process", *(p for p, _ in pairs)]),
            " ".join(["process", *(n for _, n in pairs)]),
            f"rate {rates}",
            *lines,
            "",
        ]
    )


def fitted(compiled: Compiled, card: str) -> Evaluation:
    result = evaluate(Fitter(compiled(card).as_written()))
    assert result.status == "converged"
    return result


MANUAL = one_channel(
    0,
    "ggH:0 qqWW:1 ggWW:2 others:3",
    "1.47 0.64 0.06 0.22",
    "lumi lnN 1.11 - 1.11 - luminosity, on what is not taken from data",
    "xs_ggH lnN 1.16 - - - theory of the signal",
    "WW_norm gmN 4 - 0.16 - - four events in the control region",
    "xs_ggWW lnN - - 1.50 - theory",
    "bg_others lnN - - - 1.30",
)
"""The numbers of the realistic counting experiment of Combine's manual, with words after the last column as there."""

THREE_CHANNELS = """\
bin Def Alt Ctrl
observation 8 5 100
bin Def Def Def Alt Alt Alt Ctrl Ctrl Ctrl
process S T B S T B S T B
process -1 0 1 -1 0 1 -1 0 1
rate 5 1 4 1 4 4 0.01 0.01 100
dS lnN 1.01 1.01 - 1.01 1.01 - 1.01 1.01 -
dB lnN - - 2.0 - - 2.0 - - 2.0
"""
"""The numbers of Combine's benchmark of two signals with a control region."""


def test_the_card_of_the_manual(compiled: Compiled) -> None:
    """LIK-30, CARD-5: Combine 10.6 at tight precision; its expected limits are good to 0.2 %."""
    result = fitted(compiled, MANUAL)
    assert result.limit.observed == pytest.approx(1.62675, rel=2e-5)
    assert result.limit.expected == pytest.approx(2.3281, rel=3e-3)
    assert result.free.mu == 0.0


def test_two_signals_in_three_channels(compiled: Compiled) -> None:
    """LIK-30: Combine 10.6 at tight precision."""
    result = fitted(compiled, THREE_CHANNELS)
    assert result.limit.observed == pytest.approx(1.120522, rel=2e-5)
    assert result.limit.expected == pytest.approx(0.65039, rel=3e-3)
    assert result.free.mu == pytest.approx(0.468376, abs=1e-6)
    assert result.observed.z == pytest.approx(1.610932, abs=2e-5)


def test_words_after_the_last_column_change_nothing(compiled: Compiled) -> None:
    """LIK-30, CARD-5: observed 0 with b = 0.9 +- 30 % and s = 3 +- 5 %: 0.7717 and 1.0961, of an independent minimisation."""
    lines = ("lumi lnN 1.05 - only the signal is scaled", "bkg lnN - 1.3 thirty per cent")
    result = fitted(compiled, one_channel(0, "s:0 b:1", "3.0 0.9", *lines))
    assert result.limit.observed == pytest.approx(0.7717, abs=5e-5)
    assert result.limit.expected == pytest.approx(1.0961, abs=5e-5)


def test_several_signals_share_one_strength(compiled: Compiled) -> None:
    """LIK-30: 2 + 3 events are as one signal of 5."""
    two = fitted(compiled, one_channel(6, "g:-1 q:0 b:1", "2 3 5.5", "bkg lnN - - 1.2"))
    one = fitted(compiled, one_channel(6, "s:0 b:1", "5 5.5", "bkg lnN - 1.2"))
    assert two.free.mu == pytest.approx(0.1, abs=1e-9)
    assert two.limit.observed == pytest.approx(1.33544, abs=1e-5)
    assert two.limit.observed == pytest.approx(one.limit.observed, rel=1e-9)


def test_gamma_with_a_zero_and_with_another_rate(compiled: Compiled) -> None:
    """LIK-2, CARD-6: an alpha of zero is no effect; the count times alpha is the rate."""
    zero = fitted(compiled, one_channel(6, "s:0 b:1", "1 5.5", "side gmN 11 0. 0.5"))
    assert zero.free.mu == pytest.approx(0.5, abs=1e-9)
    assert zero.limit.observed == pytest.approx(7.0481, abs=5e-5)
    other = fitted(compiled, one_channel(3, "s:0 b:1 w:2", "2 3 0.001", "w_stat gmN 900 - - 1e-05"))
    assert other.limit.observed == pytest.approx(2.3875, abs=5e-5)


@pytest.mark.parametrize(
    ("count", "alpha", "observed", "limit", "strength"),
    [(1, 0.3, 2, 5.25236, 1.70001), (100, 0.05, 4, 4.93508, 0.0)],
)
def test_sidebands_of_combine(
    compiled: Compiled, count: int, alpha: float, observed: int, limit: float, strength: float
) -> None:
    """LIK-30: the sideband benchmarks of Combine's repository, with its own answers at tight precision."""
    rate = f"1 {count * alpha:g}"
    result = fitted(compiled, one_channel(observed, "S:0 B:1", rate, f"side gmN {count} 0. {alpha}"))
    assert result.limit.observed == pytest.approx(limit, rel=1e-4)
    assert result.free.mu == pytest.approx(strength, abs=1e-4)


def test_gamma_without_events(compiled: Compiled) -> None:
    """LIK-2: N = 0; profiled, the background is zero below one event per alpha, so q(mu) for n = 0 is 2 mu s."""
    result = fitted(compiled, one_channel(0, "s:0 b:1 k:2", "1 0 0.5", "side gmN 0 - 0.2 -"))
    assert result.free.nll == pytest.approx(0.5, abs=1e-5)
    assert result.limit.status == "converged"


def folded(theta: float, size: float, observed: float, background: float, signal: float) -> float:
    """NLL of one channel whose background has equal factors on both sides, beyond |theta| = 1/2 and inside."""
    t = 2 * theta
    h = t * (3 * t**4 - 10 * t**2 + 15) / 8 if abs(t) < 1 else np.sign(theta)
    expected = signal + background * np.exp(np.log(size) * theta * h)
    poisson = expected - observed - (observed * np.log(expected / observed) if observed else 0.0)
    return float(poisson + theta**2 / 2)


def lowest(size: float, observed: float, background: float, signal: float) -> float:
    """Smallest NLL over the nuisance, by a scan and a polish."""
    scan = np.linspace(0, 4, 4001)
    values = [folded(t, size, observed, background, signal) for t in scan]
    i = int(np.argmin(values))
    ends = (scan[max(i - 1, 0)], scan[min(i + 1, 4000)])
    found = minimize_scalar(
        folded,
        bounds=ends,
        args=(size, observed, background, signal),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return min(float(found.fun), values[i])


@pytest.mark.parametrize(
    ("size", "observed", "background", "signal"),
    [(1.3, 14, 10, 5), (1.5, 30, 10, 5), (0.7, 3, 10, 2), (1.2, 60, 40, 10)],
)
def test_equal_factors_on_both_sides(
    compiled: Compiled, size: float, observed: int, background: float, signal: float
) -> None:
    """LIK-31: theta = 0 is a saddle at mu = 0; the fit leaves it and finds what a scan finds."""
    card = one_channel(observed, "s:0 b:1", f"{signal} {background}", f"x lnN - {size}/{size}")
    fitter = Fitter(compiled(card).as_written())
    for mu in (0.0, 0.3, 0.8, 2.0):
        fit = fitter.fit(mu=mu)
        assert fit.ok
        assert fit.nll == pytest.approx(lowest(size, observed, background, mu * signal), abs=1e-8)
        assert fitter.fit(mu=mu, start=fitter.fit(mu=1.0)).nll == pytest.approx(fit.nll, abs=1e-8)


def test_limit_with_equal_factors(compiled: Compiled) -> None:
    """LIK-31, LIK-17: mu hat 0.8, q(0) 0.7831 and limit 2.356, of a scan and of pyhf."""
    result = fitted(compiled, one_channel(14, "s:0 b:1", "5 10", "x lnN - 1.3/1.3"))
    assert result.free.mu == pytest.approx(0.8, abs=1e-6)
    assert result.observed.q0 == pytest.approx(0.7831, abs=2e-4)
    assert result.limit.observed == pytest.approx(2.356, abs=5e-4)


@pytest.mark.parametrize("factors", ["1.3/1.25", "1.25/1.3", "0.8/0.7", "1.4/1.1"])
def test_unequal_factors_on_one_side(compiled: Compiled, factors: str) -> None:
    """LIK-31, LIK-11: two minima, of which the lower one is on the side where the gradient at zero does not lead."""
    down, up = (float(part) for part in factors.split("/"))
    observed = 30 if up > 1 else 4
    fitter = Fitter(compiled(one_channel(observed, "s:0 b:1", "5 15", f"x lnN - {factors}")).as_written())

    def value(theta: float) -> float:
        t = 2 * theta
        h = t * (3 * t**4 - 10 * t**2 + 15) / 8 if abs(t) < 1 else np.sign(theta)
        high, low = np.log(up), np.log(down)
        expected = 15 * np.exp(theta * ((high - low) / 2 + h * (high + low) / 2))
        return float(expected - observed - observed * np.log(expected / observed) + theta**2 / 2)

    best = min(value(theta) for theta in np.linspace(-4, 4, 80_001))
    for start in (None, fitter.fit(mu=1.0)):
        fit = fitter.fit(mu=0.0, start=start)
        assert fit.ok
        assert fit.nll == pytest.approx(best, abs=1e-7)


def closed_form(observed: float, background: float, level: float) -> float:
    """Asymptotic qtilde CLs limit on a bare count, by root finding on the formulae themselves."""
    from scipy.special import ndtr

    def q(n: float, mean: float) -> float:
        return 2 * (mean - n + (n * np.log(n / mean) if n else 0.0))

    def cls(s: float) -> float:
        q_obs = max(0.0, q(observed, s + background)) if s + background > observed else 0.0
        if observed < background:
            q_obs -= q(observed, background)
        root, root_a = np.sqrt(q_obs), np.sqrt(q(background, s + background))
        x = root - root_a if q_obs <= root_a**2 else (q_obs - root_a**2) / (2 * root_a)
        return float(ndtr(-(x + root_a)) / ndtr(-x))

    return float(brentq(lambda s: cls(s) - (1 - level), 1e-6, 1000))


@pytest.mark.parametrize("level", [0.4, 0.9, 0.95, 0.999, 1 - 1e-12])
@pytest.mark.parametrize(("observed", "background"), [(1, 5.5), (6, 5.5), (30, 5.5), (0, 0.3)])
def test_limits_on_a_bare_count(compiled: Compiled, observed: int, background: float, level: float) -> None:
    """LIK-17: against the formulae, from weak to extreme levels."""
    from superbin.likelihood.inference import fit_both, upper_limit

    fitter = Fitter(compiled(one_channel(observed, "s:0 b:1", f"1 {background}")).as_written())
    found = upper_limit(fitter, *fit_both(fitter), level=level)
    assert found.status == "converged"
    assert found.observed == pytest.approx(closed_form(observed, background, level), rel=2e-5)


def test_a_limit_that_is_not_found_has_no_number(compiled: Compiled) -> None:
    """LIK-32: an event where no background is expected; what fails is None and says why."""
    result = evaluate(Fitter(compiled(one_channel(1, "s:0 b:1", "1 0")).as_written()))
    assert result.limit.status.startswith("fit at mu = 0: not-finite")
    assert result.limit.observed is None
    assert set(result.limit.bands.values()) == {None}
    assert result.document()["limit"]["observed"] is None
