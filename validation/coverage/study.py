"""How often does each method's p-value fall below alpha, and each limit below the true signal? Writes REPORT.md, coverage.png and limits.png.

    python validation/coverage/study.py

Every rate is a sum over the counts; only the p-values of the method q0 toys are themselves thrown. Two ensembles answer two questions:

* prior-predictive: the prediction is fixed, the true mean varies as the uncertainty says;
* frequentist: the true mean is fixed at b, and the prediction that the analyst gets, b (1 + x)^a with a unit normal a, varies.

The smear is the symmetric log-normal of relative width x, for which moving the auxiliary measurement is moving the prediction.
"""

from pathlib import Path

import numpy as np
from scipy import special

from superbin import stats
from superbin.stats.arguments import FloatArray

HERE = Path(__file__).parent
BACKGROUNDS = (0.3, 0.6, 1.0, 2.0, 5.0, 10.0, 25.0, 60.0)
WIDTHS = (0.0, 0.2, 0.5)
SIGMAS = (1.0, 2.0, 3.0)
METHODS = ("tail", "midp", "asymptotic")
SHIFTS = np.linspace(-5, 5, 81)

Q0_BACKGROUNDS = (0.6, 2.0, 10.0)
Q0_WIDTH = 0.2
Q0_SIGMAS = (1.0, 2.0)
Q0_TOYS = 20_000
COARSE = np.linspace(-4, 4, 17)

SIGNALS = (3.0, 5.0, 8.0, 15.0)
LIMIT_BACKGROUNDS = (0.3, 1.0, 3.0, 10.0, 25.0)
LIMIT_METHODS = ("cls", "asymptotic")
LEVEL = 0.95


def p_values(method: str, n: FloatArray, b: FloatArray, x: float) -> FloatArray:
    """P-values of a method for counts over predictions."""
    up, down = x * b, b - b / (1 + x)
    if method == "asymptotic":
        return np.asarray(special.ndtr(-np.asarray(stats.asymptotic_z(n, b, up, down))))
    return np.asarray((stats.tail if method == "tail" else stats.midp)(n, b, up, down))


def thresholds(method: str, b: FloatArray, x: float, alphas: FloatArray) -> FloatArray:
    """Smallest counts at which the method's p is at most alpha; of shape (predictions, alphas)."""
    top = int(np.max(b * (1 + 7 * x) + 8 * np.sqrt(b) + 12))
    n = np.arange(top + 1, dtype=np.float64)
    p = p_values(method, n[None, :], b[:, None], x)
    if (p[:, -1:] > alphas).any():
        raise SystemExit(f"counts up to {top} do not reach alpha for {method}, x = {x}")
    return np.asarray(np.argmax(p[:, :, None] <= alphas, axis=1), dtype=np.float64)


