"""How often each p-value falls below alpha without a signal, and each limit below the true signal.

    python validation/coverage/study.py [--report]

Writes REPORT.md, rates.csv, limits.csv, coverage.png and limits.png; some ten minutes on one core. No toys: every rate is a sum
over counts and, where a measurement of the background fluctuates, over that measurement.

One bin has the mean mu(z) of the split log-normal with relative uncertainties u upward and d downward: mu(z) = b (1 + u)^z for
z >= 0; b (1 - d)^(-z) for z < 0, or max(0, b (1 + d z)) from d = 0.8 on. An auxiliary measurement a, normal around z with
unit width, is all that is known of z. Three ensembles:

* predictive: the reported numbers b, u, d are fixed (a = 0). The true z is drawn from a unit normal, the count from
  Poisson(mu(z)).
* auxiliary: the true z0 is fixed. The auxiliary measurement a is drawn around z0, the count from Poisson(mu(z0)). The analyst
  knows the function mu and a: `tail` and `midp` average over z normal around a, q0 holds z by (z - a)^2.
* reported: a and the count are drawn as in `auxiliary`, but the analyst knows only what a table reports: the background
  mu(a) with the uncertainties mu(a + 1) - mu(a) and mu(a) - mu(a - 1), from which superbin builds a split log-normal of its own.

In the last two, z0 is one of `TRUTHS`. "worst" is the largest of their rates, "typical" their average with the weight of a unit
normal.
"""

import argparse
import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
from scipy import special

from superbin import stats
from superbin.stats.arguments import FloatArray
from superbin.stats.limits.asymptotic import q_tilde
from superbin.stats.models import uncertainty

HERE = Path(__file__).parent


def grid(last: int, step: float) -> FloatArray:
    """Multiples of a step up to plus and minus `last` of them."""
    return np.asarray(np.arange(-last, last + 1) * step, dtype=np.float64)


SIGMAS = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
ALPHAS = special.ndtr(-SIGMAS)
BACKGROUNDS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
WIDTHS = {
    "none": ((0.0, 0.0),),
    "log-normal": ((0.2, 1 - 1 / 1.2), (0.5, 1 - 1 / 1.5), (1.0, 0.5)),
    "equal": ((0.3, 0.3), (0.7, 0.7)),
    "downward larger": ((0.1, 0.3), (0.02, 0.3), (0.05, 0.75)),
    "upward larger": ((0.3, 0.1), (0.3, 0.02), (1.0, 1 / 15)),
    "down to zero": ((0.5, 1.0), (1.0, 1.0)),
}
"""Relative uncertainties upward and downward, by their kind; "log-normal" is symmetric in the logarithm, "down to zero" the linear branch."""

TRUTHS = grid(4, 0.5)
METHODS = ("tail", "midp", "q0 asymptotic", "p0")
NODES = grid(1400, 0.01)
"""Nuisances to average over; zero, where mu bends, is one of them."""

AUXILIARIES = grid(360, 0.02)
FITTED = grid(80, 0.1)
COARSE = grid(72, 0.1)
SPARSE = grid(18, 0.4)
"""Auxiliary measurements at which p0 and the LHC's CLs of reported numbers are computed one by one."""

LHC_UP_TO = 1e4
"""Events above which the asymptotic formulas stand for the LHC's CLs of reported numbers: an auxiliary measurement 6 sigma out makes so many."""

LEVEL = 0.95
LIMIT_ALPHAS = np.append(1 - LEVEL, ALPHAS)
"""1 - confidence level of the limits."""

LIMIT_BACKGROUNDS = (1.0, 5.0, 25.0, 100.0)
SIGNALS = (3.0, 10.0, 30.0, 100.0)
LIMIT_METHODS = ("cls", "asymptotic", "lhc")
COLUMNS = ("ensemble", "method", "kind", "b", "up", "down")

LIMIT_TRUTHS = grid(2, 1.0)

HEAD = " | ".join(f"{s:g} sigma" for s in SIGMAS)

Ensemble: TypeAlias = Literal["predictive", "auxiliary", "reported"]
ENSEMBLES = get_args(Ensemble)
SECTIONS: tuple[tuple[Ensemble, str, str], ...] = (
    ("predictive", "worst", "predictive"),
    *((e, w, f"{e}, {w} z0") for e in ENSEMBLES[1:] for w in ("typical", "worst")),
)


