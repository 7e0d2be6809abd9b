"""Choose further points of the packaged grids around the expected exclusion contour: print them, or write a file a model.

    python validation/grids/contour.py [--number N] [--nearest GEV] [--output FOLDER]

The expected limits are those of the full likelihood in ``../published_limits/points.csv``, over the cross sections of the package; where their
interpolated ratio is 1 is the contour. Of all masses on a lattice of 25 GeV that lie within 12 to 70 GeV of it, on either side, the one farthest from every
point there is is taken, again and again, until as many as asked for are chosen or all are nearer to a point than ``--nearest``. The files are what
``superbin signal generate --points`` reads.
"""

import argparse
from pathlib import Path

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from validation.grids.leave_out import logarithms
from validation.published_limits import compare

from superbin._support.files import write_text
from superbin.catalog import open_catalog

FloatArray = NDArray[np.float64]
LATTICE, NEAR, FAR = 25.0, 12.0, 70.0
"""GeV: spacing of the masses to choose from, and their distance from the contour."""


def contour(rows: list[compare.Row], cross_sections: FloatArray) -> FloatArray:
    """Masses along which the expected limit is the cross section, shape (n, 2)."""
    points = np.array([(row.m_mother, row.m_lsp) for row in rows])
    limits = np.array([row.likelihood_expected for row in rows], dtype=float)
    surface = RBFInterpolator(
        logarithms(points),
        np.log(limits / (1000 * cross_sections)),
        kernel="thin_plate_spline",
        smoothing=0.05,
    )
    mother, lsp = np.meshgrid(
        np.arange(points[:, 0].min(), points[:, 0].max() + 1, 10), np.arange(1, points[:, 0].max(), 10)
    )
    inside = mother - lsp >= (points[:, 0] - points[:, 1]).min()
    values = np.full(mother.shape, np.nan)
    values[inside] = surface(logarithms(np.column_stack((mother[inside], lsp[inside]))))
    lines = contour_generator(mother, lsp, np.ma.masked_invalid(values)).lines(0.0)
    return np.concatenate([line for line in lines if len(line) > 3])


def distances(points: FloatArray, others: FloatArray) -> FloatArray:
    """Of each point to the nearest of the others, GeV in the plane of both masses."""
    found: FloatArray = np.hypot(*(points[:, None, :] - others).transpose(2, 0, 1)).min(axis=1)
    return found


def chosen(grid: FloatArray, line: FloatArray, number: int, nearest: float) -> FloatArray:
    """Further points, from coarse to fine."""
    least = (grid[:, 0] - grid[:, 1]).min()
    mothers = np.arange(grid[:, 0].min(), grid[:, 0].max() + 1, LATTICE)
    lattice = np.array(
        [(m, lsp) for m in mothers for lsp in (1.0, *np.arange(LATTICE, m - least + 1, LATTICE))]
    )
    away = distances(lattice, line)
    candidates = lattice[(away > NEAR) & (away < FAR)]
    points = grid
    for _ in range(number):
        gaps = distances(candidates, points)
        if gaps.max() < nearest:
            break
        points = np.vstack((points, candidates[np.argmax(gaps)]))
    return points[len(grid) :]


def main() -> None:
    """Print the points of every model, and how far from a point the contour is at most before and after."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--number", type=int, default=10)
    parser.add_argument("--nearest", type=float, default=50.0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rows = compare.read_rows(compare.HERE / "points.csv")
    with open_catalog("sqlite://") as catalog:
        search = catalog.search(compare.SEARCH)
        for model in compare.MODELS:
            grid = catalog.grid(search, model)
            table = catalog.cross_sections(grid.process, search)
            mine = [row for row in rows if row.model == model and row.likelihood_expected is not None]
            line = contour(mine, np.array([table.at(row.m_mother).pb for row in mine]))
            further = chosen(grid.points, line, options.number, options.nearest)
            before, after = (
                distances(line, p).max() for p in (grid.points, np.vstack((grid.points, further)))
            )
            print(f"{model}: the contour is at most {before:.0f} GeV from a point, {after:.0f} GeV with")
            print("  " + ", ".join(f"({m:g}, {lsp:g})" for m, lsp in further))
            if options.output:
                text = "".join(f"{m:g},{lsp:g}\n" for m, lsp in further)
                write_text(options.output / f"{model}.txt", text)


if __name__ == "__main__":
    main()
