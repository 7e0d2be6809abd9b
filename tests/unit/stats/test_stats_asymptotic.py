"""The profile likelihood against pyhf and against a brute-force minimisation."""

import numpy as np
import pyhf
import pytest
from scipy import optimize, stats

from superbin import stats as superstats

CASES: list[tuple[float, float, float, float]] = [
    (40, 25, 5, 5),
    (4, 0.6, 0.5, 0.3),
    (8, 0.6, 0.5, 0.3),
    (10, 2, 1, 0.6),
    (60, 25, 5, 5),
    (1000, 700, 60, 55),
    (5200, 4940, 198, 174),
]
PYHF_Z = [1.918, 2.265, 3.561, 2.990, 3.850, 4.044, 1.231]


def pyhf_q0(n: float, b: float, up: float, down: float, interpolation: str, *, widest: float = 5.0) -> float:
    """Z = sqrt(q0) of the one-bin workspace."""
    model = pyhf.Model(
        {
            "channels": [
                {
                    "name": "bin",
                    "samples": [
                        {
                            "name": "signal",
                            "data": [max(abs(n - b), 1.0)],
                            "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
                        },
                        {
                            "name": "background",
                            "data": [b],
                            "modifiers": [
                                {
                                    "name": "background",
                                    "type": "normsys",
                                    "data": {"hi": 1 + up / b, "lo": 1 - down / b},
                                }
                            ],
                        },
                    ],
                }
            ]
        },
        poi_name="mu",
        modifier_settings={"normsys": {"interpcode": interpolation}},
    )
    data = [n, *model.config.auxdata]
    bounds = [
        (-widest, widest) if low == -5.0 else (low, high) for low, high in model.config.suggested_bounds()
    ]
    q0 = pyhf.infer.test_statistics.q0(
        0.0,
        data,
        model,
        *(model.config.suggested_init(), bounds, model.config.suggested_fixed()),
    )
    return float(np.sqrt(q0))


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_pyhf(case: tuple[float, float, float, float]) -> None:
    """STAT-10: within 3e-4 in Z of pyhf with interpolation code 1; the default code 4 differs by less than 0.01."""
    ours = superstats.asymptotic_z(*case)
    assert ours == pytest.approx(pyhf_q0(*case, "code1"), abs=3e-4)
    assert ours == pytest.approx(pyhf_q0(*case, "code4"), abs=0.01)


@pytest.mark.parametrize(
    ("case", "z", "bounded"),
    [
        ((4154, 3407.878847093721, 104.29627635573357, 104.29627635573357), 5.83089733766459, 0.0113),
        ((3517, 2898.3968086270893, 72.13840263473517, 72.13840263473517), 6.46732663676735, 0.0204),
        ((3682, 2832.0076193085947, 134.29514615364658, 134.29514615364658), 5.33457625184853, 0.00034),
    ],
)
def test_pulls_beyond_the_bounds_of_pyhf(
    case: tuple[float, float, float, float], z: float, bounded: float
) -> None:
    """STAT-10: where the fit pulls the nuisance beyond 5, pyhf's bound makes its Z too large; the values by mpmath's root of the score."""
    assert superstats.asymptotic_z(*case) == pytest.approx(z, rel=1e-12)
    assert pyhf_q0(*case, "code1") - z == pytest.approx(bounded, rel=0.02)
    assert pyhf_q0(*case, "code1", widest=20.0) == pytest.approx(z, abs=3e-4)


@pytest.mark.parametrize(("case", "z"), list(zip(CASES, PYHF_Z, strict=True)))
def test_reference_table(case: tuple[float, float, float, float], z: float) -> None:
    """STAT-10: the pyhf column of the design's table."""
    assert superstats.asymptotic_z(*case) == pytest.approx(z, abs=6e-4)


def negative_log_likelihood(
    z: float, n: float, s: float, b: float, up: float, down: float, auxiliary: float
) -> float:
    """Straight from the definition."""
    if b == 0:
        mu = abs(z) * up
    elif z >= 0:
        mu = b * (1 + up / b) ** z
    elif down < 0.8 * b:
        mu = b * (1 - down / b) ** (-z)
    else:
        mu = max(0.0, b + z * down)
    mean = s + mu
    poisson = mean - n * np.log(mean / n) - n if n > 0 and mean > 0 else (np.inf if n > 0 else mean)
    return float(2 * poisson + (z - auxiliary) ** 2)


@pytest.mark.parametrize("seed", range(40))
def test_profiles_the_global_minimum(seed: int) -> None:
    """STAT-10, STAT-11: q0 and the conditional fit against a grid search refined by Brent's method."""
    random = np.random.default_rng(seed)
    b = 0.0 if seed % 10 == 0 else float(10 ** random.uniform(-2, 3))
    up = float((b or 1.0) * random.uniform(0.01, 3))
    down = b * float(random.choice([random.uniform(0, 0.79), random.uniform(0.8, 1)]))
    auxiliary = float(random.choice([0.0, random.normal()]))
    n = float(random.poisson(b + random.uniform(0, 3) * (up + np.sqrt(b))))
    signal = 0.0 if seed % 2 else float(random.uniform(0, 2) * (1 + np.sqrt(b)))
    arguments = (n, signal, b, up, down, auxiliary)
    grid = np.linspace(-12, 12, 24001)
    values = np.array([negative_log_likelihood(z, *arguments) for z in grid])
    start = int(np.argmin(values))
    best = optimize.minimize_scalar(
        negative_log_likelihood,
        bounds=(grid[max(start - 1, 0)], grid[min(start + 1, grid.size - 1)]),
        args=arguments,
        method="bounded",
        options={"xatol": 1e-11},
    )
    lowest = min(float(best.fun), float(values[start]))
    fitted = superstats.fit_nuisance(n, signal, b, up, down, auxiliary=auxiliary)
    assert negative_log_likelihood(fitted, *arguments) == pytest.approx(lowest, abs=1e-8, rel=1e-9)
    if signal == 0:
        signed = superstats.asymptotic_z(n, b, up, down, auxiliary=auxiliary)
        assert signed**2 == pytest.approx(lowest, abs=1e-7, rel=1e-8)
        assert superstats.q0(n, b, up, down, auxiliary=auxiliary) == pytest.approx(
            max(signed, 0.0) ** 2, rel=1e-12, abs=1e-300
        )