@dataclass(frozen=True)
class Bin:
    """A background with relative uncertainties."""

    b: float
    u: float
    d: float

    def mean(self, z: FloatArray) -> FloatArray:
        """mu(z); the definition, written out again."""
        below = np.maximum(0.0, 1 + self.d * z) if self.d >= 0.8 else (1 - min(self.d, 0.8)) ** -z
        return np.asarray(self.b * np.where(z >= 0, (1 + self.u) ** z, below))

    def reported(self, a: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What a table says after an auxiliary measurement: background, up and down."""
        centre = self.mean(a)
        return centre, self.mean(a + 1) - centre, np.minimum(centre - self.mean(a - 1), centre)

    @property
    def own(self) -> tuple[float, float, float]:
        """Background, up and down before anything fluctuates."""
        return self.b, self.u * self.b, self.d * self.b

    @property
    def counts(self) -> FloatArray:
        """All counts that any of the true means can give, but for 1e-11."""
        top = float(self.mean(TRUTHS).max())
        return np.arange(int(top + 8 * np.sqrt(top) + 20), dtype=np.float64)


@dataclass(frozen=True)
class Rate:
    """How often p is at most alpha, or a limit is below the truth, in one ensemble."""

    typical: float
    worst: float
    truth: float
    """The z0 of the worst."""


# --- p-values -----------------------------------------------------------------------------------------------


def at_least(n: FloatArray, mean: FloatArray) -> FloatArray:
    """P(N >= n) at fixed means."""
    return np.where(n > 0, special.gammainc(np.maximum(n, 1e-9), mean), 1.0)


def midway(tail: FloatArray) -> FloatArray:
    """Mid-p of every count from the tails of all counts, the last of which is left out."""
    return np.asarray(0.5 * (tail[..., :-1] + tail[..., 1:]))


def auxiliary_p(one: Bin) -> dict[str, FloatArray]:
    """P-values by method, of shape (auxiliaries, counts), of an analyst who knows mu and a."""
    n = one.counts
    mean = one.mean(NODES)
    probability = at_least(np.append(n, n[-1] + 1)[:, None], mean[None, :])
    weight = np.exp(-0.5 * (NODES - AUXILIARIES[:, None]) ** 2)
    weight /= weight.sum(axis=1, keepdims=True)
    tail = weight @ probability.T
    found = {"tail": tail[:, :-1], "midp": midway(tail)}
    z = np.asarray(stats.asymptotic_z(n[None, :], *one.own, auxiliary=AUXILIARIES[:, None]))
    found["q0 asymptotic"] = special.ndtr(-z)
    every = AUXILIARIES[::5]
    coarse = np.asarray(stats.fit_nuisance(n[None, :], 0.0, *one.own, auxiliary=every[:, None]))
    found["p0"] = calibrated(one, n, np.where(z > 0, z, 0.0), coarse)
    return found


def calibrated(
    one: Bin,
    n: FloatArray,
    root: FloatArray,
    coarse: FloatArray,
    signal: float = 0.0,
    auxiliaries: FloatArray = AUXILIARIES,
) -> FloatArray:
    """P(statistic at least as large) of every outcome, around its own fit: what `superbin.stats.p0` and `lhc_cls` sum outcome by outcome.

    `root` is the root of the statistic, of shape (auxiliaries, counts); `coarse` the fitted nuisance at every fifth auxiliary measurement. The count is
    drawn with the signal of the tested hypothesis.
    """
    every = auxiliaries[::5]
    fitted = np.stack([np.interp(auxiliaries, every, column) for column in coarse.T], axis=1).ravel()
    order = np.argsort(-root, axis=None, kind="stable")
    sorted_root = root.ravel()[order]
    # the last of those with an equal statistic: they all count
    last = np.searchsorted(-sorted_root, -sorted_root * (1 - 1e-12), side="right") - 1
    position = np.clip((fitted[order] - FITTED[0]) / (FITTED[1] - FITTED[0]), 0, FITTED.size - 1 - 1e-9)
    left = position.astype(int)
    share = position - left
    p = np.zeros(order.size)
    step = auxiliaries[1] - auxiliaries[0]
    for k, z in enumerate(FITTED):
        used = np.flatnonzero((left == k) | (left + 1 == k))
        if used.size == 0:
            continue
        mean = signal + float(one.mean(np.array([z]))[0])
        chance = np.exp(special.xlogy(n, mean) - mean - special.gammaln(n + 1))
        normal = np.exp(-0.5 * (auxiliaries - z) ** 2) * step / np.sqrt(2 * np.pi)
        sums = np.cumsum((normal[:, None] * chance[None, :]).ravel()[order])
        p[used] += np.where(left[used] == k, 1 - share[used], share[used]) * sums[last[used]]
    result = np.empty(order.size)
    result[order] = p
    return np.where(root > 0, result.reshape(root.shape), 1.0)


def reported_p(one: Bin) -> dict[str, FloatArray]:
    """The same of an analyst who knows what a table reports."""
    n = one.counts
    b, up, down = (x[:, None] for x in one.reported(AUXILIARIES[::2]))
    tail = np.asarray(stats.tail(np.append(n, n[-1] + 1)[None, :], b, up, down))
    asymptotic = special.ndtr(-np.asarray(stats.asymptotic_z(n[None, :], b, up, down)))
    found = {"tail": tail[:, :-1], "midp": midway(tail), "q0 asymptotic": asymptotic}
    every = asymptotic[:: (len(asymptotic) - 1) // (SPARSE.size - 1)]
    p0 = [
        where_it_matters(p0_of(numbers), row, ALPHAS)
        for row, numbers in zip(every, reported_rows(one), strict=True)
    ]
    return {**found, "p0": np.array(p0)}


def p0_of(numbers: tuple[float, float, float]) -> Callable[[int], float]:
    """p0 of a count, given background, up and down."""
    return lambda n: float(stats.p0(float(n), *numbers).p)


def reported_rows(one: Bin) -> list[tuple[float, float, float]]:
    """What a table says at every `SPARSE` measurement."""
    return [(float(b), float(up), float(down)) for b, up, down in zip(*one.reported(SPARSE), strict=True)]


def where_it_matters(exact: Callable[[int], float], guess: FloatArray, alphas: FloatArray) -> FloatArray:
    """Values that fall with their index, exact on both sides of where they cross every alpha, and constant from one of those to the next.

    `guess` is an approximation of all of them, from which the search begins.
    """
    known: dict[int, float] = {}

    def below(i: int, alpha: float) -> bool:
        if i not in known:
            known[i] = exact(i)
        return known[i] <= alpha

    for alpha in alphas:
        i = int(np.count_nonzero(guess > alpha))
        while i > 0 and below(i - 1, alpha):
            i -= 1
        while i < guess.size and not below(i, alpha):
            i += 1
    result, last = np.empty(guess.size), np.inf
    for i in range(guess.size):
        last = known.get(i, last)
        result[i] = last
    return result


def auxiliaries_of(values: FloatArray) -> FloatArray:
    """The grid of auxiliary measurements on which values of shape (auxiliaries, counts) stand."""
    return next(g for g in (AUXILIARIES, AUXILIARIES[::2], COARSE, SPARSE) if g.size == len(values))


def with_truth(one: Bin, p: FloatArray) -> list[Rate]:
    """Rates of p at most alpha when the auxiliary fluctuates around a truth, p of shape (auxiliaries, counts)."""
    n = one.counts
    auxiliaries = auxiliaries_of(p)
    found = np.empty((TRUTHS.size, ALPHAS.size))
    for i, z in enumerate(TRUTHS):
        mean = float(one.mean(np.array([z]))[0])
        chance = np.exp(special.xlogy(n, mean) - mean - special.gammaln(n + 1))
        weight = normal_weight(auxiliaries, float(z))
        for k, alpha in enumerate(ALPHAS):
            found[i, k] = weight @ ((p <= alpha) @ chance)
    return [summary(found[:, k], TRUTHS) for k in range(ALPHAS.size)]


def summary(rates: FloatArray, truths: FloatArray) -> Rate:
    """Typical and worst of the rates at all truths."""
    weight = normal_weight(truths, 0.0)
    worst = int(np.argmax(rates))
    return Rate(float(weight @ rates), float(rates[worst]), float(truths[worst]))


def normal_weight(x: FloatArray, centre: float) -> FloatArray:
    """Weights of a unit normal that add up to one."""
    weight = np.exp(-0.5 * (x - centre) ** 2)
    return np.asarray(weight / weight.sum())


def predictive(one: Bin, method: str) -> list[Rate]:
    """Rates where the true mean varies as reported: tails at the smallest count whose p is at most alpha."""
    low, high = np.full(ALPHAS.size, -1.0), np.full(ALPHAS.size, one.b + 5.0)

    def reached(n: FloatArray) -> FloatArray:
        if method == "p0":
            log_p = [float(stats.p0(count, *one.own).log_p) for count in n]
            return np.asarray(np.exp(log_p) <= ALPHAS)
        if method == "q0 asymptotic":
            return np.asarray(special.ndtr(-np.asarray(stats.asymptotic_z(n, *one.own))) <= ALPHAS)
        return np.asarray((stats.tail if method == "tail" else stats.midp)(n, *one.own) <= ALPHAS)

    high = np.ceil(high)
    while not (enough := reached(high)).all():
        high = np.where(enough, high, 2 * high)
    while (high - low > 1).any():
        middle = np.floor(0.5 * (low + high))
        enough = reached(middle)
        high, low = np.where(enough, middle, high), np.where(enough, low, middle)
    return [Rate(float(r), float(r), 0.0) for r in np.asarray(stats.tail(high, *one.own))]


EXAMPLE = Bin(100.0, 0.02, 0.3)

Rates: TypeAlias = dict[tuple[Ensemble, str, str, Bin], list[Rate]]


def bins(backgrounds: tuple[float, ...]) -> Iterator[tuple[str, Bin]]:
    """Every bin with the kind of its widths."""
    for kind, widths in WIDTHS.items():
        for u, d in widths:
            for b in backgrounds:
                yield kind, Bin(b, u, d)


def all_rates() -> Rates:
    """Rates of every method in every ensemble."""
    found: Rates = {}
    for kind, one in bins(BACKGROUNDS):
        for method in METHODS:
            found["predictive", method, kind, one] = predictive(one, method)
        for method, p in auxiliary_p(one).items():
            found["auxiliary", method, kind, one] = with_truth(one, p)
        for method, p in reported_p(one).items():
            found["reported", method, kind, one] = with_truth(one, p)
    return found


# --- limits -------------------------------------------------------------------------------------------------


def auxiliary_cls(one: Bin, s: float, n: FloatArray) -> dict[str, FloatArray]:
    """CLs of s by method, of shape (auxiliaries, counts), of an analyst who knows mu and a."""
    nodes = NODES[::4]
    weight = np.exp(-0.5 * (nodes - COARSE[:, None]) ** 2)
    both, alone = (
        weight @ special.gammaincc(n[:, None] + 1, strength + one.mean(nodes)[None, :]).T
        for strength in (s, 0.0)
    )
    with np.errstate(invalid="ignore"):
        exact = np.where(alone > 0, both / alone, 0.0)
    a, count = np.broadcast_arrays(COARSE[:, None], n[None, :])
    return {"cls": exact, "asymptotic": asymptotic_cls(one, s, count, a)}


def asymptotic_cls(one: Bin, s: float, n: FloatArray, a: FloatArray) -> FloatArray:
    """The test statistic with tilde and its asymptotic distributions, around an auxiliary measurement other than zero."""

    def cost(count: FloatArray, signal: float, centre: FloatArray) -> FloatArray:
        z = np.asarray(stats.fit_nuisance(count, signal, *one.own, auxiliary=centre))
        mean = signal + one.mean(z)
        deviance = mean - count + special.xlogy(count, count / np.where(mean > 0, mean, 1.0))
        return np.asarray(2 * deviance + (z - centre) ** 2)

    def q_tilde(count: FloatArray, centre: FloatArray) -> FloatArray:
        estimate = count - one.mean(centre)
        below = np.where(estimate < 0, cost(count, 0.0, centre), 0.0)
        return np.where(estimate > s, 0.0, np.maximum(cost(count, s, centre) - below, 0.0))

    fitted = np.asarray(stats.fit_nuisance(n, 0.0, *one.own, auxiliary=a))
    q, asimov = q_tilde(n, a), q_tilde(one.mean(fitted), fitted)
    root = np.sqrt(asimov)
    distance = np.where(q <= asimov, np.sqrt(q) - root, (q - asimov) / np.where(root > 0, 2 * root, 1.0))
    return np.asarray(np.exp(special.log_ndtr(-(distance + root)) - special.log_ndtr(-distance)))


def lhc_cls(one: Bin, s: float, n: FloatArray) -> FloatArray:
    """The LHC's CLs of s for every outcome, of shape (auxiliaries, counts): two calibrations of q~, around the fits with and without s."""
    held = uncertainty("split-lognormal", *(np.array([x]) for x in one.own))
    auxiliaries = AUXILIARIES[::2]
    count, a = (x.ravel() for x in np.broadcast_arrays(n[None, :], auxiliaries[:, None]))
    q = q_tilde(np.full(count.size, s), count, held, a).reshape(auxiliaries.size, n.size)
    root = np.sqrt(q)
    every = auxiliaries[::5]
    both, alone = (
        calibrated(
            one,
            n,
            root,
            np.asarray(stats.fit_nuisance(n[None, :], strength, *one.own, auxiliary=every[:, None])),
            strength,
            auxiliaries,
        )
        for strength in (s, 0.0)
    )
    return np.where(root > 0, both / np.where(alone > 0, alone, 1.0), 1.0)


@cache
def reported_cdf(one: Bin) -> FloatArray:
    """P(at most n background events) of an analyst who knows what a table reports, shape (auxiliaries, counts)."""
    top = max(SIGNALS) + float(one.mean(LIMIT_TRUTHS).max())
    n = np.arange(int(top + 6 * np.sqrt(top) + 6))
    return np.asarray(stats.counts.cdf(n, *(x[:, None] for x in one.reported(COARSE))))


def reported_cls(one: Bin, s: float, n: FloatArray) -> dict[str, FloatArray]:
    """CLs of s by method, of shape (auxiliaries, counts), of an analyst who knows what a table reports."""
    b, up, down = (x[:, None] for x in one.reported(COARSE))
    every = np.arange(n[-1] + 1)
    alone = reported_cdf(one)[:, : every.size]
    signal = np.exp(special.xlogy(every, s) - s - special.gammaln(every + 1))
    both = np.array([np.convolve(signal, row)[: row.size] for row in alone])
    with np.errstate(invalid="ignore"):
        exact = np.where(alone > 0, both / alone, 0.0)[:, int(n[0]) :]
    asymptotic = np.asarray(stats.limits.asymptotic_cls(s, n[None, :], b, up, down))
    some = asymptotic[:: (COARSE.size - 1) // (SPARSE.size - 1), ::-1]
    lhc = [
        where_it_matters(lhc_of(s, n[::-1], row, numbers), row, LIMIT_ALPHAS[:1])[::-1]
        for row, numbers in zip(some, reported_rows(one), strict=True)
    ]
    return {"cls": exact, "asymptotic": asymptotic, "lhc": np.array(lhc)}


def lhc_of(
    s: float, n: FloatArray, asymptotic: FloatArray, numbers: tuple[float, float, float]
) -> Callable[[int], float]:
    """The LHC's CLs at one of several counts, given background, up and down; asymptotic where it is out of reach."""
    if max(numbers[0], n.max()) > LHC_UP_TO:
        return lambda i: float(asymptotic[i])
    return lambda i: stats.limits.lhc_cls(s, float(n[i]), *numbers)


def limit_rates(one: Bin, s: float) -> dict[tuple[Ensemble, str], list[Rate]]:
    """How often the upper limit lies below the true signal s, which is where CLs of s is below 1 - level; by level."""
    means = s + one.mean(LIMIT_TRUTHS)
    low = max(0, int(means.min() - 7 * np.sqrt(means.min()) - 2))
    n = np.arange(low, int(means.max() + 6 * np.sqrt(means.max()) + 6), dtype=np.float64)
    every = np.arange(n[-1] + 1)  # the ensemble without a signal has low counts
    value: dict[tuple[Ensemble, str], FloatArray] = {
        ("reported", method): cls for method, cls in reported_cls(one, s, n).items()
    }
    value |= {("auxiliary", method): cls for method, cls in auxiliary_cls(one, s, n).items()}
    lhc = lhc_cls(one, s, every)
    value["auxiliary", "lhc"] = lhc[:, low:]
    rates = {key: np.empty((LIMIT_ALPHAS.size, LIMIT_TRUTHS.size)) for key in value}
    for i, z in enumerate(LIMIT_TRUTHS):
        chance = np.exp(special.xlogy(n, means[i]) - means[i] - special.gammaln(n + 1))
        for key, cls in value.items():
            weight = normal_weight(auxiliaries_of(cls), float(z))
            for k, alpha in enumerate(LIMIT_ALPHAS):
                rates[key][k, i] = weight @ ((cls < alpha) @ chance)
    found = {key: [summary(row, LIMIT_TRUTHS) for row in rate] for key, rate in rates.items()}
    found["reported", "lhc"] = found["reported", "lhc"][:1]  # at the other levels it was not computed
    # predictive: counts from s + mu(z) with z unit normal, nothing else fluctuates
    n = every
    chance = np.asarray(stats.counts.pmf(n, *one.own, signal=s))
    fixed = {
        "cls": np.asarray(stats.limits.cls(s, n, *one.own)),
        "asymptotic": np.asarray(stats.limits.asymptotic_cls(s, n, *one.own)),
        "lhc": lhc[len(lhc) // 2],  # the only measurement is a = 0
    }
    for method, cls in fixed.items():
        below = [float((cls < alpha) @ chance) for alpha in LIMIT_ALPHAS]
        found["predictive", method] = [Rate(rate, rate, 0.0) for rate in below]
    return found


LIMIT_EXAMPLE = (Bin(25.0, 0.5, 0.05), 100.0)

LimitRates: TypeAlias = dict[tuple[Ensemble, str, str, Bin, float], list[Rate]]


def all_limit_rates() -> LimitRates:
    """Rates of limits below the truth."""
    cases = [(kind, one, s) for kind, one in bins(LIMIT_BACKGROUNDS) for s in SIGNALS]
    return {
        (ensemble, method, kind, one, s): rate
        for kind, one, s in [*cases, ("example", *LIMIT_EXAMPLE)]
        for (ensemble, method), rate in limit_rates(one, s).items()
    }


# --- report -------------------------------------------------------------------------------------------------


def main() -> None:
    """Compute, write and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--report", action="store_true", help="only write the report again, from the csv files"
    )
    if not parser.parse_args().report:
        write_csv(all_rates(), all_limit_rates())
    rates, limits = read_csv()
    (HERE / "REPORT.md").write_text(report(rates, limits), encoding="utf-8")
    draw(rates)
    draw_limits(limits)


def read_csv() -> tuple[Rates, LimitRates]:
    """What `write_csv` wrote."""
    rates: Rates = {}
    for row in _rows("rates.csv"):
        alpha = float(special.ndtr(-float(row["sigma"])))
        rate = Rate(
            float(row["typical_over_alpha"]) * alpha,
            float(row["worst_over_alpha"]) * alpha,
            float(row["worst_z0"]),
        )
        rates.setdefault(_key(row), []).append(rate)
    limits: LimitRates = {}
    for row in _rows("limits.csv"):
        cells = [row[f"{alpha:.4g}"].split() for alpha in LIMIT_ALPHAS if row[f"{alpha:.4g}"]]
        limits[(*_key(row), float(row["s"]))] = [Rate(*map(float, three)) for three in cells]
    return rates, limits


def _rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _key(row: dict[str, str]) -> tuple[Ensemble, str, str, Bin]:
    ensemble = next(e for e in ENSEMBLES if e == row["ensemble"])
    return ensemble, row["method"], row["kind"], Bin(*(float(row[name]) for name in ("b", "up", "down")))


def write_csv(rates: Rates, limits: LimitRates) -> None:
    """Every single rate."""
    with (HERE / "rates.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*COLUMNS, "sigma", "typical_over_alpha", "worst_over_alpha", "worst_z0"])
        for (ensemble, method, kind, one), found in rates.items():
            for sigma, alpha, rate in zip(SIGMAS, ALPHAS, found, strict=True):
                numbers = [f"{x:.4g}" for x in (*own(one), sigma, rate.typical / alpha, rate.worst / alpha)]
                rows.writerow([ensemble, method, kind, *numbers, f"{rate.truth:g}"])
    with (HERE / "limits.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        # By alpha: the typical rate, the worst, and the nuisance at which that is.
        rows.writerow([*COLUMNS, "s", *(f"{alpha:.4g}" for alpha in LIMIT_ALPHAS)])
        for (ensemble, method, kind, one, s), found_at in limits.items():
            cells = [f"{rate.typical:.4g} {rate.worst:.4g} {rate.truth:g}" for rate in found_at]
            cells += [""] * (LIMIT_ALPHAS.size - len(cells))
            rows.writerow([ensemble, method, kind, *(f"{x:.4g}" for x in (*own(one), s)), *cells])


def own(one: Bin) -> tuple[float, float, float]:
    """Background and relative uncertainties."""
    return one.b, one.u, one.d


def report(rates: Rates, limits: LimitRates) -> str:
    """REPORT.md."""
    widths = "; ".join(
        f"{kind}: " + ", ".join(f"+{100 * u:.3g} -{100 * d:.3g} %" for u, d in pairs)
        for kind, pairs in WIDTHS.items()
    )
    definitions = (__doc__ or "").split("\n\n", 3)[3].strip()
    lines = [
        "# How often p falls below alpha without a signal",
        "",
        "Written by `study.py`; every single rate is in `rates.csv` and `limits.csv`.",
        "",
        definitions,
        "",
        (
            f"Backgrounds: {', '.join(f'{b:g}' for b in BACKGROUNDS)} events. Relative uncertainties: {widths}. p0: the count and the "
            'auxiliary measurement drawn from the background-only fit. "worst" and "typical" are taken '
            f"over z0 = {', '.join(f'{z:g}' for z in TRUTHS)}; for limits, over every second of these."
        ),
        "",
        (
            "Numbers are rate / alpha, the smallest and the largest over backgrounds and uncertainties of a kind, alpha being the "
            "p-value of 1, 2, 3, 4 and 5 sigma: 1 is exact, less is conservative, more claims too much."
        ),
    ]
    for ensemble, which, title in SECTIONS:
        lines += [
            "",
            f"## {title}",
            "",
            f"| method | uncertainties | {HEAD} |",
            f"|---|---|{'---|' * SIGMAS.size}",
        ]
        for method in METHODS:
            for kind in WIDTHS:
                some = [f for (e, m, k, _), f in rates.items() if (e, m, k) == (ensemble, method, kind)]
                if some:
                    lines.append(f"| {method} | {kind} | {spans(some, which)} |")
    lines += [
        "",
        "## From 10 events on",
        "",
        'b = 10, 30 and 100, all kinds of uncertainties but "down to zero" together.',
        "",
        f"| ensemble | method | {HEAD} |",
        f"|---|---|{'---|' * SIGMAS.size}",
    ]
    for ensemble, which, title in SECTIONS:
        for method in METHODS:
            some = [
                f
                for (e, m, k, one), f in rates.items()
                if (e, m) == (ensemble, method) and one.b >= 10 and k != "down to zero"
            ]
            if some:
                lines.append(f"| {title} | {method} | {spans(some, which)} |")
    lines += [*example_lines(rates), "", "![rates](coverage.png)", "", *limit_lines(limits)]
    return "\n".join([*lines, "", "![limits](limits.png)", ""])


def spans(found: list[list[Rate]], which: str) -> str:
    """Cells with the smallest and the largest rate over alpha at every sigma."""
    ratio = np.array([[getattr(r, which) for r in rates] for rates in found]) / ALPHAS
    return " | ".join(
        f"{number(x)} to {number(y)}" for x, y in zip(ratio.min(axis=0), ratio.max(axis=0), strict=True)
    )


def example_lines(rates: Rates) -> list[str]:
    """One bin on its own."""
    one = EXAMPLE
    lines = [
        "",
        f"## One bin: b = {one.b:g} +{100 * one.u:g} -{100 * one.d:g} %",
        "",
        f"| ensemble | method | {HEAD} | z0 of the worst |",
        f"|---|---|{'---|' * SIGMAS.size}---|",
    ]
    for (ensemble, method, _, other), found in rates.items():
        if other == one:
            cells = [number(r.worst / alpha) for r, alpha in zip(found, ALPHAS, strict=True)]
            where = "" if ensemble == "predictive" else ", ".join(f"{r.truth:g}" for r in found)
            lines.append(f"| {ensemble} | {method} | {' | '.join(cells)} | {where} |")
    return lines


def limit_lines(limits: LimitRates) -> list[str]:
    """The part of the report about limits."""
    lines = [
        "# How often an upper limit lies below the true signal",
        "",
        (
            f"Limits at {LEVEL:.0%}, signals of {', '.join(f'{s:g}' for s in SIGNALS)} events on backgrounds of "
            f"{', '.join(f'{b:g}' for b in LIMIT_BACKGROUNDS)}. Numbers are rates, the smallest and the largest: up to "
            f"{1 - LEVEL:.2f} covers. The Bayesian limit of a flat prior is the exact CLs limit, and has its rates."
        ),
        "",
        f"| ensemble | uncertainties | {' | '.join(LIMIT_METHODS)} | largest of cls for |",
        "|---|---|---|---|---|---|",
    ]
    for ensemble, which, title in SECTIONS:
        for kind in WIDTHS:
            cells, place = [], ""
            for method in LIMIT_METHODS:
                some = {
                    (one, s): float(getattr(rate[0], which))
                    for (e, m, k, one, s), rate in limits.items()
                    if (e, m, k) == (ensemble, method, kind)
                }
                cells.append(f"{min(some.values()):.3f} to {max(some.values()):.3f}" if some else "")
                if method == "cls":
                    one, s = max(some, key=lambda key: some[key])
                    place = f"{one.b:g} +{100 * one.u:.3g} -{100 * one.d:.3g} %, s = {s:g}"
            lines.append(f"| {title} | {kind} | {' | '.join(cells)} | {place} |")
    one, s = LIMIT_EXAMPLE
    lines += [
        "",
        f"One bin, {one.b:g} +{100 * one.u:g} -{100 * one.d:g} % with s = {s:g}:",
        "",
        f"| ensemble | {' | '.join(LIMIT_METHODS)} |",
        "|---|---|---|---|",
    ]
    for ensemble, which, title in SECTIONS:
        found = [getattr(limits[ensemble, method, "example", one, s][0], which) for method in LIMIT_METHODS]
        lines.append(f"| {title} | {' | '.join(f'{rate:.3f}' for rate in found)} |")
    lines += [
        "",
        "## At the confidence levels of 1 to 5 sigma",
        "",
        (
            "Limits at the level 1 - alpha: rate / alpha, the smallest and the largest over all signals, backgrounds and uncertainties of a kind; "
            f"up to 1 covers; lhc of reported numbers was computed at {LEVEL:.0%} only. CLs is conservative by construction for signals that are small beside the fluctuations of the background."
        ),
        "",
        f"| ensemble | method | uncertainties | {HEAD} |",
        f"|---|---|---|{'---|' * SIGMAS.size}",
    ]
    for ensemble, which, title in SECTIONS:
        for method in LIMIT_METHODS:
            for kind in WIDTHS:
                some_kind = [
                    rates[1:]
                    for (e, m, k, _, _), rates in limits.items()
                    if (e, m, k) == (ensemble, method, kind)
                ]
                if (ensemble, method) != ("reported", "lhc"):
                    lines.append(f"| {title} | {method} | {kind} | {spans(some_kind, which)} |")
    return lines


def number(x: float) -> str:
    """Two digits behind the point, fewer for large numbers."""
    return f"{x:.2f}" if x < 9.995 else f"{x:.3g}"


def draw(rates: Rates) -> None:
    """Rate over alpha against the background, at z0 of the worst, for the kinds of uncertainties."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(
        3, SIGMAS.size, figsize=(16, 9), sharex=True, sharey="col", layout="constrained"
    )
    for axes_of, ensemble in zip(panels, ENSEMBLES, strict=True):
        for k, (axes, sigma) in enumerate(zip(axes_of, SIGMAS, strict=True)):
            for method, colour in zip(METHODS, ("C0", "C1", "C2", "C3"), strict=True):
                for kind, style in zip(
                    WIDTHS, ("-", "--", "-.", ":", (0, (1, 4)), (0, (3, 1, 1, 1, 1, 1))), strict=True
                ):
                    some: dict[float, float] = {}
                    for (e, m, kk, one), found in rates.items():
                        if (e, m, kk) == (ensemble, method, kind):
                            some[one.b] = max(some.get(one.b, 0.0), found[k].worst / ALPHAS[k])
                    if some:
                        label = f"{method}, {kind}"
                        axes.plot(list(some), list(some.values()), linestyle=style, color=colour, label=label)
            axes.axhline(1, color="black", linewidth=0.8)
            axes.set(xscale="log", yscale="log", title=f"{ensemble}, {sigma:g} sigma")
    figure.supylabel("largest rate of p <= alpha, over alpha")
    for axes in panels[-1]:
        axes.set_xlabel("expected background b")
    figure.legend(*panels[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(HERE / "coverage.png", dpi=90)
    plt.close(figure)


def draw_limits(limits: LimitRates) -> None:
    """Largest rate of limits below the true signal, against it."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(12, 4.2), sharey=True, layout="constrained")
    for axes, ensemble in zip(panels, ENSEMBLES, strict=True):
        for method, colour in zip(LIMIT_METHODS, ("C0", "C2", "C3"), strict=True):
            for kind, style in zip(
                WIDTHS, ("-", "--", "-.", ":", (0, (1, 4)), (0, (3, 1, 1, 1, 1, 1))), strict=True
            ):
                worst = {
                    s: [
                        rate[0].worst
                        for (e, m, k, _, signal), rate in limits.items()
                        if (e, m, k, signal) == (ensemble, method, kind, s)
                    ]
                    for s in SIGNALS
                }
                shown = {s: max(found) for s, found in worst.items() if found}
                label = f"{method}, {kind}"
                axes.plot([*shown], [*shown.values()], linestyle=style, color=colour, marker=".", label=label)
        axes.axhline(1 - LEVEL, color="black", linewidth=0.8)
        axes.set(xscale="log", title=ensemble, xlabel="true signal s")
    panels[0].set_ylabel("largest rate of limits below s")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(HERE / "limits.png", dpi=90)
    plt.close(figure)


if __name__ == "__main__":
    main()
