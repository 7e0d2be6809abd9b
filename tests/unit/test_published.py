"""Published limits and contours: clauses PUB-1 to PUB-6."""

import csv
import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superbin.catalog import Catalog, open_catalog, packaged
from superbin.domain.cross_sections import process_of
from superbin.domain.published import (
    CONTOURS,
    PublishedLimit,
    PublishedResults,
    parse_published,
)
from superbin.errors import DocumentError, UnknownNameError

SEARCH, LATER = "cms-pas-sus-16-014", "cms-sus-16-033"
MODELS = ("T1bbbb", "T1qqqq", "T1tttt", "T2bb", "T2qq", "T2tt")

# CMS-PAS-SUS-16-014, Figures 9 and 10, read off the collaboration's ROOT files: model, masses, observed, expected; pb.
POINTS = [
    ("T1bbbb", 1750, 1, 0.0036738, None),
    ("T1bbbb", 1500, 100, 0.0049404, None),
    ("T1bbbb", 800, 1, 0.0219022, None),
    ("T1tttt", 1500, 100, 0.00734889, 0.00384608),
    ("T1tttt", 1500, 1000, 0.0267715, 0.016952),
    ("T1qqqq", 1400, 100, 0.011139, None),
    ("T1qqqq", 600, 550, 1.00846, None),
    ("T2bb", 300, 1, 1.08986, None),
    ("T2qq", 1000, 1, 0.031347, None),
    ("T2tt", 600, 1, 0.0384957, None),
]


@cache
def results(model: str, search: str = SEARCH) -> PublishedResults:
    with open_catalog("sqlite://") as catalog:
        found = catalog.limits(search, model)
    assert found is not None
    return found


def read_published(folder: Path) -> Mapping[str, PublishedResults]:
    limits, contours = folder / "published-limits.csv", folder / "published-contours.csv"
    return parse_published(
        limits.read_text(), contours.read_text() if contours.exists() else None, place=folder
    )


def at(model: str, mother: float, lsp: float) -> PublishedLimit | None:
    return results(model).limit({"m_mother": mother, "m_lsp": lsp})


@pytest.mark.parametrize(("model", "mother", "lsp", "observed", "expected"), POINTS)
def test_facts(model: str, mother: float, lsp: float, observed: float, expected: float | None) -> None:
    """PUB-1: observed is observed, expected is expected, in fb."""
    found = at(model, mother, lsp)
    assert found is not None
    assert found.observed_fb == pytest.approx(1000 * observed, rel=2e-5)
    if expected is not None:
        assert found.expected_fb == pytest.approx(1000 * expected, rel=2e-5)


def test_what_is_public(packaged_catalog: Catalog) -> None:
    """PUB-1: six models of two searches; expected limits of two and of all; six contours of each."""
    for model in MODELS:
        found = results(model)
        assert np.isfinite(found.expected_fb).any() == (model in ("T1tttt", "T2bb"))
        assert tuple(found.contours) == CONTOURS
        later = packaged_catalog.limits(LATER, model)
        assert later is not None
        assert np.isfinite(later.observed_fb).all()
        assert np.isfinite(later.expected_fb).all()
        assert tuple(later.contours) == CONTOURS
    assert packaged_catalog.limits(SEARCH, "T9") is None
    for other in ("another", f"../{SEARCH}"):
        with pytest.raises(UnknownNameError):
            packaged_catalog.limits(other, "T1bbbb")


@pytest.mark.parametrize("search", [SEARCH, LATER])
@pytest.mark.parametrize("model", MODELS)
def test_contours_are_where_the_limit_is_the_cross_section(model: str, search: str) -> None:
    """PUB-3: two independent parts of the publication, joined by the cross sections; weaker excludes less."""
    found = results(model, search)
    table = packaged.cross_section_table(process_of(model))
    # The public table of eight squarks has no uncertainties.
    bands = (("observed", 0), ("observed_weaker", -1), ("observed_stronger", 1))
    for name, shift in bands[: 1 if model == "T2qq" else 3]:
        ratios = []
        for mother, lsp in found.contours[name].tolist():
            limit = found.limit({"m_mother": mother, "m_lsp": lsp})
            if limit is not None and limit.observed_fb is not None:
                sigma = table.at(mother)
                ratios.append(
                    limit.observed_fb / (1000 * sigma.pb * (1 + shift * (sigma.relative_uncertainty or 0)))
                )
        assert len(ratios) > 20
        assert float(np.median(ratios)) == pytest.approx(1, abs=0.02 if shift == 0 else 0.05)
    for side in ("observed", "expected"):
        heaviest = [found.contours[f"{side}{band}"][:, 0].max() for band in ("_weaker", "", "_stronger")]
        assert heaviest == sorted(heaviest)


