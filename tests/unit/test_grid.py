"""Signal grids: clauses SIG-1 to SIG-8, and the signals made of them."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superbin._support.arrays import FloatArray
from superbin.catalog import Catalog
from superbin.domain.grid import SignalGrid, SignalPoint
from superbin.errors import InputError
from superbin.io.grids import grid_bytes, read_grid, read_point, write_grid, write_point

PLANE = [(m, x) for m in range(600, 2201, 200) for x in (1, *range(200, m - 50, 200), m - 50)]
N_BINS = 12


def surface(mother: float, lightest: float) -> FloatArray:
    """Smooth efficiencies: they rise with the mass difference and move to higher bins."""
    gap = mother - lightest
    place = 2 + 1.5 * math.log(gap / 50) + mother / 1500
    shape = np.exp(-0.5 * ((np.arange(N_BINS) - place) / 2.0) ** 2)
    efficiencies: FloatArray = 0.6 * (1 - math.exp(-((gap / 400) ** 1.2))) * shape / 5.1
    return efficiencies


def make_grid(
    points: Any = PLANE, *, efficiencies: Any = None, errors: Any = None, **changes: Any
) -> SignalGrid:
    """The smooth surface on a plane of points, without noise."""
    values = np.array([surface(*point) for point in points]) if efficiencies is None else efficiencies
    options: dict[str, Any] = {
        "model": "T1bbbb",
        "search": "small",
        "parameters": ("m_mother", "m_lsp"),
        "points": points,
        "efficiencies": values,
        "errors": np.zeros_like(values) if errors is None else errors,
        "events": np.full(len(points), 5000),
        "process": "gluino",
        "source": "made up",
    }
    return SignalGrid(**(options | changes))


def noisy(seed: int, events: int = 4000) -> SignalGrid:
    """The same with the noise of a Monte Carlo of so many events."""
    truth = np.array([surface(*point) for point in PLANE])
    found = np.random.default_rng(seed).poisson(truth * events) / events
    return make_grid(efficiencies=found, errors=np.sqrt(found / events), events=np.full(len(PLANE), events))


def point(**changes: Any) -> SignalPoint:
    options: dict[str, Any] = {
        "model": "T1bbbb",
        "parameters": {"m_mother": 1000, "m_lsp": 100},
        "search": "small",
        "events": 5000,
        "seed": 3,
        "efficiencies": [0.1, 0.0, 0.2],
        "errors": [0.01, 0.0, 0.02],
        "settings": {"tune": 14, "cut_flow": [1, 2]},
    }
    return SignalPoint(**(options | changes))


def by_hand(points: Any, roots: FloatArray, masses: tuple[float, float]) -> FloatArray:
    """Solve the equations of a smoothed thin-plate spline as they stand in textbooks; returns the roots at `masses`."""

    def coordinates(mother: float, lightest: float) -> tuple[float, float]:
        return 3 * math.log(mother), 4 * math.log(mother - lightest)

    def radial(a: tuple[float, float], b: tuple[float, float]) -> float:
        r = math.dist(a, b)
        return r * r * math.log(r) if r else 0.0

    places = [coordinates(*p) for p in points]
    n = len(places)
    matrix = np.zeros((n + 3, n + 3))
    for i in range(n):
        matrix[i, :n] = [radial(places[i], other) for other in places]
        matrix[i, i] += 0.1
        matrix[i, n:] = matrix[n:, i] = (1.0, *places[i])
    right = np.vstack((roots, np.zeros((3, roots.shape[1]))))
    solved = np.linalg.solve(matrix, right)
    here = coordinates(*masses)
    row = np.array([*(radial(here, other) for other in places), 1.0, *here])
    found: FloatArray = row @ solved
    return found


# --- points and grids -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"efficiencies": [0.1, -0.1, 0.2]}, r"efficiencies of T1bbbb\(1000, 100\) in bin 2 is -0.1"),
        ({"efficiencies": [0.1, math.nan, 0.2]}, "in bin 2 is nan"),
        ({"efficiencies": [0.1, 0.0, 1.2]}, "in bin 3 is 1.2; an efficiency is a fraction"),
        ({"efficiencies": [0.5, 0.3, 0.2001]}, r"of T1bbbb\(1000, 100\) add up to 1.0001; .* at most 1"),
        ({"errors": [0.1, 0.0]}, r"has shape \(2,\)"),
        ({"errors": [0.1, 0.0, math.inf]}, "errors of .* in bin 3 is inf"),
        ({"efficiencies": 0.1}, "one per bin is needed"),
        ({"events": 0}, "events of .* is 0; it must be a whole number >= 1"),
        ({"events": 10.5}, "events of .* is 10.5"),
        ({"events": True}, "events of .* is True"),
        ({"seed": -1}, "seed of .* is -1; it must be a whole number >= 0"),
        ({"parameters": {"m": 1000}}, "has 1 mass here; two are needed"),
        ({"parameters": {"m_mother": 500, "m_lsp": 600}}, r"T1bbbb\(500, 600\) is impossible: m_mother"),
        ({"parameters": {"m_mother": 500, "m_lsp": 500}}, "is impossible"),
        ({"parameters": {"m_mother": 500, "m_lsp": -1}}, "is impossible"),
        ({"parameters": {"m_mother": math.inf, "m_lsp": 1}}, "is impossible"),
        ({"parameters": {"m_mother": math.nan, "m_lsp": 1}}, "is impossible"),
    ],
)
def test_bad_points(changes: dict[str, Any], text: str) -> None:
    """SIG-2: the place and the rule are in the text."""
    with pytest.raises(InputError, match=text):
        point(**changes)


def test_points_and_grids_are_frozen() -> None:
    """SEARCH-2 holds for them too."""
    one, grid = point(), make_grid()
    for array in (one.efficiencies, one.errors, grid.points, grid.efficiencies, grid.errors, grid.events):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(TypeError):
        one.settings["tune"] = 1  # type: ignore[index]  # that it is refused is the point


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"points": [(1000, 100)] * 8}, r"T1bbbb\(1000, 100\) comes twice"),
        ({"points": [(1000.0,)] * 8}, "two are needed"),
        ({"points": []}, "is needed"),
        ({"points": [(300, 400)] * 8}, "impossible"),
        ({"efficiencies": np.full((7, 12), 0.1)}, "one row for each of 8 points"),
        (
            {"errors": np.full((8, 11), 0.1)},
            r"errors of T1bbbb\(600, 1\).* has shape \(11,\)|one row for each",
        ),
        ({"efficiencies": np.full((8, 12), 1.5)}, "at most 1"),
        ({"efficiencies": np.full((8, 12), 0.1)}, r"of T1bbbb\(600, 1\) add up to 1.2; .* at most 1"),
        ({"events": np.zeros(8)}, "events of the grid in bin 1 is 0"),
        ({"events": np.full(8, 10.5)}, "whole numbers"),
        ({"parameters": ("m",)}, "two are needed"),
    ],
)
def test_bad_grids(changes: dict[str, Any], text: str) -> None:
    """SIG-2: a grid with bad masses, efficiencies, errors or events is refused with the reason."""
    points = changes.pop("points", PLANE[:8])
    with pytest.raises(InputError, match=text):
        make_grid(points, efficiencies=changes.pop("efficiencies", np.full((8, 12), 0.05)), **changes)


def test_all_events_may_be_in_bins() -> None:
    """SIG-2: efficiencies that add up to one, but for the rounding of a file."""
    assert point(efficiencies=[0.5, 0.3, 0.2]).efficiencies.sum() == 1
    thirds = [0.3333334] * 3
    assert point(efficiencies=thirds).efficiencies.tolist() == thirds


def test_from_points_sorts_and_shares() -> None:
    """SIG-3: a grid of points is sorted by mass and keeps common settings once."""
    others = [
        point(parameters={"m_mother": m, "m_lsp": x}, seed=m, settings={"tune": 14, "cut_flow": [m]})
        for m, x in ((1200, 1), (800, 500), (800, 1))
    ]
    grid = SignalGrid.from_points(others, source="made up")
    assert grid.points.tolist() == [[800, 1], [800, 500], [1200, 1]]
    assert dict(grid.settings) == {
        "tune": 14,
        "by_point": {"seed": [800, 800, 1200], "cut_flow": [[800], [800], [1200]]},
    }
    assert (grid.model, grid.search, grid.process, grid.source) == ("T1bbbb", "small", "gluino", "made up")
    assert grid.events.tolist() == [5000] * 3
    assert SignalGrid.from_points([point(model="mine")]).process == "unknown"
    assert SignalGrid.from_points([point()], process="stop").process == "stop"


def test_from_points_names_the_programs() -> None:
    """SIG-15: a grid says who made it, unless it is told."""
    made = point(settings={"versions": {"pythia8mc": "8.3", "fastjet": "3.4"}})
    assert SignalGrid.from_points([made]).source == "made with pythia8mc 8.3, fastjet 3.4"
    assert SignalGrid.from_points([point()]).source == "origin not recorded"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"model": "T1tttt"}, r"T1tttt\(1200, 1\) has model 'T1tttt', T1bbbb\(1000, 100\) has 'T1bbbb'"),
        ({"search": "other"}, "has search 'other'"),
        ({"efficiencies": [0.1], "errors": [0.1]}, "has other masses or bins"),
        ({"parameters": {"m_gluino": 1200, "m_lsp": 1}}, "has other masses or bins"),
        ({"parameters": {"m_mother": 1000, "m_lsp": 100}}, "comes twice"),
    ],
)
def test_points_that_do_not_belong_together(changes: dict[str, Any], text: str) -> None:
    """SIG-3: points that differ in model, search, masses' names or bins, or come twice, are refused."""
    other = point(**({"parameters": {"m_mother": 1200, "m_lsp": 1}} | changes))
    with pytest.raises(InputError, match=text):
        SignalGrid.from_points([point(), other])


