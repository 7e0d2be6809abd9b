"""Compare a simulated T1bbbb(1750, 1) with the one public histogram of the 160 bins, and draw the comparison.

The simulated points lie beside this script, so that neither Pythia nor FastJet is needed to repeat it:

- ``default.json``: ``superbin signal generate T1bbbb 1750 1 --events 20000 --seed 2``, the constants of this version;
- ``before.json``: the same with those of version 2.3, with which a grid says ``overall_factor`` 0.955.

python validation/signals/compare.py
"""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import mplhep
import numpy as np
import numpy.typing as npt

from superbin.catalog import open_catalog
from superbin.domain.grid import SignalPoint
from superbin.io.grids import read_point

HERE = Path(__file__).parent
Array = npt.NDArray[np.float64]

NJET = ("3-4", "5-6", "7-8", ">= 9")
NB = ("0", "1", "2", ">= 3")
BOXES = tuple(
    f"{mht} / {ht}"
    for mht, ht in (
        ("300-350", "300-500"), ("300-350", "500-1000"), ("300-350", "> 1000"), ("350-500", "350-500"),
        ("350-500", "500-1000"), ("350-500", "> 1000"), ("500-750", "500-1000"), ("500-750", "> 1000"),
        ("> 750", "750-1500"), ("> 750", "> 1500"),
    )
)  # fmt: skip
# Bins run over Njet, then Nb, then the (MHT, HT) boxes.
PROJECTIONS = (
    ("Njet", NJET, (1, 2)),
    ("Nb", NB, (0, 2)),
    ("MHT / HT [GeV]", BOXES, (0, 1)),
)


def projected(values: Array, axes: tuple[int, ...]) -> Array:
    """Sum over all but one of Njet, Nb and box."""
    total: Array = values.reshape(4, 4, 10).sum(axis=axes)
    return total


def spread(point: SignalPoint, efficiency: Array) -> Array:
    """Monte Carlo error of a summed efficiency.

    Bins of different Nb hold shares of the same events, so their errors do not add in quadrature; the binomial error
    of the number of events is right where a sum is over Nb and a little large where it is not.
    """
    factor = float(point.settings["selection"]["overall_factor"])
    return np.sqrt(factor * efficiency * (1 - efficiency / factor) / effective(point))


def effective(point: SignalPoint) -> float:
    """Events of weight one with the same error of the total; points of before have weights for radiation only."""
    statistics = point.settings.get("statistics")
    if statistics is None:
        return float(point.events)
    total = float(point.efficiencies.sum())
    return total * (1 - total) / float(statistics["total_error"]) ** 2


def against_cms(point: SignalPoint, scale: float, cms: Array, cms_error: Array) -> None:
    """Print total, projections and pulls."""
    mine, error = point.efficiencies * scale, point.errors * scale
    print(
        f"total: {mine.sum():.2f}, CMS {cms.sum():.2f}, ratio {ratio_text(point, scale, cms, cms_error, (0, 1, 2))}"
    )
    for name, labels, axes in PROJECTIONS:
        print(f"{name}:")
        parts = zip(labels, projected(mine, axes), projected(cms, axes), strict=True)
        ratios = ratio_text(point, scale, cms, cms_error, axes).split("; ")
        for (label, a, b), text in zip(parts, ratios, strict=True):
            print(f"  {label:<22}{a:>9.4f}{b:>9.4f}   {text}")
    for least in (0.0, 0.02 * float(cms.sum())):
        chosen = cms > least
        a, b = mine[chosen], cms[chosen]
        variance = error[chosen] ** 2 + cms_error[chosen] ** 2
        print(
            f"{chosen.sum()} bins with more than {least:.2f} events: chi2/n {np.mean((a - b) ** 2 / variance):.2f} "
            f"(statistics), {np.mean((a - b) ** 2 / (variance + (0.1 * b) ** 2)):.2f} (and 10 % a bin); "
            f"68 % of the ratios within {np.quantile(np.abs(a / b - 1), 0.68):.0%}"
        )


def ratio_text(point: SignalPoint, scale: float, cms: Array, cms_error: Array, axes: tuple[int, ...]) -> str:
    """Ratios to CMS with the errors of both."""
    efficiency = np.atleast_1d(projected(point.efficiencies, axes))
    theirs = np.atleast_1d(projected(cms, axes))
    relative = np.hypot(
        spread(point, efficiency) / np.maximum(efficiency, 1e-12),
        np.sqrt(np.atleast_1d(projected(cms_error**2, axes))) / np.maximum(theirs, 1e-12),
    )
    ratio = efficiency * scale / np.maximum(theirs, 1e-12)
    return "; ".join(
        f"{r:.3f} +- {r * e:.3f}" if t > 0 else "-" for r, e, t in zip(ratio, relative, theirs, strict=True)
    )


def changed(point: SignalPoint, before: SignalPoint) -> None:
    """Print what the new constants change."""
    for name, labels, axes in (("total", ("all",), (0, 1, 2)), *PROJECTIONS):
        a, b = (np.atleast_1d(projected(p.efficiencies, axes)) for p in (point, before))
        error = np.hypot(spread(point, a) / np.maximum(a, 1e-12), spread(before, b) / np.maximum(b, 1e-12))
        for label, x, y, e in zip(labels, a, b, error, strict=True):
            if x > 0 and y > 0:
                print(f"  {name + ' ' + label:<40}{x / y:.3f} +- {x / y * e:.3f}")


