"""Exact p-values against values calculated elsewhere: mpmath, brute-force quadrature, published numbers."""

import csv
import itertools
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from scipy import integrate, special, stats

from superbin import stats as superstats
from superbin.stats.arguments import FloatArray
from superbin.stats.models import ModelName

REFERENCE = Path(__file__).parents[3] / "validation" / "pvalues" / "reference.csv"
MODELS = ("split-lognormal", "lognormal", "gaussian", "gamma", "none")


def reference(model: ModelName) -> tuple[FloatArray, list[str], list[str]]:
    """Arguments (rows of n, b, up, down) and the two p-values as decimal strings."""
    with REFERENCE.open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["model"] == model]
    arguments = np.array([[float(row[key]) for key in ("n", "b", "up", "down")] for row in rows])
    return arguments, [row["tail"] for row in rows], [row["midp"] for row in rows]


def smeared(z: float, b: float, up: float, down: float) -> float:
    """The smear, written down once more."""
    if b == 0:
        return abs(z) * up
    if z >= 0:
        return float(b * (1 + up / b) ** z)
    if down < 0.8 * b:
        return float(b * (1 - down / b) ** (-z))
    return float(max(0.0, b + z * down))


def brute_force_tail(n: float, b: float, up: float, down: float) -> float:
    """Integral over z of P(N >= n | mu(z)) by scipy's adaptive quadrature."""
    edges = sorted({-9.0, 0.0, 12.0, *([-b / down] if down > 0 and b > 0 else [])})
    pieces = [
        integrate.quad(
            lambda z: stats.norm.pdf(z) * special.gammainc(n, smeared(z, b, up, down)),
            low,
            high,
            epsabs=0,
            epsrel=1e-10,
            limit=400,
        )[0]
        for low, high in itertools.pairwise(edges)
    ]
    return float(sum(pieces))


def test_reference_grid_is_large_enough() -> None:
    """STAT-6: at least 2000 seeded cases, spanning the promised domain."""
    arguments, tails, _ = reference("split-lognormal")
    n, b, up, _ = arguments.T
    assert n.size >= 2000
    assert n.min() == 0
    assert n.max() == 1e6
    assert b[b > 0].min() < 1e-8
    assert b.max() > 5e5
    assert (up[b > 0] / b[b > 0]).max() > 2.9
    assert min(mp.log10(mp.mpf(t)) for t in tails if mp.mpf(t) > 0) < -150


@pytest.mark.parametrize("model", MODELS)
def test_agrees_with_mpmath(model: ModelName) -> None:
    """STAT-3 to STAT-6, STAT-8: relative error below 1e-10, plus the rounding of ln p beyond Z = 30."""
    arguments, tails, mids = reference(model)
    for function, expected in ((superstats.log_tail, tails), (superstats.log_midp, mids)):
        got = function(*arguments.T, model=model)
        for row, log_p, text in zip(arguments, got, expected, strict=True):
            exact = mp.mpf(text)
            if exact == 0:
                assert log_p == -np.inf
            else:
                bound = 1e-10 + (0 if exact > 1e-200 else 4e-16 * -log_p)
                assert abs(mp.exp(mp.mpf(float(log_p))) / exact - 1) < bound, (model, *row)


@pytest.mark.parametrize("seed", range(3))
def test_reference_recomputed_by_another_formula(seed: int) -> None:
    """STAT-6: random rows of the grid, recomputed here at 30 digits as integrals over z."""
    arguments, tails, _ = reference("split-lognormal")
    usable = [
        i
        for i, (n, b, _, down) in enumerate(arguments)
        if 1 <= n < 100 and 1e-3 < b < 100 and down < 0.8 * b and float(tails[i]) > 1e-6
    ]
    n, b, up, down = arguments[i := int(np.random.default_rng(seed).choice(usable))]
    with mp.workdps(30):
        above = mp.log(1 + mp.mpf(up) / mp.mpf(b))
        below = -mp.log(1 - mp.mpf(down) / mp.mpf(b))

        def integrand(z: mp.mpf) -> mp.mpf:
            mu = mp.mpf(b) * mp.exp((above if z > 0 else below) * z)
            reached = mp.gammainc(mp.mpf(n), 0, mu, regularized=True) if mu < 2000 else mp.mpf(1)
            return mp.npdf(z) * reached

        value = mp.quad(integrand, [-10, -5, -2, 0, 1, 2, 4, 7, 10], maxdegree=7)
        assert abs(value / mp.mpf(tails[i]) - 1) < 1e-13


@pytest.mark.parametrize(
    ("n", "b", "up", "down", "mid_z", "tail_z"),
    [
        (40, 25, 5, 5, 1.925, 1.873),
        (4, 0.6, 0.5, 0.3, 2.261, 2.100),
        (8, 0.6, 0.5, 0.3, 3.552, 3.457),
        (10, 2, 1, 0.6, 2.991, 2.890),
        (60, 25, 5, 5, 3.852, 3.813),
        (1000, 700, 60, 55, 4.044, 4.039),
        (5200, 4940, 198, 174, 1.231, 1.229),
    ],
)
def test_reference_table(n: float, b: float, up: float, down: float, mid_z: float, tail_z: float) -> None:
    """STAT-4, STAT-5, STAT-8: the design's table (rounded there, to 0.0015) and a brute-force integral (1e-8)."""
    low, high = brute_force_tail(n, b, up, down), brute_force_tail(n + 1, b, up, down)
    assert superstats.tail(n, b, up, down) == pytest.approx(low, rel=1e-8)
    assert superstats.midp(n, b, up, down) == pytest.approx((low + high) / 2, rel=1e-8)
    assert superstats.midp_significance(n, b, up, down) == pytest.approx(mid_z, abs=1.5e-3)
    assert superstats.tail_significance(n, b, up, down) == pytest.approx(tail_z, abs=1.5e-3)