def test_no_points() -> None:
    """SIG-3: a grid without points is refused."""
    with pytest.raises(InputError, match="no points"):
        SignalGrid.from_points([])


# --- interpolation ----------------------------------------------------------------------------------------


def test_a_point_is_itself() -> None:
    """SIG-4: not smoothed."""
    grid = noisy(1)
    for i, masses in enumerate(PLANE):
        efficiencies, errors = grid.at(*masses)
        np.testing.assert_array_equal(efficiencies, grid.efficiencies[i])
        np.testing.assert_array_equal(errors, grid.errors[i])
        assert grid.is_point(*masses)
    assert not grid.is_point(1000, 101)


@pytest.mark.parametrize("masses", [(1500, 700), (1111, 333), (2190, 1), (700, 640), (1300, 1000)])
def test_between_points_it_is_the_spline(masses: tuple[float, float]) -> None:
    """SIG-5: the spline solved by hand, squared; without Monte Carlo errors there is nothing to add."""
    grid = make_grid()
    expected = np.maximum(by_hand(PLANE, np.sqrt(grid.efficiencies), masses), 0) ** 2
    np.testing.assert_allclose(grid.at(*masses)[0], expected, rtol=1e-7, atol=1e-12)


def test_squaring_gives_back_the_variance() -> None:
    """SIG-5: with the weights of the spline solved by hand."""
    grid, masses = noisy(1), (1111, 333)
    weights = by_hand(PLANE, np.eye(len(PLANE)), masses)
    filled = grid.efficiencies > 0
    variances = np.where(filled, grid.errors**2 / np.where(filled, 4 * grid.efficiencies, 1), 0)
    roots = np.maximum(weights @ np.sqrt(grid.efficiencies), 0)
    expected = roots**2 + weights @ variances - weights**2 @ variances
    np.testing.assert_allclose(grid.at(*masses)[0], np.maximum(expected, 0), rtol=1e-6, atol=1e-10)


