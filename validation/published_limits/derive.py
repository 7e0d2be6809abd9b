"""Make the packaged tables of published limits and contours of two searches from the collaboration's ROOT files.

    python validation/published_limits/derive.py FOLDER [--output DIR]

FOLDER holds the ROOT files that the collaboration made public with each result, such as ``CMS-PAS-SUS-16-014_Figure_010-a.root`` and
``CMS-SUS-16-033_Figure_012-b.root`` (`FIGURES` has all), and, of the search of 2015, ``MassScanT1bbbbSmooth.root``, ``MassScanT1qqqqSmooth.root`` and
``MassScanT1ttttSmooth.root``. They are in the history of the public repository github.com/SModelS/smodels, at commit d4248413, in the folders ``orig`` of
``CMS-PAS-SUS-16-014``, ``CMS-SUS-16-033`` and ``CMS-PAS-SUS-15-002`` of ``smodels-database/13TeV/CMS``. The output folder has a folder for each search and is, by
default, the package's own.

A map is a histogram of interpolated limits (``MassScan2D`` observed, ``MassScan2DExp`` expected). Of each, the bin nearest to
every point of a lattice is kept: 50 GeV in the mass of the produced particle, 25 GeV in that of the LSP, whose first is 1 GeV. The observed limits of the
search of 2015 below 1 TeV are written beside this script, as ``cms-sus-15-002.csv``: no search of superbin, but limits of the same models with less
data, to which compare.py compares.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.files import write_text
from superbin.errors import InputError, SuperbinError

HERE = Path(__file__).parent
DEFAULT_OUTPUT = HERE.parents[1] / "src/superbin/data"


class Publication(NamedTuple):
    """What a search published: ROOT files by model, and what its tables say of their source."""

    files: dict[str, str]
    source: str
    expected: str


FIGURES = {
    "cms-pas-sus-16-014": Publication(
        {
            model: f"CMS-PAS-SUS-16-014_Figure_{figure}.root"
            for model, figure in (
                ("T1bbbb", "010-b"),
                ("T1qqqq", "010-c"),
                ("T1tttt", "010-a"),
                ("T2bb", "009-b"),
                ("T2qq", "009-c"),
                ("T2tt", "009-a"),
            )
        },
        "CMS-PAS-SUS-16-014, Figures 9 (T2bb, T2qq, T2tt) and 10 (T1bbbb, T1qqqq which is called T1 there, T1tttt)",
        "Expected limits are public for T1tttt and T2bb.",
    ),
    "cms-sus-16-033": Publication(
        {
            model: f"CMS-SUS-16-033_Figure_{figure}.root"
            for model, figure in (
                ("T1bbbb", "012-b"),
                ("T1qqqq", "012-c"),
                ("T1tttt", "012-a"),
                ("T2bb", "013-b"),
                ("T2qq", "013-c"),
                ("T2tt", "013-a"),
            )
        },
        "CMS-SUS-16-033, Figures 12 (T1bbbb, T1qqqq, T1tttt) and 13 (T2bb, T2qq, T2tt)",
        "Expected limits are public for all.",
    ),
}
EARLIER = {model: f"MassScan{model}Smooth.root" for model in ("T1bbbb", "T1qqqq", "T1tttt")}
"""Of CMS-SUS-15-002, 2.3 fb-1."""
EARLIER_UP_TO = 1000.0
"""GeV: what is kept of the latter."""
MAPS = ("MassScan2D", "MassScan2DExp")
CONTOURS = {
    "ObsLim": "observed",
    "ObsLimSup": "observed_weaker",
    "ObsLimSdn": "observed_stronger",
    "ExpLim": "expected",
    "ExpLimSup": "expected_weaker",
    "ExpLimSdn": "expected_stronger",
}
"""The files' names of contours: Sup and Sdn are the ratio of limit to cross section up and down by one standard deviation."""

STEP_MOTHER, STEP_LSP, LIGHTEST = 50.0, 25.0, 300.0
"""The lattice, GeV, and its lightest produced particle: what the expected maps hold below was never simulated."""

Map = tuple[FloatArray, FloatArray, FloatArray]

LIMITS_HEADER = """\
# 95 % CL upper limits on cross sections, fb: {source},
# from the collaboration's public ROOT files as kept in the history of github.com/SModelS/smodels. The published maps are
# interpolated between the points that were simulated. Here is the content of the bin nearest to each point (of two as near
# the lower), at most {mother:.1f} GeV away in m_mother and {lsp:.1f} GeV in m_lsp. {expected}
# Made by validation/published_limits/derive.py.
model,m_mother,m_lsp,observed_fb,expected_fb
"""

CONTOURS_HEADER = """\
# Exclusion contours at 95 % CL, GeV, points in their order along the line: {source},
# from the same files as published-limits.csv. weaker and stronger: the contour moved by one standard deviation, of the cross
# section's theory for the observed one, of the experiment's outcome for the expected one, towards lower or higher excluded
# masses. Made by validation/published_limits/derive.py.
model,contour,m_mother,m_lsp
"""

