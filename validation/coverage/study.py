"""How often does each method's p-value fall below alpha when there is background alone? Writes REPORT.md and coverage.png.

    python validation/coverage/study.py

No toys: every rate is a sum over the counts. Two ensembles answer two questions:

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
    write(table)
    draw(table)


Table = dict[tuple[str, float, float], tuple[FloatArray, FloatArray]]


def write(table: Table) -> None:
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


if __name__ == "__main__":
    main()
