"""Importance-sampled toys and frequentist q0 toys."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from superbin import stats as superstats
from superbin.errors import InputError
from superbin.stats import frequentist, toys, weighted
from superbin.stats.models import ModelName

CASES = [
    (15, 0.6, 0.5, 0.3),
    (60, 25, 5, 5),
    (1300, 700, 60, 55),
    (20, 2, 1, 2),
    (12, 0, 1, 0),
    (20, 3, 0, 0),
    (7.5, 1, 0.5, 0.5),
    (3, 5, 2, 2),
    (0.3, 3, 1, 1),
    (0, 3, 1, 1),
]


@pytest.mark.parametrize("case", CASES)
def test_weighted_toys_agree_with_the_quadrature(case: tuple[float, ...]) -> None:
    """STAT-21: far excesses, deficits, folded and linear smears, real counts: within 4 standard errors, which are below 2 %."""
    result = superstats.throw_weighted(*case, toys=40_000, seed=5)
    exact = superstats.midp(*case)
    assert abs(result.midp - exact) < 4 * result.midp_error
    assert abs(result.tail - superstats.tail(*case)) <= 4 * result.tail_error + 1e-12
    assert result.midp_error < 0.02 * exact


def test_weighted_errors_are_honest() -> None:
    """STAT-21: over 200 seeds the deviation from the exact value, in units of the error, is that of a unit normal."""
    case = (14.0, 0.6, 0.5, 0.3)
    exact = superstats.midp(*case)
    runs = [superstats.throw_weighted(*case, toys=2_000, seed=seed) for seed in range(200)]
    pulls = np.array([(run.midp - exact) / run.midp_error for run in runs])
    assert abs(pulls.mean()) < 4 / np.sqrt(200)
    assert 0.8 < pulls.std() < 1.2


def test_one_percent_at_seven_sigma() -> None:
    """STAT-21: 50 000 toys give 1 % between 4 and 7 sigma; plain ones would need 1e16 at 7."""
    for case in ((100.0, 25.0, 5.0, 5.0), (30.0, 0.6, 0.5, 0.3)):
        assert 4 < superstats.midp_significance(*case) < 7
        result = superstats.throw_weighted(*case)
        assert result.midp_error < 0.011 * result.midp


def test_weighted_far_out() -> None:
    """STAT-21: no underflow at 40 sigma."""
    result = superstats.throw_weighted(500, 25, 1, 1)
    assert result.midp == 0 or result.midp < 1e-280
    assert result.log_midp == pytest.approx(superstats.log_midp(500, 25, 1, 1), abs=0.1)


def test_weighted_chunks() -> None:
    """STAT-13, STAT-21: the answer does not depend on the workers; chunks merge in any order, of one seed and count."""
    case = (9.0, 0.6, 0.5, 0.3)
    one = superstats.throw_weighted(*case, toys=2500, chunk=1000, seed=2)
    assert one == superstats.throw_weighted(*case, toys=2500, chunk=1000, seed=2, workers=2)
    parts = [
        weighted.throw_weighted_chunk(*case, index=i, toys=1000 if i < 2 else 500, seed=2) for i in range(3)
    ]
    assert weighted.merge_weighted(reversed(parts)).midp == pytest.approx(one.midp, rel=1e-13)
    other = weighted.throw_weighted_chunk(10.0, *case[1:], index=1, toys=10, seed=2)
    with pytest.raises(InputError, match="one seed and count"):
        weighted.merge_weighted([parts[0], other])


def test_interrupts_keep_what_was_thrown(monkeypatch: pytest.MonkeyPatch) -> None:
    """STAT-13, STAT-21, STAT-22: marked as interrupted; before the first chunk the interrupt goes through."""

    def interrupted(after: int) -> Any:
        def run(one: Any, total: int, size: int, workers: int) -> Iterator[Any]:
            del total, workers
            for index in range(after):
                yield one(index, size)
            raise KeyboardInterrupt

        return run

    for throw in (superstats.throw_weighted, superstats.throw_q0):
        monkeypatch.setattr(toys, "run_chunks", interrupted(2))
        result = throw(4, 0.6, 0.5, 0.3, toys=1000, chunk=100)
        assert result.interrupted
        assert result.toys == 200
        monkeypatch.setattr(toys, "run_chunks", interrupted(0))
        with pytest.raises(KeyboardInterrupt):
            throw(4, 0.6, 0.5, 0.3, toys=1000, chunk=100)


def test_q0_chunks_merge_in_any_order() -> None:
    """STAT-13, STAT-22: the whole is the sum of its chunks; those of another seed or count are refused."""
    arguments = (4, 0.6, 0.5, 0.3)
    parts = [frequentist.throw_q0_chunk(*arguments, index=i, toys=500, seed=3) for i in range(3)]
    whole = superstats.throw_q0(*arguments, toys=1500, chunk=500, seed=3)
    assert frequentist.merge_q0(parts) == frequentist.merge_q0(reversed(parts)) == whole
    for other in (
        frequentist.throw_q0_chunk(*arguments, index=0, toys=500, seed=4),
        frequentist.throw_q0_chunk(5, *arguments[1:], index=0, toys=500, seed=3),
    ):
        with pytest.raises(InputError, match="cannot merge 2 chunks"):
            frequentist.merge_q0([parts[0], other])
    with pytest.raises(InputError, match="at least one"):
        frequentist.merge_q0([])


def test_q0_toys_against_a_plain_loop() -> None:
    """STAT-22: both measurements fluctuate around the background-only fit; q0 minimised on a grid."""
    n, b, up, down = 4.0, 0.6, 0.5, 0.3
    z = np.linspace(-7, 7, 7001)
    mean = b * np.where(z > 0, (1 + up / b) ** z, (1 - down / b) ** -z)

    def brute_q0(count: float, auxiliary: float) -> float:
        nominal = np.interp(auxiliary, z, mean)
        if count <= nominal:
            return 0.0
        return float(np.min(2 * (mean - count + count * np.log(count / mean)) + (z - auxiliary) ** 2))

    fit = z[np.argmin(2 * (mean - n * np.log(mean)) + z**2)]
    random = np.random.default_rng(9)
    observed = brute_q0(n, 0)
    pairs = zip(
        random.poisson(np.interp(fit, z, mean), 10_000), fit + random.standard_normal(10_000), strict=True
    )
    brute = np.mean([brute_q0(count, auxiliary) >= observed for count, auxiliary in pairs])
    result = superstats.throw_q0(n, b, up, down, toys=100_000, seed=1)
    assert result.observed == pytest.approx(observed, rel=1e-4)
    assert abs(result.p - brute) < 4 * np.hypot(result.error, np.sqrt(brute / 10_000))


def test_q0_toys_against_pyhf() -> None:
    """STAT-22: pyhf's ToyCalculator, 300 toys, interpolation code 1: the observed q0, and p within 4 standard errors."""
    pyhf = pytest.importorskip("pyhf")
    n, b, up, down = 5.0, 3.0, 1.0, 0.8
    background = {"name": "bkg", "type": "normsys", "data": {"hi": 1 + up / b, "lo": 1 - down / b}}
    modifier = {"name": "mu", "type": "normfactor", "data": None}
    samples = [
        {"name": "signal", "data": [1.0], "modifiers": [modifier]},
        {"name": "background", "data": [b], "modifiers": [background]},
    ]
    spec = {"channels": [{"name": "bin", "samples": samples}]}
    model = pyhf.Model(spec, poi_name="mu", modifier_settings={"normsys": {"interpcode": "code1"}})
    data = [n, *model.config.auxdata]
    bounds = [
        (0.0, 50.0) if name == "mu" else tuple(limits)
        for name, limits in zip(model.config.par_names, model.config.suggested_bounds(), strict=True)
    ]
    np.random.seed(3)  # noqa: NPY002 - pyhf draws from NumPy's global generator
    calculator = pyhf.infer.calculators.ToyCalculator(
        data, model, par_bounds=bounds, test_stat="q0", ntoys=300, track_progress=False
    )
    p = float(calculator.distributions(0.0)[0].pvalue(calculator.teststatistic(0.0)))
    result = superstats.throw_q0(n, b, up, down, toys=100_000, seed=3)
    assert result.observed == pytest.approx(float(calculator.teststatistic(0.0)), abs=2e-3)
    assert abs(result.p - p) < 4 * np.sqrt(p * (1 - p) / 300)