EARLIER_HEADER = """\
# Observed 95 % CL upper limits on cross sections, fb, of CMS-SUS-15-002 (2.3 fb-1), from the collaboration's public ROOT files as kept in the
# history of github.com/SModelS/smodels, on the lattice of the packaged limits. Made by validation/published_limits/derive.py.
model,m_mother,m_lsp,observed_fb
"""


def nearest(centres: FloatArray, values: FloatArray) -> tuple[FloatArray, Any]:
    """Return the values that lie on an axis, and the position of the bin nearest to each, the lower of two."""
    half = 0.5 * (centres[1] - centres[0]) * (1 + 1e-9)
    kept = values[(values >= centres[0] - half) & (values <= centres[-1] + half)]
    return kept, np.array([int(np.argmin(np.abs(centres - value))) for value in kept], dtype=np.intp)


def lattice(found: Map) -> tuple[dict[tuple[float, float], float], tuple[float, float]]:
    """Return the limits of a map on the lattice, fb, and how far its bins are from the points at most, GeV."""
    x, y, pb = found
    mothers = np.arange(LIGHTEST, x[-1] + STEP_MOTHER, STEP_MOTHER)
    lsps = np.maximum(np.arange(0.0, y[-1] + STEP_LSP, STEP_LSP), 1.0)
    (mothers, i), (lsps, j) = nearest(x, mothers), nearest(y, lsps)
    limits = {
        (float(mother), float(lsp)): 1000 * float(pb[a, b])
        for mother, a in zip(mothers, i, strict=True)
        for lsp, b in zip(lsps, j, strict=True)
        if pb[a, b] > 0 and lsp < mother
    }
    return limits, (float(np.abs(x[i] - mothers).max()), float(np.abs(y[j] - lsps).max()))


def read_figure(path: Path) -> tuple[dict[str, Map], dict[str, FloatArray]]:
    """Return the maps (axes in GeV, limits in pb) and the contours of a file, by their names in it."""
    import uproot

    if not path.is_file():
        raise InputError(
            f"{path}: there is no such file; name the folder with the collaboration's ROOT files"
        )
    with uproot.open({str(path): None}) as file:
        names = {key.split(";")[0] for key in file.keys()}  # noqa: SIM118  no mapping: keys carry cycles
        maps = {
            name: (*(axis.centers() for axis in file[name].axes), file[name].values())
            for name in MAPS
            if name in names
        }
        contours = {}
        for name in CONTOURS:
            # T2tt's lines are in two parts, beyond the corridor of the top's mass and in it, and T2qq's are for eight squarks and for one:
            # kept is the one that excludes the heavier masses.
            lines = [np.column_stack(file[n].values("both")) for n in (name, f"{name}2") if n in names]
            contours[name] = max(lines, key=lambda line: float(line[:, 0].max()))
    return maps, contours


def tables(folder: Path, publication: Publication) -> tuple[str, str]:
    """Return both tables of a search as text."""
    limits, lines, far = [], [], []
    for model, file in publication.files.items():
        maps, contours = read_figure(folder / file)
        sides = []
        for name in MAPS:
            found, distance = lattice(maps[name]) if name in maps else ({}, (0.0, 0.0))
            sides.append(found)
            far.append(distance)
        for point in sorted(set(sides[0]) | set(sides[1])):
            cells = ["" if point not in side else f"{side[point]:.6g}" for side in sides]
            limits.append(",".join([model, *(f"{mass:g}" for mass in point), *cells]))
        for theirs, ours in CONTOURS.items():
            # Smoothing carried some lines a few GeV below a massless LSP.
            line = [point for point in contours.get(theirs, np.empty((0, 2))).tolist() if min(point) >= 0]
            lines += [f"{model},{ours},{mother:.2f},{lsp:.2f}" for mother, lsp in line]
    mother, lsp = np.max(far, axis=0)
    header = LIMITS_HEADER.format(
        source=publication.source, expected=publication.expected, mother=mother, lsp=lsp
    )
    contours_header = CONTOURS_HEADER.format(source=publication.source)
    return header + "\n".join(limits) + "\n", contours_header + "\n".join(lines) + "\n"


def earlier(folder: Path) -> str:
    """Return the observed limits of the search of 2015 below 1 TeV as text."""
    rows = []
    for model, file in EARLIER.items():
        found, _ = lattice(read_figure(folder / file)[0][MAPS[0]])
        rows += [f"{model},{m:g},{x:g},{found[m, x]:.6g}" for m, x in sorted(found) if m <= EARLIER_UP_TO]
    return EARLIER_HEADER + "\n".join(rows) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args()
    try:
        for search, publication in FIGURES.items():
            limits, contours = tables(options.folder, publication)
            write_text(options.output / search / "published-limits.csv", limits)
            write_text(options.output / search / "published-contours.csv", contours)
        write_text(HERE / "cms-sus-15-002.csv", earlier(options.folder))
    except SuperbinError as error:
        print(f"derive.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