def test_squaring_alone_is_low() -> None:
    """SIG-5: over many Monte Carlo samples the total is nearer to that without noise than plain squares are."""
    masses = (1500, 700)
    without_noise = make_grid().at(*masses)[0].sum()
    grids = [noisy(seed, events=400) for seed in range(60)]
    totals = np.array([grid.at(*masses)[0].sum() for grid in grids])
    squares = np.array(
        [(np.maximum(by_hand(PLANE, np.sqrt(g.efficiencies), masses), 0) ** 2).sum() for g in grids]
    )
    error = totals.std(ddof=1) / math.sqrt(len(totals))
    assert abs(totals.mean() - without_noise) < 3 * error
    assert squares.mean() < totals.mean() < without_noise + error
    # Both are of the same samples, so the difference is known far better than either.
    assert (totals - squares).mean() > 10 * (totals - squares).std(ddof=1) / math.sqrt(len(totals))


def test_errors_cover_the_noise() -> None:
    """SIG-6: the spread over Monte Carlo samples is the propagated part of the error."""
    masses = (1500, 700)
    found = [noisy(seed).at(*masses) for seed in range(150)]
    spread = np.std([efficiencies for efficiencies, _ in found], axis=0, ddof=1)
    large = surface(*masses) > 0.02
    statistical = [
        np.sqrt(np.maximum(errors**2 - (noisy(seed).interpolation_error * efficiencies) ** 2, 0))
        for seed, (efficiencies, errors) in enumerate(found[:5])
    ]
    ratio = (np.mean(statistical, axis=0) / spread)[large]
    assert large.sum() >= 4
    # 150 samples know their spread to 6 %.
    assert ratio.mean() == pytest.approx(1, abs=0.1)
    assert np.all(np.abs(ratio - 1) < 0.25)