def test_without_uncertainty() -> None:
    """STAT-10, STAT-11: the textbook formula 2 (n ln(n/b) - n + b) of Cowan et al., equation 97."""
    s, b = 10.0, 20.0
    expected = np.sqrt(2 * ((s + b) * np.log1p(s / b) - s))
    assert superstats.asimov_z(s, b, 0, 0) == pytest.approx(expected, rel=1e-13)
    assert superstats.asymptotic_z(s + b, b, 0, 0) == pytest.approx(expected, rel=1e-13)


def test_signs_and_limits() -> None:
    """STAT-10, STAT-11: deficits are negative, no signal is Z = 0, an impossible count is infinite."""
    assert superstats.asymptotic_z(10, 25, 5, 5) < 0
    assert superstats.q0(10, 25, 5, 5) == 0
    assert superstats.asimov_z(0, 25, 5, 5) == 0
    assert superstats.asimov_z(0, 0, 0, 0) == 0
    assert superstats.asymptotic_z(0, 0, 0, 0) == 0
    assert superstats.asymptotic_z(2, 0, 0, 0) == np.inf


def test_post_fit_asimov() -> None:
    """STAT-11: with the fitted nuisance as auxiliary, the background-only data set fits perfectly."""
    z = superstats.fit_nuisance(40, 0.0, 25, 5, 5)
    assert z > 0.5
    assert superstats.asimov_z(0.0, 25, 5, 5, auxiliary=z) == pytest.approx(0, abs=1e-12)
    background = 25 * 1.2**z
    assert superstats.asimov_z(15.0, 25, 5, 5, auxiliary=z) == pytest.approx(
        superstats.asymptotic_z(15 + background, 25, 5, 5, auxiliary=z), rel=1e-12
    )


def test_pull() -> None:
    """STAT-12: sigma of the side the count lies on."""
    assert superstats.pull(40, 25, 5, 3) == pytest.approx(15 / np.sqrt(50), rel=1e-14)
    assert superstats.pull(10, 25, 5, 3) == pytest.approx(-15 / np.sqrt(34), rel=1e-14)
    assert superstats.pull(0, 0, 0, 0) == 0
    assert superstats.pull(2, 0, 0, 0) == np.inf


ROWS = {
    "nearly symmetric": (0.3, 1e5, 1.25, (0.55, 0.3, 0.06, 0.04, 0.025)),
    "fractions of an event": (0.01, 0.3, 1.25, (0.5, 0.15, 0.13, 0.11, 0.1)),
    "next to no background": (1e-8, 0.01, 1.25, (0.15, np.nan, 0.16, 0.19, 0.19)),
    "lopsided": (0.3, 1e5, 15.0, (0.6, 0.6, 0.26, 0.17, 0.1)),
}
"""Lowest and highest b, largest ratio of up and down either way, and the bounds by Z."""


@pytest.mark.parametrize("row", ROWS)
def test_midp_and_asymptotics_agree_as_far_as_they_should(row: str) -> None:
    """STAT-15: the bounds hold, and are not wider than needed."""
    low, high, ratio, bounds = ROWS[row]
    random, size = np.random.default_rng(5), 30_000
    # half of the backgrounds where the differences are largest, at few events
    b = low * (min(high, 100 * low) / low) ** random.random(size)
    b[::2] = low * (high / low) ** random.random(size // 2)
    up = b * 10 ** random.uniform(-3, 0, size)
    down = np.minimum(up / ratio ** random.choice([-1.0, 1.0, 0.0], size), 0.7999 * b)
    n = np.maximum(np.round(b + random.uniform(-5, 9, size) * np.sqrt(b + up * up)), 0)
    n = np.where(b < 0.3, random.integers(0, 8, size), n)
    kept = up <= ratio * down * (1 + 1e-9)
    exact, asymptotic = superstats.midp_significance(n, b, up, down), superstats.asymptotic_z(n, b, up, down)
    for first, last, bound in zip((-np.inf, 0, 2, 3, 5), (0, 2, 3, 5, np.inf), bounds, strict=True):
        here = kept & (exact >= first) & (exact < last)
        if np.isnan(bound):
            assert not here.any()
        else:
            assert 0.7 * bound < np.abs(exact - asymptotic)[here].max() < bound


def test_unit_normal_is_what_the_significance_means() -> None:
    """STAT-8: Z against scipy's distribution."""
    assert superstats.significance(0.5) == 0
    assert superstats.significance(1e-20) == pytest.approx(stats.norm.isf(1e-20), rel=1e-14)