def test_q0_toys_chunks_and_deficits() -> None:
    """STAT-13, STAT-22: workers do not matter; a deficit has p = 1, as q0 is zero there."""
    one = superstats.throw_q0(4, 0.6, 0.5, 0.3, toys=2500, chunk=1000, seed=2)
    assert one == superstats.throw_q0(4, 0.6, 0.5, 0.3, toys=2500, chunk=1000, seed=2, workers=2)
    deficit = superstats.throw_q0(1, 3, 1, 1, toys=1000)
    assert deficit.p == 1
    assert deficit.error > 0


def test_bad_input() -> None:
    """STAT-14: impossible counts, toy numbers and shapes."""
    with pytest.raises(InputError, match="impossible"):
        superstats.throw_weighted(1, 0, 0, 0)
    with pytest.raises(InputError, match="toys = 0 is out of range"):
        superstats.throw_q0(1, 1, 0, 0, toys=0)
    with pytest.raises(InputError, match="one count at a time"):
        superstats.throw_weighted([1, 2], 1, 0, 0)  # type: ignore[arg-type]


DEFICITS = [
    (0, 50, 20, 20),
    (0, 3, 1, 1),
    (1, 25, 5, 5),
    (3, 25, 12, 2),
    (100, 200, 60, 50),
    (100, 200, 5, 60),
    (100, 700, 40, 40),
]


