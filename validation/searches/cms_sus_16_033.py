"""The packaged CMS-SUS-16-033: made from the public tables, and its covariance compared with CMS's own sums of bins.

    python validation/searches/cms_sus_16_033.py [--derive FOLDER]

With ``--derive``, the tables of the package are written from FOLDER with ``bins.dat`` (bin, ranges, background with statistical and
systematic errors, observed) and ``covariance.dat`` (events squared), CMS's public tables as github.com/ilmonteux/LHC_rectangular_aggregation
keeps them. Without, CMS-SUS-16-033.md is written beside this script: the uncertainty of the 12 aggregate regions that CMS published,
with its covariance and without, beside CMS's own.
"""

import argparse
import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np

from superbin._support.files import write_bytes, write_text
from superbin.domain.covariance import Covariance
from superbin.domain.search import Estimate, Observable, Process, Search
from superbin.io.tables import read_search, write_search

HERE = Path(__file__).parent
NAME = "cms-sus-16-033"
PACKAGED = HERE.parents[1] / "src/superbin/data" / NAME
REPORT = HERE / "CMS-SUS-16-033.md"
INF = np.inf

AXES = (
    Observable("njet", r"$N_\mathrm{jet}$", discrete=True),
    Observable("nb", r"$N_\mathrm{b}$", discrete=True),
    Observable("ht", r"$H_\mathrm{T}$", "GeV"),
    Observable("mht", r"$H_\mathrm{T}^\mathrm{miss}$", "GeV"),
)

AGGREGATES = (
    ((2, INF), (0, 0), 500, 500, 7838, 7584.0, 63.0, 370.0),
    ((3, INF), (0, 0), 1500, 750, 71, 55.2, 6.2, 5.3),
    ((5, INF), (0, 0), 500, 500, 819, 806.0, 19.0, 38.0),
    ((5, INF), (0, 0), 1500, 750, 25, 23.0, 3.8, 2.7),
    ((9, INF), (0, 0), 1500, 750, 1, 0.6, 1.1, 0.2),
    ((2, INF), (2, INF), 500, 500, 216, 196.0, 13.0, 15.0),
    ((3, INF), (1, INF), 750, 750, 123, 113.0, 8.0, 10.0),
    ((5, INF), (3, INF), 500, 500, 17, 19.5, 5.2, 3.2),
    ((5, INF), (2, INF), 1500, 750, 6, 4.4, 2.8, 0.6),
    ((9, INF), (3, INF), 750, 750, 0, 0.0, 1.3, 0.0),
    ((7, INF), (1, INF), 300, 300, 890, 969.0, 23.0, 57.0),
    ((5, INF), (1, INF), 750, 750, 48, 42.2, 5.7, 4.0),
)
"""The aggregate regions of arXiv:1704.07781: jets, b jets, lowest HT and missing HT in GeV, observed, background, upward statistical and
systematic error. Errors as in GAMBIT ColliderBit (github.com/GambitBSM/gambit_2.2, CMS_13TeV_0LEP_36invfb), which adds them in
quadrature; SModelS (CMS-SUS-16-033-eff) holds the same observed and background, and the plain sum of the two errors."""


# --- the tables -------------------------------------------------------------------------------------------


def derive(folder: Path) -> Search:
    rows = (folder / "bins.dat").read_text(encoding="utf-8").splitlines()[1:]
    table = np.array([[float(x.replace("Inf.", "inf")) for x in row.split("\t")] for row in rows if row])
    _, mht_low, mht_high, ht_low, ht_high, jets_low, jets_high, nb = table.T[:8]
    # The last class of b jets is open above, but for two jets, where it is that of two.
    nb_high = np.where(nb >= 3, INF, nb)
    b, stat_up, syst_up, stat_down, syst_down, observed = table.T[8:]
    matrix = np.loadtxt(folder / "covariance.dat")
    search = Search(
        name=NAME,
        title="Search for supersymmetry in multijet events with missing transverse momentum in proton-proton collisions at 13 TeV",
        reference="CMS Collaboration, CMS-SUS-16-033, Phys. Rev. D 96 (2017) 032003, arXiv:1704.07781",
        luminosity_fb=35.9,
        sqrt_s_tev=13.0,
        observables=AXES,
        low=np.stack([jets_low, nb, ht_low, mht_low], axis=1),
        high=np.stack([jets_high, nb_high, ht_high, mht_high], axis=1),
        processes=(Process("background", "Background", Estimate(b, stat_up, stat_down, syst_up, syst_down)),),
        observed=observed,
        source="Tables and covariance matrix of the public results of CMS-SUS-16-033 (cms-results.web.cern.ch, HEPData ins1594909), as "
        "kept in github.com/ilmonteux/LHC_rectangular_aggregation (arXiv:1707.05783). "
        "The total background is public with its errors, its processes are not part of that copy.",
        covariance=Covariance.of(matrix),
        licence="CC BY 4.0 (the publication)",
        citation="CMS Collaboration, Phys. Rev. D 96 (2017) 032003, doi:10.1103/PhysRevD.96.032003",
    )
    return replace(search, accuracy=accuracy(search))