def rates(method: str, b: float, x: float, alphas: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rates of p <= alpha in both ensembles."""
    fixed = thresholds(method, np.array([b]), x, alphas)[0]
    predictive = np.asarray(stats.tail(fixed, b, x * b, b - b / (1 + x)))
    weight = np.exp(-0.5 * SHIFTS**2)
    moved = thresholds(method, b * (1 + x) ** SHIFTS, x, alphas)
    above = special.gammainc(np.maximum(moved, 1e-9), b)
    return predictive, np.asarray(weight @ above / weight.sum())


def main() -> None:
    """Compute, write the report and draw."""
    alphas = special.ndtr(-np.array(SIGMAS))
    table = {
        (method, x, b): rates(method, b, x, alphas) for method in METHODS for x in WIDTHS for b in BACKGROUNDS
    }
    throws = {b: q0_toy_rates(b) for b in Q0_BACKGROUNDS}
    limits_table = {
        (method, x, b, s): limit_rate(method, b, x, s)
        for method in LIMIT_METHODS
        for x in WIDTHS
        for b in LIMIT_BACKGROUNDS
        for s in SIGNALS
    }
    write(table, throws, limits_table)
    draw(table)
    draw_limits(limits_table)


def q0_toy_rates(b: float) -> FloatArray:
    """Frequentist rates of p <= alpha of the q0 toys; p falls with n, so that the threshold is found by bisection."""
    x = Q0_WIDTH
    weight = np.exp(-0.5 * COARSE**2)
    above = np.empty((COARSE.size, len(Q0_SIGMAS)))
    for row, prediction in enumerate(b * (1 + x) ** COARSE):
        for column, sigma in enumerate(Q0_SIGMAS):
            low, high = 0, int(prediction * (1 + 4 * x) + 6 * np.sqrt(prediction) + 10)
            while high - low > 1:
                middle = (low + high) // 2
                up, down = x * prediction, prediction - prediction / (1 + x)
                p = stats.throw_q0(middle, prediction, up, down, toys=Q0_TOYS).p
                low, high = (low, middle) if p <= special.ndtr(-sigma) else (middle, high)
            above[row, column] = special.gammainc(high, b)
    return np.asarray(weight @ above / weight.sum())


def limit_rate(method: str, b: float, x: float, s: float) -> float:
    """How often the upper limit lies below the true signal s: where CLs of s is below 1 - level. Frequentist ensemble."""
    shifts = COARSE if x > 0 else np.zeros(1)
    prediction = b * (1 + x) ** shifts
    n = np.arange(int(s + b + 5 * np.sqrt(s + b) + 5), dtype=np.float64)
    function = stats.limits.cls if method == "cls" else stats.limits.asymptotic_cls
    wide = prediction[:, None]
    value = np.asarray(function(s, n[None, :], wide, x * wide, wide - wide / (1 + x)))
    excluded = value < 1 - LEVEL
    probability = np.exp(n * np.log(s + b) - (s + b) - special.gammaln(n + 1))
    weight = np.exp(-0.5 * shifts**2)
    return float(weight @ (excluded @ probability) / weight.sum())


Table = dict[tuple[str, float, float], tuple[FloatArray, FloatArray]]


LimitTable = dict[tuple[str, float, float, float], float]


def write(table: Table, throws: dict[float, FloatArray], limits_table: LimitTable) -> None:
    """REPORT.md."""
    lines = [
        "# How often p falls below alpha under background alone",
        "",
        "Made by `study.py`, which says what the ensembles are. Numbers are rate / alpha: 1 is exact, below is conservative, above claims",
        "too much. alpha is the p-value of 1, 2 and 3 sigma. x is the relative uncertainty of the background.",
    ]
    for e, name in enumerate(("Prior-predictive ensemble", "Frequentist ensemble")):
        head = [f"{m} {s:g} sigma" for m in METHODS for s in SIGMAS]
        lines += [
            "",
            f"## {name}",
            "",
            "| x | b | " + " | ".join(head) + " |",
            "|---" * (2 + len(head)) + "|",
        ]
        for x in WIDTHS:
            for b in BACKGROUNDS:
                cells = [
                    f"{rate / alpha:.2f}"
                    for m in METHODS
                    for rate, alpha in zip(table[m, x, b][e], special.ndtr(-np.array(SIGMAS)), strict=True)
                ]
                lines.append(f"| {x:g} | {b:g} | " + " | ".join(cells) + " |")
    lines += ["", "## Extremes", ""]
    for e, name in enumerate(("prior-predictive", "frequentist")):
        for m in METHODS:
            ratio = np.array(
                [table[m, x, b][e] / special.ndtr(-np.array(SIGMAS)) for x in WIDTHS for b in BACKGROUNDS]
            )
            lines.append(f"- {name}, {m}: from {ratio.min():.2f} to {ratio.max():.2f}")
    lines += ["", "![rates](coverage.png)", ""]
    lines += [
        "## q0 by toys, frequentist ensemble",
        "",
        f"x = {Q0_WIDTH:g}, {Q0_TOYS} toys a p-value, predictions at {COARSE.size} shifts; rate / alpha as above.",
        "",
        "| b | " + " | ".join(f"{s:g} sigma" for s in Q0_SIGMAS) + " |",
        "|---" * (1 + len(Q0_SIGMAS)) + "|",
    ]
    for b, rate in throws.items():
        cells = [f"{r / special.ndtr(-s):.2f}" for r, s in zip(rate, Q0_SIGMAS, strict=True)]
        lines.append(f"| {b:g} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "# How often an upper limit lies below the true signal",
        "",
        (
            f"Limits at {LEVEL:.0%}; signal s and background b are true, the prediction of b varies (frequentist ensemble, "
            f"{COARSE.size} shifts). Numbers are rates: up to {1 - LEVEL:.2f} covers. The Bayesian limit of a flat prior is the "
            "exact CLs limit, and has its rates."
        ),
        "",
    ]
    head = [f"{m} s = {s:g}" for m in LIMIT_METHODS for s in SIGNALS]
    lines += ["| x | b | " + " | ".join(head) + " |", "|---" * (2 + len(head)) + "|"]
    for x in WIDTHS:
        for b in LIMIT_BACKGROUNDS:
            cells = [f"{limits_table[m, x, b, s]:.3f}" for m in LIMIT_METHODS for s in SIGNALS]
            lines.append(f"| {x:g} | {b:g} | " + " | ".join(cells) + " |")
    for m in LIMIT_METHODS:
        rates_of = [rate for key, rate in limits_table.items() if key[0] == m]
        lines += ["", f"- {m}: from {min(rates_of):.3f} to {max(rates_of):.3f}"]
    lines += ["", "![limits](limits.png)", ""]
    (HERE / "REPORT.md").write_text("\n".join(lines), encoding="utf-8")


def draw(table: Table) -> None:
    """Rate over alpha against b, for every method."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(2, 3, figsize=(12, 7), sharex=True, sharey="col", layout="constrained")
    for e, name in enumerate(("prior-predictive", "frequentist")):
        for k, sigma in enumerate(SIGMAS):
            axes = grid[e, k]
            for m, colour in zip(METHODS, ("C0", "C1", "C2"), strict=True):
                for x, style in zip(WIDTHS, ("-", "--", ":"), strict=True):
                    alpha = special.ndtr(-sigma)
                    ratio = [table[m, x, b][e][k] / alpha for b in BACKGROUNDS]
                    axes.plot(BACKGROUNDS, ratio, style, color=colour, marker=".", label=f"{m}, x = {x:g}")
            axes.axhline(1, color="black", linewidth=0.8)
            axes.set(xscale="log", title=f"{name}, {sigma:g} sigma")
            if e == 1:
                axes.set_xlabel("expected background b")
            if k == 0:
                axes.set_ylabel("rate of p <= alpha, over alpha")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(HERE / "coverage.png", dpi=100)


def draw_limits(table: LimitTable) -> None:
    """Rate of limits below the true signal against b."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(1, len(SIGNALS), figsize=(12, 3.8), sharey=True, layout="constrained")
    for axes, s in zip(grid, SIGNALS, strict=True):
        for m, colour in zip(LIMIT_METHODS, ("C0", "C2"), strict=True):
            for x, style in zip(WIDTHS, ("-", "--", ":"), strict=True):
                rate = [table[m, x, b, s] for b in LIMIT_BACKGROUNDS]
                axes.plot(LIMIT_BACKGROUNDS, rate, style, color=colour, marker=".", label=f"{m}, x = {x:g}")
        axes.axhline(1 - LEVEL, color="black", linewidth=0.8)
        axes.set(xscale="log", title=f"s = {s:g}", xlabel="background b")
    grid[0].set_ylabel("rate of limits below s")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(HERE / "limits.png", dpi=100)


if __name__ == "__main__":
    main()