@pytest.mark.parametrize("model", ["split-lognormal", "lognormal", "gaussian", "none"])
@pytest.mark.parametrize("case", DEFICITS)
def test_errors_of_deficits_are_honest(case: tuple[int, ...], model: ModelName) -> None:
    """STAT-21: pulls of the sampled side have unit width; exact from the count's distribution, another integral than that of mid-p.

    The whole study, with excesses and 300 seeds, is ``validation/pvalues/pulls.py``.
    """
    n, *background = case
    below = superstats.counts.cdf(n - 1, *background, model=model) if n > 0 else 0.0
    exact = 0.5 * (below + superstats.counts.cdf(n, *background, model=model))
    pulls = []
    for seed in range(60):
        run = superstats.throw_weighted(*case, toys=2_000, seed=seed, model=model)
        assert run.deficit
        assert 0 <= run.midp <= 1
        assert 0 <= run.tail <= 1
        pulls.append((np.exp(run.log_scale) * run.midp_sum / run.toys - exact) / run.midp_error)
    assert abs(np.mean(pulls)) < 4 / np.sqrt(60)
    assert 0.7 < np.std(pulls) < 1.35


def test_significance_of_a_far_deficit() -> None:
    """STAT-21: Z of p = 1 - 1e-85, from the sampled side; exact by the quadrature."""
    run = superstats.throw_weighted(100, 700, 40, 40)
    exact = superstats.midp_significance(100, 700, 40, 40)
    assert exact == pytest.approx(-19.59, abs=0.01)
    assert abs(run.z - exact) < 4 * run.z_error < 0.02
    assert run.midp == 1


def test_error_that_is_not_to_be_trusted_says_so() -> None:
    """STAT-21: five toys cannot know their error; fifty thousand at 4 sigma can."""
    assert not superstats.throw_weighted(60, 25, 5, 5, toys=5).trusted
    good = superstats.throw_weighted(60, 25, 5, 5)
    assert good.trusted
    assert 10_000 < good.effective < 50_000
    far = superstats.throw_weighted(0, 1e15, 1e14, 1e14)
    assert not far.trusted