def made(points: dict[tuple[float, float], float]) -> PublishedResults:
    """A map of observed limits alone."""
    values = np.array(list(points.values()))
    return PublishedResults("T", ("a", "b"), np.array(list(points)), values, np.full(len(points), np.nan), {})


def masses(top: float) -> st.SearchStrategy[float]:
    """In steps of an MeV: closer to a point of the lattice than that is on it."""
    return st.integers(0, round(1000 * top)).map(lambda mev: mev / 1000)


@given(masses(100), masses(50), st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3))
def test_interpolation(a: float, b: float, p: float, q: float, r: float) -> None:
    """PUB-2: the logarithm is bilinear: exact for a function that is, at any place of the cell."""

    def truth(x: float, y: float) -> float:
        return math.exp(0.3 + p * x / 100 + q * y / 50 + r * x * y / 5000)

    grid = made({(x, y): truth(x, y) for x in (0.0, 100.0, 180.0) for y in (0.0, 50.0)})
    found = grid.limit({"a": a, "b": b})
    assert found is not None
    assert found.expected_fb is None
    assert found.observed_fb == pytest.approx(truth(a, b), rel=1e-9)


def test_nothing_is_extrapolated() -> None:
    """PUB-2: none outside, none in a cell that lacks a corner; on its full side there is one."""
    grid = made({(0.0, 0.0): 1.0, (100.0, 0.0): 4.0, (100.0, 50.0): 9.0})
    assert grid.limit({"a": 0.0, "b": 0.0}) == PublishedLimit(1.0, None)
    side = grid.limit({"a": 50.0, "b": 0.0})
    assert side is not None
    assert side.observed_fb == pytest.approx(2.0)
    edge = grid.limit({"a": 100.0, "b": 25.0})
    assert edge is not None
    assert edge.observed_fb == pytest.approx(6.0)
    for a, b in (
        (99.0, 1.0),
        (50.0, 25.0),
        (0.0, 50.0),
        (-1.0, 0.0),
        (101.0, 0.0),
        (100.0, 51.0),
        (math.nan, 0.0),
    ):
        assert grid.limit({"a": a, "b": b}) is None, (a, b)
    assert grid.limit({"a": 0.0}) is None
    assert grid.limit({"a": 0.0, "c": 0.0}) is None
    # The packaged maps end where CMS's do.
    assert at("T1bbbb", 1500, 1499) is None
    assert at("T1bbbb", 590, 1) is None
    assert at("T2bb", 1350, 1) is None


LIMITS = "# source\nmodel,a,b,observed_fb,expected_fb\nT,1,2,3,4\nT,1,3,,4\n"
LINES = "model,contour,a,b\nT,observed,1,2\nT,observed,2,3\n"


def write(folder: Path, limits: str = LIMITS, lines: str | None = LINES) -> Path:
    (folder / "published-limits.csv").write_text(limits, encoding="utf-8")
    if lines is not None:
        (folder / "published-contours.csv").write_text(lines, encoding="utf-8")
    return folder


def test_files(tmp_path: Path) -> None:
    """PUB-4: what is written is what is read; contours may be missing."""
    found = read_published(write(tmp_path))["T"]
    assert found.parameters == ("a", "b")
    assert found.limit({"a": 1, "b": 3}) == PublishedLimit(None, 4.0)
    assert found.contours["observed"].tolist() == [[1, 2], [2, 3]]
    (tmp_path / "published-contours.csv").unlink()
    assert read_published(tmp_path)["T"].contours == {}


@pytest.mark.parametrize(
    ("limits", "lines", "message"),
    [
        ("", None, "limits.csv has no heading of the columns model,two masses,observed_fb,expected_fb"),
        ("model,a,observed_fb,expected_fb\n", None, "no heading"),
        ("model,a,a,observed_fb,expected_fb\n", None, "no heading"),
        (LIMITS + "T,1,4,5\n", None, r"limits.csv:5: 4 cells; the heading has 5"),
        (LIMITS + "T,1,4,x,5\n", None, r"limits.csv:5: 'x' is not a finite number >= 0"),
        (LIMITS + "T,1,4,nan,5\n", None, r"limits.csv:5: 'nan'"),
        (LIMITS + "T,1,4,-5,\n", None, r"limits.csv:5: '-5'"),
        (LIMITS + "T,1,inf,5,\n", None, r"limits.csv:5: 'inf'"),
        (LIMITS + "T,1,4,0,\n", None, r"limits.csv:5: the limit is 0 fb"),
        (LIMITS + "T,1,4,,\n", None, r"limits.csv:5: neither an observed nor an expected limit"),
        (LIMITS + "T,1,2,7,\n", None, r"limits.csv:5: the point \(1.0, 2.0\) of T comes twice"),
        (LIMITS, "model,contour,a,c\n", "contours.csv has the masses a, c; published-limits.csv has a, b"),
        (
            LIMITS,
            LINES + "T,best,1,2\n",
            r"contours.csv:4: the contour is 'best'; it must be one of observed,",
        ),
        (LIMITS, LINES + "U,observed,1,2\n", "contours of 'U', of which published-limits.csv has no limit"),
    ],
)
def test_bad_files(limits: str, lines: str | None, message: str, tmp_path: Path) -> None:
    """PUB-4: a broken table is refused with file and line."""
    with pytest.raises(DocumentError, match=message):
        read_published(write(tmp_path, limits, lines))