@pytest.mark.parametrize(
    ("n", "b", "up", "down"),
    [
        (1e-3, 0.5, 0.3, 0.2),
        (5e-3, 1, 0.5, 0.5),
        (9e-3, 1e-3, 3e-3, 1e-3),
        (1e-5, 1e-6, 0.9, 0),
        (1e-4, 0, 2, 0),
    ],
)
def test_counts_near_zero_keep_their_mass(n: float, b: float, up: float, down: float) -> None:
    """STAT-4, STAT-6: the first doubtful corner of the prototype; an empty bin is never an excess.

    To first order in n, P(Gamma_n > mu) = n E1(mu), with E1 the exponential integral.
    """
    edges = [-9.0, *([-b / down] if down > 0 and down >= 0.8 * b else []), 0.0, 0.9, 1.1, 9.0]
    edges = edges[1:] if 0 < down >= 0.8 * b else edges
    missed = sum(
        integrate.quad(
            lambda z: stats.norm.pdf(z) * special.exp1(max(smeared(z, b, up, down), 1e-300)),
            *ends,
            limit=400,
        )[0]
        for ends in itertools.pairwise(edges)
    )
    vanishing = stats.norm.sf(b / down) if 0 < down >= 0.8 * b else 0.0
    expected = 1 - vanishing - n * missed
    assert superstats.tail(n, b, up, down) == pytest.approx(expected, abs=2 * (n * (10 + missed)) ** 2)
    assert superstats.midp_significance(0, b, up, down) < 0


def test_tiny_background_with_huge_uncertainty() -> None:
    """STAT-2, STAT-6: the second doubtful corner, b = 1e-6 with up = 0.9.

    The mean exceeds any count when z > 1 and a bit, so p tends to P(z > 1), and Z to one: that is the model.
    """
    assert superstats.tail(1, 1e-6, 0.9, 0) == pytest.approx(brute_force_tail(1, 1e-6, 0.9, 0), rel=1e-9)
    assert superstats.tail_significance(1, 1e-6, 0.9, 0) == pytest.approx(0.961, abs=1e-3)
    assert superstats.midp_significance(0, 1e-6, 0.9, 0) < 0
    assert superstats.tail(1, 1e-200, 1.0, 0) == pytest.approx(stats.norm.sf(1), rel=0.01)


def test_on_off_problem_of_cousins_linnemann_tucker() -> None:
    """STAT-3: Z_Bi = 3.93 for 140 counts on, 100 off, tau = 1.2 (NIM A 595 (2008) 480, table 1)."""
    background, sigma = 100 / 1.2, 10 / 1.2
    assert superstats.tail_significance(140, background, sigma, sigma, model="gamma") == pytest.approx(
        3.93, abs=0.005
    )


def test_scalars_and_arrays() -> None:
    """STAT-9: floats for scalars, broadcast float64 arrays otherwise, the same numbers."""
    one = superstats.midp(40, 25, 5, 5)
    assert type(one) is float
    many = superstats.midp([[40], [60]], 25, [5, 4, 3], 5)
    assert many.shape == (2, 3)
    assert many.dtype == np.float64
    assert many[0, 0] == pytest.approx(one, rel=1e-13)
    assert superstats.tail(np.zeros((0, 3)), 1, 1, 1).shape == (0, 3)


def test_logarithms_do_not_underflow() -> None:
    """STAT-8: p below 1e-300, against the Poisson series, and Z from it against mpmath."""
    log_p = superstats.log_tail(3000, 300, 0, 0)
    with mp.workdps(50):
        exact = mp.log(mp.gammainc(3000, 0, 300, regularized=True))
    assert log_p < -2000
    assert log_p == pytest.approx(float(exact), rel=1e-13)
    with mp.workdps(60):
        for z in (0.5, 5, 37, 60):
            assert superstats.significance_from_log(
                float(mp.log(mp.erfc(z / mp.sqrt(2)) / 2))
            ) == pytest.approx(z, rel=1e-12)
    assert superstats.significance(stats.norm.sf(3.3)) == pytest.approx(3.3, rel=1e-13)


def test_deficits_have_finite_significance() -> None:
    """STAT-8: Z of a deficit where p rounds to one, from the complementary probability by mpmath."""
    with mp.workdps(40):
        missed = sum(mp.exp(-400) * mp.mpf(400) ** k / mp.factorial(k) for k in range(200))
        z = -mp.findroot(lambda x: mp.log(mp.erfc(x / mp.sqrt(2)) / 2) - mp.log(missed), 11)
    assert superstats.tail(200, 400, 0, 0) == 1.0
    assert superstats.tail_significance(200, 400, 0, 0) == pytest.approx(float(z), rel=1e-11)
    assert superstats.tail_significance(0, 400, 10, 10) == -np.inf
    assert np.isfinite(superstats.midp_significance(0, 400, 10, 10))


def test_original_example() -> None:
    """STAT-5: the CMS Mini Analysis Tool's own example, p = 0.027115."""
    assert superstats.midp(40, 25, 5, 5) == pytest.approx(0.027115, abs=5e-7)
