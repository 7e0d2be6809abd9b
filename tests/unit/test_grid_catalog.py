"""Finding a signal: clauses SIG-14 to SIG-16."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from superbin.catalog import Catalog, open_catalog
from superbin.catalog.packaged import cross_section_table
from superbin.domain.grid import SignalGrid
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError, UnknownNameError
from superbin.io.grids import write_grid

CMS = "cms-pas-sus-16-014"
GLUINOS = cross_section_table("gluino")
PLANE = [(m, x) for m in (1400, 1600, 1800, 2000) for x in (1, 400, 800, m - 100)]


@pytest.fixture
def catalog() -> Iterator[Catalog]:
    with open_catalog("sqlite://") as store:
        yield store


@pytest.fixture
def grid() -> SignalGrid:
    """Efficiencies that only depend on the mass difference, in two of 160 bins."""
    values = np.zeros((len(PLANE), 160))
    values[:, 59] = [0.3 * (1 - math.exp(-(m - x) / 500)) for m, x in PLANE]
    values[:, 69] = 0.2
    return SignalGrid(
        "T1bbbb",
        CMS,
        ("m_mother", "m_lsp"),
        np.array(PLANE, dtype=float),
        values,
        0.01 * values,
        np.full(len(PLANE), 5000),
        "gluino",
        "made up",
    )


@pytest.fixture
def grid_file(grid: SignalGrid, tmp_path: Path) -> Path:
    path = tmp_path / "T1bbbb.csv"
    write_grid(grid, path)
    return path


def test_stored_yields_come_first(catalog: Catalog, cms_search: Search, t1bbbb: SignalModel) -> None:
    """SIG-14: the CMS histogram stays what the masses mean."""
    assert catalog.signal_source(cms_search, "T1bbbb", (1750, 1)) == "table"
    assert catalog.signal(cms_search, "T1bbbb", (1750, 1)).digest == t1bbbb.digest
    assert catalog.signal(cms_search, "T1bbbb", (1750, 1), source="table").source == t1bbbb.source


def test_a_grid_file_comes_before_them(
    catalog: Catalog, cms_search: Search, grid: SignalGrid, grid_file: Path
) -> None:
    """SIG-14: who names a file means it."""
    for masses in ((1750.0, 1.0), (1500.0, 300.0)):
        found = catalog.signal(cms_search, "T1bbbb", masses, grid=grid_file)
        expected = grid.signal(masses, luminosity_fb=12.9, cross_section=GLUINOS.at(masses[0]).pb)
        assert found.digest == expected.digest
        assert "made up" in found.source
        assert found.cross_section_pb == expected.cross_section_pb


def test_source_and_grid_contradict(catalog: Catalog, cms_search: Search, grid_file: Path) -> None:
    """SIG-14: the source table with a grid file is refused, and so is an unknown source."""
    with pytest.raises(InputError, match="drop one of the two"):
        catalog.signal(cms_search, "T1bbbb", (1750, 1), source="table", grid=grid_file)
    with pytest.raises(UnknownNameError, match="source is 'web'; it must be one of table, grid"):
        catalog.signal(cms_search, "T1bbbb", (1750, 1), source="web")  # type: ignore[arg-type]


def test_a_grid_of_something_else(
    catalog: Catalog, cms_search: Search, grid: SignalGrid, tmp_path: Path
) -> None:
    """SIG-14: named with what it is."""
    write_grid(grid, tmp_path / "g.csv")
    with pytest.raises(InputError, match="is a grid of 'T1bbbb' .* and not of 'T1tttt'"):
        catalog.signal(cms_search, "T1tttt", (1750, 1), grid=tmp_path / "g.csv")
    write_grid(replace(grid, search="other"), tmp_path / "g.csv")
    with pytest.raises(InputError, match="in the bins of 'other'"):
        catalog.grid(cms_search, "T1bbbb", tmp_path / "g.csv")
    short = replace(grid, efficiencies=grid.efficiencies[:, :80], errors=grid.errors[:, :80])
    write_grid(short, tmp_path / "g.csv")
    with pytest.raises(InputError, match="has 80 bins, and search .* has 160"):
        catalog.grid(cms_search, "T1bbbb", tmp_path / "g.csv")


def test_unknown_models_and_points(catalog: Catalog, cms_search: Search) -> None:
    """CLI-4, SIG-14: the nearest is named."""
    with pytest.raises(
        UnknownNameError, match="'T1bbb' has neither stored signals nor a grid .*nearest is 'T1bbbb'"
    ):
        catalog.signal(cms_search, "T1bbb", (1750, 1))
    with pytest.raises(
        UnknownNameError, match="there is no grid of model 'T9' for .*superbin signal generate"
    ):
        catalog.grid(cms_search, "T9")
    with pytest.raises(UnknownNameError, match="the nearest is T1bbbb"):
        catalog.signal(cms_search, "T1bbbb", (1700, 1), source="table")
    with pytest.raises(UnknownNameError, match="there is a grid of 'T1qqqq': take source 'grid'"):
        catalog.signal(cms_search, "T1qqqq", (1500, 700), source="table")


def test_stored_points_of_a_model_without_a_grid(
    catalog: Catalog, cms_search: Search, t1bbbb: SignalModel
) -> None:
    """SIG-14: other masses are refused with the nearest point; another number of them with the names."""
    catalog.add_signals([replace(t1bbbb, model="mine")])
    with pytest.raises(
        UnknownNameError, match=r"mine\(1700, 1\) is not among the 1 point .*nearest is mine\(1750, 1\)"
    ):
        catalog.signal(cms_search, "mine", (1700, 1))
    with pytest.raises(InputError, match="has 2 parameters"):
        catalog.signal(cms_search, "mine", (1700,))


def test_cross_section_scales_stored_yields(
    catalog: Catalog, cms_search: Search, t1bbbb: SignalModel
) -> None:
    """SIG-16: a given cross section scales stored yields, and yields without their own are refused."""
    double = catalog.signal(cms_search, "T1bbbb", (1750, 1), cross_section=2 * 0.00359842)
    np.testing.assert_allclose(double.yields, 2 * t1bbbb.yields, rtol=1e-12)
    np.testing.assert_allclose(double.errors, 2 * t1bbbb.errors, rtol=1e-12)
    assert double.cross_section_pb == 2 * 0.00359842
    assert double.source.endswith("here scaled to 0.00719684 pb")
    catalog.add_signals([replace(t1bbbb, model="mine", cross_section_pb=None)])
    with pytest.raises(InputError, match="do not say their cross section"):
        catalog.signal(cms_search, "mine", (1750, 1), cross_section=0.01)
    for bad in (-1, 0, math.nan, math.inf):
        with pytest.raises(InputError, match=r"the cross section is .* pb; it must be a finite number > 0"):
            catalog.signal(cms_search, "T1bbbb", (1750, 1), cross_section=bad)


def test_cross_section_of_a_grid(catalog: Catalog, cms_search: Search, grid_file: Path) -> None:
    """SIG-16: a given cross section replaces the table's for the signal of a grid."""
    found = catalog.signal(cms_search, "T1bbbb", (1500, 1), grid=grid_file, cross_section=0.01)
    assert found.yields[69] == pytest.approx(0.2 * 129, rel=1e-3)
    assert found.cross_section_pb == 0.01
