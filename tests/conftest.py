"""Searches and signals that many tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import ArrayLike

from superbin._support.arrays import FloatArray
from superbin.catalog import Catalog, open_catalog
from superbin.domain.search import Estimate, Observable, Process, Search
from superbin.domain.signal import SignalModel
from superbin.io.tables import read_search, read_signal

# No example is timed: a busy machine is no failure. The same examples in every run: a red gate is red everywhere.
# `--hypothesis-profile explore` draws new ones.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("gate")


def array(values: ArrayLike) -> FloatArray:
    """Floats, as the domain types want them."""
    return np.asarray(values, dtype=np.float64)


def estimate(*parts: ArrayLike) -> Estimate:
    """An estimate from plain lists: nominal, stat up and down, syst up and down."""
    nominal, stat_up, stat_down, syst_up, syst_down = map(array, parts)
    return Estimate(nominal, stat_up, stat_down, syst_up, syst_down)


PACKAGED = Path(__file__).parents[1] / "src" / "superbin" / "data" / "cms-pas-sus-16-014"


@pytest.fixture(autouse=True)
def _private_database(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the database of whoever runs it."""
    monkeypatch.setenv("SUPERBIN_DATABASE", str(tmp_path_factory.getbasetemp() / "superbin.sqlite"))


@pytest.fixture(scope="session")
def cms_search() -> Search:
    """The packaged 160-bin search."""
    return read_search(PACKAGED)


@pytest.fixture(scope="session")
def t1bbbb() -> SignalModel:
    """The packaged T1bbbb(1750, 1) signal."""
    return read_signal(PACKAGED / "signals" / "T1bbbb_1750_1.csv")


@pytest.fixture(scope="session")
def packaged_catalog() -> Iterator[Catalog]:
    """What ships, in a database of its own; to be read only."""
    with open_catalog("sqlite://") as catalog:
        yield catalog


@pytest.fixture
def small_search() -> Search:
    """Four bins in two observables; statistics of two of the three processes are shared."""
    return Search(
        name="small",
        title="A small search",
        reference="arXiv:0000.00000",
        luminosity_fb=10.0,
        sqrt_s_tev=13.0,
        observables=(Observable("njet", "$N_\\mathrm{jet}$", "", True), Observable("mht", "MHT", "GeV")),
        low=array([[2, 300], [2, 500], [4, 300], [4, 500]]),
        high=array([[3.0, 500.0], [3.0, np.inf], [np.inf, 500.0], [np.inf, np.inf]]),
        processes=(
            Process(
                "a",
                "A",
                estimate([10, 5, 2, 0], [3, 2, 1, 0.5], [3, 2, 1, 0], [1, 1, 0.5, 0], [1, 0.5, 0.2, 0]),
            ),
            Process(
                "b", "B", estimate([6, 3, 1, 0], [4, 1, 1, 0.5], [4, 1, 1, 0], [2, 0.5, 0, 0], [2, 0.5, 0, 0])
            ),
            Process(
                "c",
                "C",
                estimate([20, 4, 3, 1], [2, 1, 1, 1], [2, 1, 1, 0.5], [3, 1, 1, 0.5], [2, 1, 1, 0.5]),
            ),
        ),
        observed=array([40, 10, 8, 2]),
        shared_stat=(("a", "b"),),
        source="made up",
    )


@pytest.fixture
def small_signal() -> SignalModel:
    """A signal in the bins of the small search."""
    return SignalModel(
        "T0",
        {"m_mother": 1000, "m_lsp": 100},
        "small",
        array([1, 2, 2, 3]),
        array([0.1, 0.2, 0.2, 0.3]),
        "made up",
    )


@pytest.fixture
def random_search() -> Callable[[int, int], tuple[Search, SignalModel]]:
    """Make a search of n bins along one observable, with a signal, from a seed."""

    def make(n: int, seed: int) -> tuple[Search, SignalModel]:
        rng = np.random.default_rng(seed)
        background = rng.lognormal(0.5, 1.5, size=(2, n))
        relative = rng.uniform(0.05, 0.9, size=(2, 4, n))
        processes = tuple(
            Process(name, name, Estimate(background[k], *(relative[k] * background[k])))
            for k, name in enumerate(("first", "second"))
        )
        edges = np.arange(n + 1.0)
        search = Search(
            "random",
            "Random",
            "none",
            1.0,
            13.0,
            (Observable("x", "x", "GeV"),),
            edges[:-1, None],
            edges[1:, None],
            processes,
            array(rng.poisson(background.sum(axis=0))),
        )
        yields = rng.exponential(1.0, n) * (rng.uniform(size=n) < 0.8)
        yields[0] += 0.1
        return search, SignalModel("T0", {"m": 1.0}, "random", yields, np.zeros(n))

    return make