def ratios(
    part: Callable[[float, float, float], bool], model: str, side: str, table: str = "points.csv"
) -> list[float]:
    """Full-likelihood limits over CMS's, as the script in ``validation`` found them, at masses and their wide difference."""
    path = Path(__file__).parents[2] / "validation" / "published_limits" / table
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    wide = {"T1tttt": 650.0, "T2tt": 475.0}.get(model, 300.0)
    return [
        float(row[f"likelihood_{side}"]) / float(row[f"published_{side}"])
        for row in rows
        if row["model"] == model
        and row[f"likelihood_{side}"]
        and row[f"published_{side}"]
        and part(float(row["m_mother"]), float(row["m_lsp"]), wide)
    ]


def heavy_and_wide(mother: float, lsp: float, wide: float) -> bool:
    return mother >= 1000 and mother - lsp >= wide


def heavy_and_compressed(mother: float, lsp: float, wide: float) -> bool:
    return mother >= 1000 and mother - lsp < wide


def light(mother: float, _: float, __: float) -> bool:
    return mother < 1000


GLUINOS = [("T1bbbb", "observed"), ("T1qqqq", "observed"), ("T1tttt", "observed"), ("T1tttt", "expected")]
SQUARKS = [("T2bb", "observed"), ("T2bb", "expected"), ("T2qq", "observed"), ("T2tt", "observed")]
SIDES = [*GLUINOS, *SQUARKS]


@pytest.mark.parametrize(
    ("part", "sides", "factor", "share", "near"),
    [
        (heavy_and_wide, [s for s in SIDES if s[0] != "T2qq"], 1.15, 0.8, 0.02),
        (heavy_and_wide, [("T2qq", "observed")], 1.5, 1.0, 0.14),
        (heavy_and_compressed, GLUINOS, 1.5, 5 / 6, 0.07),
    ],
)
def test_agreement_from_a_tev(
    part: Callable[..., bool], sides: list[tuple[str, str]], factor: float, share: float, near: float
) -> None:
    """PUB-5: what signals say of limits is true of every model and side."""
    everything = []
    for model, side in sides:
        found = np.array(ratios(part, model, side))
        assert found.size >= 4
        assert float(np.mean((found >= 1 / factor) & (found <= factor))) >= share, (model, side)
        everything += found.tolist()
    assert float(np.median(everything)) == pytest.approx(1, abs=near)


def test_compressed_squarks() -> None:
    """PUB-5: limits are weaker than CMS's, by up to 2.5 times."""
    found = [ratio for model, side in SQUARKS for ratio in ratios(heavy_and_compressed, model, side)]
    assert 0.9 < min(found) < max(found) < 2.5
    assert 1.2 < float(np.median(found)) < 1.5


def test_no_agreement_of_light_particles() -> None:
    """PUB-5: below 1 TeV nothing more is claimed than how far off limits are."""
    found = [ratio for model, side in SIDES for ratio in ratios(light, model, side)]
    assert 1 / 6 < min(found) < max(found) < 1.9


def test_light_gluinos_in_the_later_search() -> None:
    """PUB-6: below 1 TeV the median ratio to CMS's observed limits is near 1, and no point is off by more than a factor 1.7."""
    found = ratios(light, "T1bbbb", "observed", "later.csv")
    assert len(found) > 10
    assert float(np.median(found)) == pytest.approx(1, abs=0.05)
    assert 1 / 1.7 < min(found) < max(found) < 1.7


def test_published_limits_of_gluinos_do_not_follow_luminosity() -> None:
    """PUB-6: with 12.9/fb CMS's limit on a light gluino is weaker than with 2.3/fb, and above 3.8 times that with 35.9/fb."""
    earlier = Path(__file__).parents[2] / "validation" / "published_limits" / "cms-sus-15-002.csv"
    row = next(
        line for line in earlier.read_text(encoding="utf-8").splitlines() if line.startswith("T1bbbb,600,1,")
    )
    limits = [at("T1bbbb", 600, 1), results("T1bbbb", LATER).limit({"m_mother": 600, "m_lsp": 1})]
    now, later = (limit.observed_fb for limit in limits if limit is not None)
    assert now is not None
    assert later is not None
    assert now > float(row.split(",")[3])
    assert now > 3.8 * later