def test_interpolation_error_adds_in_quadrature() -> None:
    """SIG-6: without Monte Carlo errors it is all there is."""
    grid = make_grid()
    efficiencies, errors = grid.at(1500, 700)
    assert grid.interpolation_error > 0
    np.testing.assert_allclose(errors, grid.interpolation_error * efficiencies, rtol=1e-12)


def test_leaving_out_is_leaving_out() -> None:
    """SIG-8: what the identity says is what a grid without the point says."""
    grid = noisy(2)
    left_out = grid.leave_out
    for i in range(0, len(PLANE), 7):
        if not left_out.inside[i]:
            continue
        keep = np.arange(len(PLANE)) != i
        smaller = make_grid(
            [p for j, p in enumerate(PLANE) if j != i],
            efficiencies=grid.efficiencies[keep],
            errors=grid.errors[keep],
            events=grid.events[keep],
        )
        efficiencies, errors = smaller.at(*PLANE[i])
        np.testing.assert_allclose(left_out.efficiencies[i], efficiencies, rtol=1e-6, atol=1e-12)
        statistical = errors**2 - (smaller.interpolation_error * efficiencies) ** 2
        own = np.where(grid.efficiencies[i] > 0, grid.errors[i] ** 2, 0)
        np.testing.assert_allclose(left_out.errors[i] ** 2, statistical + own, rtol=1e-6, atol=1e-12)


def test_corners_cannot_be_left_out() -> None:
    """SIG-8: the corners of the hull, and no other points, do not count when left out."""
    outside = {PLANE[i] for i in np.flatnonzero(~make_grid().leave_out.inside)}
    assert outside == {(600, 1), (600, 550), (2200, 1), (2200, 2150)}


def test_interpolation_error_by_brute_force() -> None:
    """SIG-8: the definition, point by point."""
    grid = noisy(3)
    excess = []
    for i in np.flatnonzero(grid.leave_out.inside):
        truth, guess, error = (
            a[i] for a in (grid.efficiencies, grid.leave_out.efficiencies, grid.leave_out.errors)
        )
        large = truth >= 0.02 * truth.sum()
        excess.append(np.mean(((guess - truth)[large] ** 2 - error[large] ** 2) / truth[large] ** 2))
    assert grid.interpolation_error == pytest.approx(math.sqrt(max(np.median(excess), 0)), rel=1e-12)


def test_empty_bins_have_an_error() -> None:
    """SIG-6: where no point has events, the efficiency is zero and its error is not."""
    grid = noisy(4)
    emptied = grid.efficiencies * (np.arange(N_BINS) != 3)
    errors = grid.errors * (np.arange(N_BINS) != 3)
    efficiencies, found = replace(grid, efficiencies=emptied, errors=errors).at(1500, 700)
    assert efficiencies[3] == 0
    assert 0 < found[3] < 1 / 4000