def draw(point: SignalPoint, scale: float, cms: Array, cms_error: Array) -> None:
    """Projections with ratios, and the pulls of the bins."""
    mine = point.efficiencies * scale
    with plt.style.context(mplhep.style.CMS), plt.rc_context({"font.size": 16}):
        figure, axes = plt.subplots(
            2,
            3,
            figsize=(20, 9),
            sharex="col",
            gridspec_kw={"height_ratios": [3, 1.4], "width_ratios": [1, 1, 2]},
        )
        for column, (name, labels, over) in enumerate(PROJECTIONS):
            upper, lower = axes[:, column]
            x = np.arange(len(labels), dtype=np.float64)
            a, b = projected(mine, over), projected(cms, over)
            e = spread(point, a / scale) * scale
            f = np.sqrt(projected(cms_error**2, over))
            upper.stairs(
                b, np.arange(len(b) + 1) - 0.5, color="black", label="CMS fast simulation", linewidth=2
            )
            upper.errorbar(x, a, e, fmt="o", color="C3", label=f"superbin, {point.events} events")
            upper.set_ylabel("Events at 12.9 fb$^{-1}$" if column == 0 else "")
            good = b > 0
            x, a, b, e, f = x[good], a[good], b[good], e[good], f[good]
            lower.fill_between(x, 1 - f / b, 1 + f / b, color="0.8", step="mid")
            lower.errorbar(x, a / b, e / b, fmt="o", color="C3")
            lower.axhline(1, color="black", linewidth=1)
            lower.set_ylim(0.5, 1.5)
            lower.set_ylabel("superbin / CMS" if column == 0 else "")
            long = len(labels) > 4
            lower.set_xticks(
                np.arange(len(labels)),
                labels,
                rotation=35 if long else 0,
                ha="right" if long else "center",
                fontsize=13,
            )
            lower.minorticks_off()
            lower.set_xlabel(name.replace("Njet", "$N_{jet}$").replace("Nb", "$N_b$"))
        axes[0, 0].legend(fontsize=15, loc="upper left", bbox_to_anchor=(0, 1.16), ncols=2)
        figure.tight_layout()
        figure.savefig(HERE / "projections.png", dpi=80)
        plt.close(figure)
        pulls_figure(mine, point.errors * scale, cms, cms_error)


def pulls_figure(mine: Array, error: Array, cms: Array, cms_error: Array) -> None:
    """Pulls against the bin's number."""
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(18, 9), sharex=True, gridspec_kw={"hspace": 0.08})
    number = np.arange(1, len(cms) + 1)
    upper.errorbar(number, cms, cms_error, fmt=".", color="black", label="CMS fast simulation")
    upper.errorbar(number + 0.3, mine, error, fmt=".", color="C3", label="superbin")
    upper.set_yscale("log")
    upper.set_ylim(1e-4, 5)
    upper.set_ylabel("Events at 12.9 fb$^{-1}$")
    upper.legend(fontsize=15, ncols=2)
    seen = cms > 0
    variance = (error**2 + cms_error**2)[seen]
    difference = (mine - cms)[seen]
    lower.bar(number[seen], difference / np.sqrt(variance), width=0.9, color="0.8", label="statistics only")
    wide = difference / np.sqrt(variance + (0.1 * cms[seen]) ** 2)
    lower.plot(number[seen], wide, "o", color="C3", markersize=4, label="and 10 % a bin")
    lower.axhline(0, color="black", linewidth=1)
    lower.set_ylabel("Pull")
    lower.set_xlabel("Bin")
    lower.set_xlim(0, len(cms) + 1)
    lower.legend(fontsize=15, ncols=2)
    for edge in range(10, len(cms), 10):
        for panel in (upper, lower):
            panel.axvline(edge + 0.5, color="0.6", linewidth=1.5 if edge % 40 == 0 else 0.5, zorder=0)
    figure.savefig(HERE / "pulls.png", dpi=80, bbox_inches="tight")
    plt.close(figure)


def main() -> None:
    with open_catalog("sqlite://") as catalog:
        published = catalog.signal("cms-pas-sus-16-014", "T1bbbb", (1750, 1))
        pb = catalog.cross_sections("gluino").at(1750).pb
        luminosity = catalog.search("cms-pas-sus-16-014").luminosity_fb
    scale = 1000 * pb * luminosity
    cms, cms_error = np.array(published.yields), np.array(published.errors)
    point, before = (read_point(HERE / name) for name in ("default.json", "before.json"))
    for title, each in (("before", before), ("now", point)):
        print(f"\n# {title}, {each.events} events")
        against_cms(each, scale, cms, cms_error)
    print("\n# now over before")
    changed(point, before)
    print("\n# cut flow: share of the events left, weighted for radiation")
    for cut, left in point.settings["cut_flow"].items():
        print(f"  {cut:<10}{left:>8.4f}{before.settings['cut_flow'].get(cut, float('nan')):>8.4f}")
    draw(point, scale, cms, cms_error)


if __name__ == "__main__":
    main()
