"""Draw the two figures of the README into ``docs/images``: ``python validation/readme/figures.py``.

They are of the packaged search and the packaged T1bbbb signals, with the defaults of ``superbin run`` and ``superbin scan``: the exclusion of
the gluino by one aggregate bin for every point of the grid, and missing transverse momentum around the aggregate bin of T1bbbb(1750, 1).
"""

from pathlib import Path

from superbin import analyze, open_catalog
from superbin.plot import exclusion_plot, figures, save
from superbin.scan import grid_targets, run_scan

FOLDER = Path(__file__).parents[2] / "docs" / "images"


def main() -> None:
    """Draw both."""
    FOLDER.mkdir(exist_ok=True)
    with open_catalog("sqlite://") as catalog:
        search = catalog.search("cms-pas-sus-16-014")
        signal = catalog.signal(search, "T1bbbb", (1750, 1))
        grid = catalog.grid(search, "T1bbbb")
        sections = catalog.cross_sections(grid.process, search)
        published = catalog.limits(search, "T1bbbb")
    result = analyze(search, signal, toys=0)
    save(figures(result)["projection-mht"], FOLDER / "projection.png")
    scan = run_scan(search, grid_targets(grid, search, cross_sections=sections), published=published)
    save(exclusion_plot(scan).figure, FOLDER / "exclusion.png")


if __name__ == "__main__":
    main()