def pack(search: Search) -> None:
    write_search(search, PACKAGED)
    matrix = PACKAGED / "covariance.csv"
    packed = gzip.compress(matrix.read_bytes(), compresslevel=9, mtime=0)
    matrix.unlink()
    write_bytes(PACKAGED / "covariance.csv.gz", packed)


# --- the comparison ---------------------------------------------------------------------------------------


def selected(search: Search, region: int) -> np.ndarray:
    """Which bins make up an aggregate region, 0-based."""
    jets, b_jets, ht, mht = AGGREGATES[region][:4]
    low, high = search.low, search.high
    inside = (low[:, 0] >= jets[0]) & (low[:, 1] >= b_jets[0]) & (high[:, 1] <= b_jets[1])
    return np.flatnonzero(inside & (low[:, 2] >= ht) & (low[:, 3] >= mht))


def ratios(search: Search) -> list[float]:
    """Uncertainty of every aggregate region with the covariance, over CMS's."""
    assert search.covariance is not None
    found = []
    for region, (*_, stat, syst) in enumerate(AGGREGATES):
        bins = selected(search, region)
        found.append(float(np.sqrt(search.covariance.up[np.ix_(bins, bins)].sum()) / np.hypot(stat, syst)))
    return found


def without_b(region: int) -> bool:
    return AGGREGATES[region][1] == (0, 0)


def accuracy(search: Search) -> str:
    found = ratios(search)
    groups = ([r for i, r in enumerate(found) if without_b(i) is wanted] for wanted in (True, False))
    clean, tagged = ([min(group), max(group)] for group in groups)
    return (
        "Compared with the 12 aggregate regions that CMS published, the public covariance gives sums of bins an uncertainty of "
        f"{clean[0]:.2f} to {clean[1]:.2f} times CMS's without b jets, and of {tagged[0]:.2f} to {tagged[1]:.2f} times CMS's with b jets, "
        "where it is too wide."
    )


def report(search: Search) -> str:
    assert search.covariance is not None
    background = search.processes[0].estimate
    single = np.hypot(background.stat_up, background.syst_up)
    lines = [
        "# CMS-SUS-16-033: the covariance against CMS's own sums of bins",
        "",
        "Made by `validation/searches/cms_sus_16_033.py`; do not edit.",
        f"Search digest `{search.digest[:16]}`.",
        "",
        "CMS published 12 aggregate regions beside the 174 bins (arXiv:1704.07781), each the sum of some of these. Their",
        "observed counts are those of the bins exactly, so the selections below are CMS's. If the public covariance of the bins",
        "were that of the analysis, the uncertainty of each sum would be CMS's.",
        "",
        "| region | N_jet | N_b | HT > | MHT > | bins | observed | background | CMS | error, CMS | covariance | ratio | no correlations | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for region, ((jets, _), (b, most), ht, mht, observed, nominal, stat, syst) in enumerate(AGGREGATES):
        bins = selected(search, region)
        assert search.observed[bins].sum() == observed
        total = float(np.sqrt(search.covariance.up[np.ix_(bins, bins)].sum()))
        alone, published = float(np.sqrt((single[bins] ** 2).sum())), float(np.hypot(stat, syst))
        lines.append(
            f"| {region + 1} | >= {jets} | {'0' if most == 0 else f'>= {b}'} | {ht} | {mht} | {bins.size} | {observed} | "
            f"{background.nominal[bins].sum():.4g} | {nominal:g} | {published:.3g} | {total:.3g} | {total / published:.2f} | "
            f"{alone:.3g} | {alone / published:.2f} |"
        )
    errors = (background.stat_up + background.stat_down, background.syst_up + background.syst_down)
    mean = np.hypot(errors[0], errors[1]) / 2
    many = background.nominal >= 10
    own = np.sqrt(np.diag(search.covariance.up))[many] / mean[many]
    lines += [
        "",
        "Errors are upward, CMS's statistical and systematic ones in quadrature.",
        "",
        "## What it means",
        "",
        f"{accuracy(search).rpartition(' (')[0]}.",
        "",
        f"The diagonal is no cause of it: over the {int(many.sum())} bins with at least 10 expected events its root is",
        f"{np.quantile(own, 0.05):.2f} to {np.quantile(own, 0.95):.2f} (5 % and 95 % quantiles) of the mean of the published upward and downward errors.",
        "The excess stands in the correlations between bins with b jets. A merge of such bins has a lower significance with this matrix than",
        "with CMS's error; with `--correlations none` it has a higher one where the last ratio is below 1. Neither is the truth.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--derive", type=Path, metavar="FOLDER")
    folder = parser.parse_args().derive
    if folder is not None:
        pack(derive(folder))
    search = read_search(PACKAGED)
    write_text(REPORT, report(search))
    print(f"{REPORT.name}: ratios {', '.join(f'{r:.2f}' for r in ratios(search))}")


if __name__ == "__main__":
    main()