# --- the edge ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("masses", [(2201, 1), (599, 1), (1000, 0.5), (1000, 951), (1500, 1460)])
def test_outside_is_refused(masses: tuple[float, float]) -> None:
    """SIG-7: with the ranges and the nearest point."""
    with pytest.raises(
        InputError,
        match=r"lies outside the grid, .* m_mother 600-2200 and m_lsp 1-2150 GeV; the nearest is T1bbbb\(",
    ):
        make_grid().at(*masses)


@pytest.mark.parametrize("masses", [(1725, 1), (613, 1), (600, 20), (1001, 951), (2200, 2149.9)])
def test_edges_belong_to_the_grid(masses: tuple[float, float]) -> None:
    """SIG-7: points of equal LSP mass span everything between them."""
    assert make_grid().at(*masses)[0].shape == (N_BINS,)


@pytest.mark.parametrize("masses", [(500, 600), (1000, 1000), (1000, -1), (math.nan, 1), (math.inf, 1)])
def test_impossible_is_refused(masses: tuple[float, float]) -> None:
    """SIG-2: impossible masses are refused."""
    with pytest.raises(InputError, match="is impossible"):
        make_grid().at(*masses)


@pytest.mark.parametrize("masses", [(), (1000,), (1000, 1, 1)])
def test_two_masses(masses: tuple[float, ...]) -> None:
    """SIG-2: any number of masses other than two is refused."""
    with pytest.raises(InputError, match="two are needed"):
        make_grid().at(*masses)


def test_too_few_points() -> None:
    """SIG-7: no plane, but the points themselves."""
    grid = make_grid([(600, 1), (1000, 1), (1000, 500), (1200, 400), (1200, 900)])
    assert grid.at(1000, 1)[0].shape == (N_BINS,)
    with pytest.raises(InputError, match="outside the grid"):
        grid.at(1000, 100)
    with pytest.raises(InputError, match="has 5 points; at least 6 are needed"):
        _ = grid.interpolation_error


def test_points_on_a_line() -> None:
    """SIG-7: a grid whose points lie on a line is not interpolated."""
    grid = make_grid([(m, 1) for m in range(600, 2001, 200)])
    with pytest.raises(InputError, match="lie on a line"):
        grid.at(700, 1)
    with pytest.raises(InputError, match="lie on a line"):
        _ = make_grid([(m, m - 100) for m in range(600, 2001, 200)]).leave_out


# --- signals ----------------------------------------------------------------------------------------------


def test_signal_is_efficiency_times_produced() -> None:
    """SIG-1: 12.9 fb-1 of gluino pairs at 1750 GeV, 3.59842 fb, are 46.42 events."""
    grid = make_grid()
    signal = grid.signal((1750, 300), luminosity_fb=12.9, cross_section=0.00359842)
    efficiencies, errors = grid.at(1750, 300)
    np.testing.assert_allclose(signal.yields, 46.419618 * efficiencies, rtol=1e-9)
    np.testing.assert_allclose(signal.errors, 46.419618 * errors, rtol=1e-9)
    assert signal.cross_section_pb == 0.00359842
    assert signal.label == "T1bbbb(1750, 300)"
    assert dict(signal.parameters) == {"m_mother": 1750, "m_lsp": 300}


def test_own_cross_section() -> None:
    """SIG-10: pairs without a table of cross sections."""
    grid = make_grid(process="squark")
    signal = grid.signal((1750, 300), luminosity_fb=10, cross_section=0.002)
    np.testing.assert_allclose(signal.yields, 20 * grid.at(1750, 300)[0], rtol=1e-12)


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf])
def test_bad_numbers(bad: float) -> None:
    """SIG-2: a luminosity or a cross section that is zero, negative or not finite is refused."""
    with pytest.raises(InputError, match="luminosity_fb is"):
        make_grid().signal((1000, 1), luminosity_fb=bad, cross_section=1)
    with pytest.raises(InputError, match="the cross section is"):
        make_grid().signal((1000, 1), luminosity_fb=1, cross_section=bad)


