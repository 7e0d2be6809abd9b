"""What is scanned: points of a grid, lists of signals, a few points that cover many."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superbin.catalog.packaged import cross_section_table
from superbin.domain.cross_sections import CrossSectionTable
from superbin.domain.grid import SignalGrid
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.scan import Target, grid_targets, run_scan, spread

GLUINOS = cross_section_table("gluino")


def grid(search: str = "small", n_bins: int = 4) -> SignalGrid:
    """Twelve points whose efficiency grows with the mass difference."""
    points = np.array([(m, d) for m in (800.0, 1000.0, 1200.0, 1400.0) for d in (1.0, 300.0, 600.0)])
    efficiency = (points[:, 0] - points[:, 1])[:, None] / 2e4 * np.arange(1, n_bins + 1)
    return SignalGrid(
        model="T1xxxx",
        search=search,
        parameters=("m_mother", "m_lsp"),
        points=points,
        efficiencies=efficiency,
        errors=0.05 * efficiency,
        events=np.full(len(points), 5000),
        process="gluino",
        source="made up",
    )


def test_points_of_a_grid(small_search: Search) -> None:
    """SCAN-7: efficiency times cross section times luminosity, with the table's uncertainty, in the grid's order."""
    made = grid()
    targets = grid_targets(made, small_search, cross_sections=GLUINOS)
    assert [tuple(t.parameters.values()) for t in targets] == [tuple(p) for p in made.points.tolist()]
    for target, efficiency in zip(targets, made.efficiencies, strict=True):
        sigma = GLUINOS.at(target.parameters["m_mother"])
        assert target.signal is not None
        assert target.signal.yields == pytest.approx(efficiency * sigma.pb * 1000 * 10.0)
        assert target.signal.cross_section_pb == sigma.pb
        assert target.cross_section_error == sigma.relative_uncertainty


def test_points_outside(small_search: Search) -> None:
    """SCAN-7: masses that the grid does not cover, or that cannot be, fail with a reason and stop nothing."""
    targets = grid_targets(
        grid(), small_search, cross_sections=GLUINOS, points=[(900, 100), (3000, 1), (900, 1000)]
    )
    result = run_scan(small_search, targets)
    assert [point.status for point in result.points] == ["done", "failed", "failed"]
    assert [t.signal is None for t in targets] == [False, True, True]
    assert all(point.reason for point in result.points[1:])
    assert dict(result.points[1].parameters) == {"m_mother": 3000, "m_lsp": 1}


@pytest.mark.parametrize("mass", [np.nan, np.inf])
def test_points_that_are_none(small_search: Search, mass: float) -> None:
    """SCAN-7: masses that are not finite make no scan, since no document could hold them."""
    with pytest.raises(InputError, match=r"T1xxxx\((nan|inf), 1\) cannot be scanned; masses must be finite"):
        run_scan(
            small_search,
            grid_targets(grid(), small_search, cross_sections=GLUINOS, points=[(900, 100), (mass, 1)]),
        )


def test_cross_sections_of_ones_own(small_search: Search) -> None:
    """SCAN-21: any model can be scanned with a table; masses that it does not reach fail."""
    made = dataclasses.replace(grid(), process="squark")
    table = CrossSectionTable("squark", np.array([800.0, 1200.0]), np.array([0.4, 0.1]), np.array([0.1, 0.3]))
    targets = grid_targets(made, small_search, cross_sections=table)
    # At 1000 GeV sqrt(0.4 * 0.1) pb, and 10 fb-1.
    expected = {800.0: (0.4, 0.1), 1000.0: (0.2, 0.2), 1200.0: (0.1, 0.3)}
    for target, efficiency in zip(targets, made.efficiencies, strict=True):
        mother = target.parameters["m_mother"]
        if mother == 1400:
            assert target.signal is None
            assert "go from 800 to 1200 GeV and not to 1400" in (target.reason or "")
            continue
        assert target.signal is not None
        pb, error = expected[mother]
        assert target.signal.cross_section_pb == pytest.approx(pb, rel=1e-12)
        assert target.signal.yields == pytest.approx(efficiency * pb * 1e4, rel=1e-12)
        assert target.cross_section_error == pytest.approx(error, rel=1e-12)


def test_grid_of_another_search(small_search: Search) -> None:
    """SCAN-7: a grid in other bins is refused."""
    with pytest.raises(InputError, match="in the 4 bins of 'other', not in the 4 of 'small'"):
        grid_targets(grid("other"), small_search, cross_sections=GLUINOS)
    with pytest.raises(InputError, match="in the 3 bins of 'small', not in the 4 of 'small'"):
        grid_targets(grid(n_bins=3), small_search, cross_sections=GLUINOS)
    with pytest.raises(InputError, match=r"the point \(1000.0,\) has 1 values"):
        grid_targets(grid(), small_search, cross_sections=GLUINOS, points=[(1000,)])


def test_lists_that_make_no_scan(small_search: Search, small_signal: SignalModel) -> None:
    """SCAN-7: no signal, one point twice, two models, another search."""

    def other(**changes: object) -> SignalModel:
        fields = {
            name: getattr(small_signal, name)
            for name in ("model", "parameters", "search", "yields", "errors")
        }
        return SignalModel(**{**fields, **changes})

    cases = [
        ([], "there is no signal to scan"),
        ([small_signal, small_signal], r"T0\(1000, 100\) comes twice"),
        ([small_signal, other(model="T9")], "a scan is of one model"),
        ([small_signal, other(parameters={"m": 1})], "a scan is of one model"),
        ([other(search="big")], "is in the bins of 'big', not of 'small'"),
    ]
    for signals, text in cases:
        with pytest.raises(InputError, match=text):
            run_scan(small_search, signals)


def test_digest_tells_points_apart(small_signal: SignalModel) -> None:
    """SCAN-8: what changes a result changes the digest, and nothing else does."""
    same = [Target.of(small_signal), Target.of(small_signal)]
    others = [
        Target.of(small_signal, cross_section_error=0.1),
        Target("T0", dict(small_signal.parameters), None, "a reason"),
        Target("T0", dict(small_signal.parameters), None, "another"),
    ]
    assert same[0].digest == same[1].digest
    assert len({t.digest for t in [same[0], *others]}) == 4


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=40, unique=True),
    st.integers(1, 45),
)
def test_spread_covers(points: list[tuple[int, int]], count: int) -> None:
    """SCAN-9: ascending, of the size asked for, growing with it, and covering: no chosen pair is nearer than any point left out is."""
    chosen = spread(points, count)
    assert list(chosen) == sorted(set(chosen))
    assert len(chosen) == min(count, len(points))
    assert set(spread(points, max(1, count - 1))) <= set(chosen)
    scaled = np.array(points, dtype=float)
    span = np.ptp(scaled, axis=0)
    scaled /= np.where(span > 0, span, 1)

    def distance(i: int, j: int) -> float:
        return float(np.hypot(*(scaled[i] - scaled[j])))

    left_out = set(range(len(points))) - set(chosen)
    if left_out and len(chosen) > 1:
        farthest = max(min(distance(i, j) for j in chosen) for i in left_out)
        assert min(distance(i, j) for i, j in itertools.combinations(chosen, 2)) >= farthest - 1e-12


def test_spread_of_none() -> None:
    """SCAN-9: at least one point."""
    with pytest.raises(InputError, match="0 points were asked for; ask for at least 1"):
        spread([(1, 2)], 0)
