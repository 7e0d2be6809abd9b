"""Laws of signal grids: clauses SIG-1, SIG-5, SIG-7 and SIG-13."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from superbin._support.arrays import FloatArray
from superbin.domain.grid import SignalGrid, SignalPoint
from superbin.errors import InputError
from superbin.io.grids import read_grid, read_point, write_grid, write_point

PLANE = [(m, x) for m in range(600, 2201, 200) for x in (1, *range(200, m - 150, 200), m - 150, m - 50)]
N_BINS = 20
INSIDE = st.tuples(st.floats(600, 2200), st.floats(1, 2150)).filter(lambda p: p[1] <= p[0] - 50)


def surface(mother: float, lightest: float) -> FloatArray:
    """Efficiencies like those of a search: acceptance from the mass difference, bins from the energy.

    At a fixed difference harder bins fill as the mass grows, ever more slowly, as in the packaged grids.
    """
    gap = mother - lightest
    acceptance = 0.65 / (1 + (350 / gap) ** 2)
    bins = np.arange(N_BINS)
    hard = 3 + 2.2 * math.log(gap / 50)
    many = 4 * (1 - 600 / mother)
    shape = np.exp(-0.5 * ((bins - hard - many) / 3.5) ** 2)
    efficiencies: FloatArray = acceptance * shape / 8.8
    return efficiencies


def make_grid(points: Any = PLANE, **changes: Any) -> SignalGrid:
    values = np.array([surface(*point) for point in points])
    options: dict[str, Any] = {
        "model": "T1bbbb",
        "search": "small",
        "parameters": ("m_mother", "m_lsp"),
        "points": points,
        "efficiencies": values,
        "errors": np.zeros_like(values),
        "events": np.full(len(points), 5000),
        "process": "gluino",
    }
    return SignalGrid(**(options | changes))


GRID = make_grid()


@settings(deadline=None)
@given(masses=INSIDE)
def test_a_smooth_surface_comes_back(masses: tuple[float, float]) -> None:
    """SIG-5: the analytic surface, whose logarithm falls steeply below the last but one mass difference of the points.

    Bins above 2 % of the total are compared. On 1500 random masses the largest deviations were 1.0 and 3.5 %, or
    10 and 29 % within the last step.
    """
    total, single = (0.015, 0.05) if masses[0] - masses[1] >= 150 else (0.15, 0.4)
    truth = surface(*masses)
    found, errors = GRID.at(*masses)
    assert found.min() >= 0
    assert errors.min() >= 0
    assert found.sum() == pytest.approx(truth.sum(), rel=total)
    large = truth > 0.02 * truth.sum()
    np.testing.assert_allclose(found[large], truth[large], rtol=single)


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(len(PLANE))), masses=INSIDE)
def test_the_order_of_points_does_not_matter(order: list[int], masses: tuple[float, float]) -> None:
    """SIG-5: to the last bit."""
    shuffled = make_grid([PLANE[i] for i in order])
    for mine, other in zip(shuffled.at(*masses), GRID.at(*masses), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert shuffled.interpolation_error == GRID.interpolation_error


@settings(deadline=None)
@given(mother=st.floats(1, 4000), lightest=st.floats(0, 4000))
def test_outside_is_refused(mother: float, lightest: float) -> None:
    """SIG-7: whatever is not between the edges of this grid, which are straight."""
    assume(not (599.99 <= mother <= 2200.01 and lightest >= 0.99 and mother - lightest >= 49.98))
    with pytest.raises(InputError, match="is impossible|lies outside the grid"):
        GRID.at(mother, lightest)


@settings(deadline=None)
@given(masses=INSIDE, luminosity=st.floats(1e-3, 1e4), sigma=st.floats(1e-9, 1e6), factor=st.floats(0.1, 10))
def test_signals_scale(masses: tuple[float, float], luminosity: float, sigma: float, factor: float) -> None:
    """SIG-1: linear in luminosity and cross section."""
    one = GRID.signal(masses, luminosity_fb=luminosity, cross_section=sigma)
    np.testing.assert_allclose(one.yields, sigma * 1000 * luminosity * GRID.at(*masses)[0], rtol=1e-12)
    for more in (
        GRID.signal(masses, luminosity_fb=factor * luminosity, cross_section=sigma),
        GRID.signal(masses, luminosity_fb=luminosity, cross_section=factor * sigma),
    ):
        np.testing.assert_allclose(more.yields, factor * one.yields, rtol=1e-12)
        np.testing.assert_allclose(more.errors, factor * one.errors, rtol=1e-12)


FRACTIONS = st.floats(0, 1, allow_subnormal=True)
THIRDS = st.floats(0, 1 / 3, allow_subnormal=True)


@settings(max_examples=40, deadline=None)
@given(
    points=st.lists(
        st.tuples(st.floats(1, 1e5), st.floats(0, 0.99)), min_size=1, max_size=5, unique_by=lambda p: p[0]
    ),
    data=st.data(),
    text=st.text(max_size=20),
    compressed=st.booleans(),
)
def test_any_grid_round_trips(
    tmp_path_factory: pytest.TempPathFactory,
    points: list[tuple[float, float]],
    data: st.DataObject,
    text: str,
    compressed: bool,
) -> None:
    """SIG-13: any numbers, any text (but lone surrogates, which no file can hold)."""
    text = text.encode("utf-8", "ignore").decode()
    shape = (len(points), 3)
    grid = SignalGrid(
        model=text,
        search=text,
        parameters=("m_mother", "m_lsp"),
        points=np.array([(m, share * m) for m, share in points]),
        efficiencies=data.draw(arrays(np.float64, shape, elements=THIRDS)),
        errors=data.draw(arrays(np.float64, shape, elements=FRACTIONS)),
        events=np.array(data.draw(st.lists(st.integers(1, 10**9), min_size=shape[0], max_size=shape[0]))),
        process=text,
        source=text,
        settings={"text": text, "list": [1, 0.1]},
    )
    path = tmp_path_factory.mktemp("grid") / ("g.csv.gz" if compressed else "g.csv")
    write_grid(grid, path)
    again = read_grid(path)
    for name in ("points", "efficiencies", "errors", "events"):
        np.testing.assert_array_equal(getattr(again, name), getattr(grid, name))
    for name in ("model", "search", "parameters", "process", "source", "settings"):
        assert getattr(again, name) == getattr(grid, name)


@settings(max_examples=150, deadline=None)
@given(
    place=st.floats(0, 1),
    cut=st.integers(0, 12),
    text=st.one_of(
        st.text(max_size=8),
        st.sampled_from(["nan", "-1", "1e999", "null", "[", "]", ",", "\n", "\n# model: 1\n"]),
    ),
    table=st.booleans(),
)
def test_a_damaged_file_reads_or_says_why(
    tmp_path_factory: pytest.TempPathFactory, place: float, cut: int, text: str, table: bool
) -> None:
    """SIG-13: never another error, and one line that names the file."""
    path = tmp_path_factory.mktemp("damaged") / ("g.csv" if table else "p.json")
    if table:
        write_grid(make_grid(PLANE[:3]), path)
    else:
        values = surface(1000, 1)
        masses = {"m_mother": 1000.0, "m_lsp": 1.0}
        write_point(SignalPoint("T1bbbb", masses, "small", 5000, 1, values, values, {"tune": 14}), path)
    whole = path.read_text(encoding="utf-8")
    at = int(place * len(whole))
    damaged = whole[:at] + text.encode("utf-8", "ignore").decode() + whole[at + cut :]
    path.write_text(damaged, encoding="utf-8", newline="")
    text = f"{path}: fine"
    try:
        read_grid(path) if table else read_point(path)
    except InputError as error:
        text = str(error)
    assert text.startswith(str(path))
    assert len(text.splitlines()) == 1