def test_source_says_what_it_is(packaged_catalog: Catalog) -> None:
    """SIG-15: the source gives the points, their error and the known accuracy at these masses."""

    def describe(grid: SignalGrid, *masses: float) -> str:
        return grid.signal(masses, luminosity_fb=1, cross_section=1).source

    grid = make_grid()
    assert describe(grid, 1000, 1) == (
        "a generated point of the grid; made up; accuracy of the simulation: not known"
    )
    assert describe(grid, 1000, 2).startswith(
        f"interpolated between {len(PLANE)} generated points, a bin to {100 * grid.interpolation_error:.1f}% beyond "
        "statistics; made up;"
    )
    assert describe(replace(grid, search="cms-pas-sus-16-014"), 1000, 1).endswith(
        "accuracy of the simulation: not known"
    )
    cards: dict[str, Any] = {"generator": {}, "detector": {}, "selection": {}}
    assert describe(replace(grid, settings=cards), 1000, 1).endswith("accuracy of the simulation: not known")
    statements = packaged_catalog.grid("cms-pas-sus-16-014", "T1bbbb").statements
    known = replace(grid, search="cms-pas-sus-16-014", settings=cards, statements=statements)
    assert "jets: T1bbbb has, with 7 or more jets and MHT > 500 GeV, 0.96 +- 0.04 of the events" in describe(
        known, 1000, 700
    )
    assert "0.90 +- 0.04 of the events" in describe(known, 1000, 701)
    assert "0.71 +- 0.07 with 9 or more jets" in describe(known, 1000, 701)
    assert "worst 0.18 at (600, 200)" in describe(known, 800, 1)
    assert "worst 0.18" not in describe(known, 1000, 1)


def test_variations_between_points() -> None:
    """SIG-19: what differs by one factor everywhere does so between points; at a point its own; up to the signal."""
    plain = make_grid()
    varied = make_grid(
        variations={
            "scale": (1.1 * plain.efficiencies, 0.9 * plain.efficiencies),
            "none": (plain.efficiencies,) * 2,
        }
    )
    for masses in ((1000.0, 300.0), (1130.0, 270.0), tuple(PLANE[3])):
        expected, _ = plain.at(*masses)
        found = varied.variations_at(*masses)
        np.testing.assert_allclose(found["scale"][0], 1.1 * expected, rtol=1e-12)
        np.testing.assert_allclose(found["scale"][1], 0.9 * expected, rtol=1e-12)
        np.testing.assert_allclose(found["none"][0], expected, rtol=1e-12)
    signal = varied.signal((1130.0, 270.0), luminosity_fb=10, cross_section=0.5)
    np.testing.assert_allclose(signal.variations["scale"][0], 1.1 * signal.yields, rtol=1e-12)
    assert list(plain.signal((1130.0, 270.0), luminosity_fb=10, cross_section=0.5).variations) == []
    with pytest.raises(InputError, match="scale up"):
        make_grid(variations={"scale": (-plain.efficiencies, plain.efficiencies)})


def test_variations_of_points_and_files(tmp_path: Path) -> None:
    """SIG-13, SIG-19: a grid keeps what all its points have, with four digits, and files read back the same."""
    sides = [0.123456, 0.0, 0.2], [0.08, 0.0, 0.19]
    points = [
        point(parameters={"m_mother": 1000, "m_lsp": lsp}, variations={"scale": sides, f"only {lsp}": sides})
        for lsp in (100, 200)
    ]
    write_point(points[0], tmp_path / "point.json")
    again = read_point(tmp_path / "point.json")
    assert {k: [v.tolist() for v in s] for k, s in again.variations.items()} == {
        "scale": [*sides], "only 100": [*sides],
    }  # fmt: skip
    grid = SignalGrid.from_points(points)
    assert list(grid.variations) == ["scale"]
    assert grid.variations["scale"][0].tolist() == [[0.1235, 0.0, 0.2]] * 2
    write_grid(grid, tmp_path / "grid.csv.gz")
    read = read_grid(tmp_path / "grid.csv.gz")
    for side in (0, 1):
        assert np.array_equal(read.variations["scale"][side], grid.variations["scale"][side])
    assert grid_bytes(read) == grid_bytes(grid)
    with pytest.raises(InputError, match="has 1 parts"):
        point(variations={"scale": [sides[0]]})
