"""Tables of cross sections of the user's own: clause SCAN-21."""

import math
from pathlib import Path

import numpy as np
import pytest

import superbin
from superbin.domain.cross_sections import CrossSectionTable
from superbin.errors import DocumentError, InputError
from superbin.io.cross_sections import read_cross_sections

PACKAGED = Path(superbin.__file__).with_name("data") / "cross-sections" / "gluino.csv"


def write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "relative"),
    [
        ("mass_GeV,cross_section_pb\n1000,0.04\n900,0.09\n", (None, None, None)),
        (
            "# x\nmass_GeV, cross_section_pb, uncertainty_percent\n1000,0.04,20\n900,0.09,10\n",
            (0.1, 0.15, 0.2),
        ),
        ("mass_GeV,cross_section_pb,uncertainty_pb\n900,0.09,0.009\n\n1000,0.04,0.008\n", (0.1, 0.15, 0.2)),
        (
            '\ufeff"# a, b"\r"mass_GeV","cross_section_pb"\r"900","0.09"\r"1000",0.04\r,\r',
            (None, None, None),
        ),
    ],
    ids=["none", "percent", "pb", "quoted"],
)
def test_forms(text: str, relative: tuple[float | None, ...], tmp_path: Path) -> None:
    """SCAN-21: cross section at and between masses, with an uncertainty of either kind, or none; rows in any order."""
    table = read_cross_sections(write(tmp_path, text), "squark")
    found = [table.at(mass) for mass in (900.0, 950.0, 1000.0)]
    # Halfway the geometric mean: sqrt(0.09 * 0.04) = 0.06.
    assert [sigma.pb for sigma in found] == pytest.approx([0.09, 0.06, 0.04], rel=1e-12)
    assert [found[0].pb, found[2].pb] == [0.09, 0.04]
    assert [sigma.relative_uncertainty for sigma in found] == [
        None if r is None else pytest.approx(r, rel=1e-12) for r in relative
    ]
    assert {sigma.process for sigma in found} == {"squark"}


@pytest.mark.parametrize("mass", [899.9, 1000.1, math.nan])
def test_outside(mass: float, tmp_path: Path) -> None:
    """SCAN-21: nothing is extrapolated."""
    table = read_cross_sections(write(tmp_path, "mass_GeV,cross_section_pb\n900,0.09\n1000,0.04\n"), "squark")
    with pytest.raises(
        InputError, match="squark pairs go from 900 to 1000 GeV and not to .*--cross-sections"
    ):
        table.at(mass)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"table.csv:1: '' are not the columns"),
        (
            "# x\n900,0.09\n",
            r"table.csv:2: '900,0.09' are not the columns .* write mass_GeV,cross_section_pb, and",
        ),
        (
            "mass_GeV,cross_section_pb,error\n900,0.09,1\n",
            r"table.csv:1: .*uncertainty_percent or uncertainty_pb",
        ),
        ("mass_GeV,cross_section_pb\n# x\n", r"table.csv: the table has no rows"),
        ("mass_GeV,cross_section_pb\n900\n", r"table.csv:2: 1 cell for 2 columns"),
        ("mass_GeV,cross_section_pb\n900,x\n", r"table.csv:2: cross_section_pb 'x' is not a finite number"),
        (
            "mass_GeV,cross_section_pb\n900,nan\n",
            r"table.csv:2: cross_section_pb 'nan' is not a finite number",
        ),
        ("mass_GeV,cross_section_pb\n900,0\n", r"table.csv:2: cross_section_pb is 0; it must be > 0"),
        ("mass_GeV,cross_section_pb\n-1,0.1\n", r"table.csv:2: mass_GeV is -1; it must be >= 0"),
        ("mass_GeV,cross_section_pb\n900,1\n900.0,2\n", r"table.csv:3: the mass 900 comes twice"),
        ("mass_GeV,cross_section_pb,uncertainty_pb\n900,1,-2\n", r"table.csv:2: uncertainty_pb is -2"),
    ],
)
def test_refused(text: str, message: str, tmp_path: Path) -> None:
    """SCAN-21: what is no table is refused with file and line."""
    with pytest.raises(DocumentError, match=message):
        read_cross_sections(write(tmp_path, text), "squark")


@pytest.mark.parametrize(
    ("masses", "pb", "message"),
    [
        ([], [], "at least one is needed"),
        ([900, 900], [1, 1], "must ascend"),
        ([900, 1000], [1, 0], "at 1000 GeV is not positive"),
        ([900, 1000], [1, math.nan], "pb of the cross sections"),
        ([900, 1000], [1], "pb of the cross sections"),
    ],
)
def test_tables_made_in_python(masses: list[float], pb: list[float], message: str) -> None:
    """SCAN-21: the values themselves are checked too."""
    with pytest.raises(InputError, match=message):
        CrossSectionTable("squark", np.array(masses), np.array(pb))
