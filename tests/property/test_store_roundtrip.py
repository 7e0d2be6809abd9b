"""Laws of the store: any content comes back exactly, and a damaged file is an error or still right."""

import dataclasses
import itertools
import random
import string
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from superbin.domain.covariance import Covariance
from superbin.domain.search import Estimate, Observable, Process, Search
from superbin.domain.signal import SignalModel
from superbin.errors import SuperbinError
from superbin.store import Store

# Every double the domain types take, subnormal ones and whole numbers beyond 64 bits included.
EVENTS = st.floats(min_value=-0.0, allow_infinity=False, allow_nan=False)
COUNTS = st.integers(0, 10**30).map(float)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
NAMES = st.text(string.ascii_letters + string.digits + "_ $é", min_size=1, max_size=8)


@st.composite
def ranges(draw: st.DrawFn, *, discrete: bool) -> tuple[float, float]:
    """A bin's range in one observable; the upper edge may be open."""
    low, high = sorted(draw(st.tuples(EVENTS, EVENTS)))
    if draw(st.booleans()) or (low == high and not discrete):
        high = np.inf
    return low, high


@st.composite
def extras(draw: st.DrawFn, n_bins: int) -> dict[str, object]:
    """What a search may have beyond its bins and backgrounds; which bins overlap is declared, not checked."""
    upper = np.array(draw(st.lists(st.booleans(), min_size=n_bins**2, max_size=n_bins**2)))
    upper = np.triu(upper.reshape(n_bins, n_bins))
    names = st.text("abc é", min_size=1, max_size=3).filter(lambda name: bool(name.strip()))
    root = np.array(draw(st.lists(st.floats(-1e3, 1e3), min_size=n_bins**2, max_size=n_bins**2)))
    matrix = root.reshape(n_bins, n_bins) @ root.reshape(n_bins, n_bins).T
    matrix = (matrix + matrix.T) / 2
    covariance = [None, Covariance.of(matrix, source="one"), Covariance(matrix, 2 * matrix, "two")]
    return {
        "combinable": upper | upper.T,
        "names": tuple(draw(st.just([]) | st.lists(names, min_size=n_bins, max_size=n_bins, unique=True))),
        "covariance": draw(st.sampled_from(covariance)),
        "licence": draw(TEXT),
        "citation": draw(TEXT),
    }


@st.composite
def searches(draw: st.DrawFn) -> Search:
    """A search of a few bins with any numbers and texts in it."""
    n_bins = draw(st.integers(1, 3))
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    observables = tuple(Observable(n, draw(TEXT), draw(TEXT), draw(st.booleans())) for n in names)
    edges = [[draw(ranges(discrete=o.discrete)) for o in observables] for _ in range(n_bins)]
    column = st.lists(EVENTS, min_size=n_bins, max_size=n_bins).map(np.array)
    processes = tuple(
        Process(name, draw(TEXT), Estimate(*(draw(column) for _ in Estimate.__slots__)))
        for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    )
    members = st.lists(st.sampled_from([p.name for p in processes]), max_size=3, unique=True).map(tuple)
    positive = st.floats(min_value=5e-324, allow_infinity=False, allow_nan=False)
    return Search(
        name=draw(NAMES),
        title=draw(TEXT),
        reference=draw(TEXT),
        luminosity_fb=draw(positive),
        sqrt_s_tev=draw(positive),
        observables=observables,
        low=np.array(edges)[:, :, 0],
        high=np.array(edges)[:, :, 1],
        processes=processes,
        observed=np.array(draw(st.lists(COUNTS, min_size=n_bins, max_size=n_bins))),
        shared_stat=tuple(draw(st.lists(members, max_size=3))),
        source=draw(TEXT),
        **draw(extras(n_bins)),  # type: ignore[arg-type]  # of several types
    )


@st.composite
def signals(draw: st.DrawFn, search: Search) -> SignalModel:
    """A signal in the bins of a search."""
    value = st.floats(allow_infinity=False, allow_nan=False)
    column = st.lists(EVENTS, min_size=search.n_bins, max_size=search.n_bins).map(np.array)
    return SignalModel(
        model=draw(NAMES),
        parameters=draw(st.dictionaries(NAMES, value, max_size=3)),
        search=search.name,
        yields=draw(column),
        errors=draw(column),
        source=draw(TEXT),
        cross_section_pb=draw(st.none() | st.floats(min_value=5e-324, allow_infinity=False, allow_nan=False)),
        variations=draw(
            st.dictionaries(
                NAMES.filter(lambda name: name == name.strip()), st.tuples(column, column), max_size=2
            )
        ),
        relative_error=draw(EVENTS),
    )


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """One store for all examples, which take names of their own."""
    with Store("sqlite://") as opened:
        yield opened


NUMBERS = itertools.count()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_content_comes_back_exactly(store: Store, data: st.DataObject) -> None:
    """STORE-2, STORE-17: digests agree for any search and signal, and so do the texts outside the digest."""
    search = dataclasses.replace(data.draw(searches()), name=f"é {next(NUMBERS)}")
    signal = data.draw(signals(search))
    files = data.draw(
        st.dictionaries(st.sampled_from(["workspace.json", "cards/a.txt"]), st.binary(max_size=50))
    )
    store.add_search(search, signals=[signal], files=files)
    back = store.search(search.name)
    assert back.digest == search.digest
    assert (back.names, back.licence, back.citation) == (search.names, search.licence, search.citation)
    assert {name: store.file(search.name, name) for name in store.files(search.name)} == files
    assert (back.title, back.reference, back.source) == (search.title, search.reference, search.source)
    assert [p.name for p in back.processes] == [p.name for p in search.processes]
    signal_back = store.signal(search.name, signal.model, tuple(signal.parameters.values()))
    assert signal_back.digest == signal.digest
    assert (signal_back.source, signal_back.cross_section_pb) == (signal.source, signal.cross_section_pb)
    assert list(signal_back.parameters) == list(signal.parameters)
    assert list(signal_back.variations) == list(signal.variations)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_replacing_is_storing(store: Store, data: st.DataObject) -> None:
    """STORE-8: a search that takes another's place is the same as one stored alone."""
    name = f"é {next(NUMBERS)}"
    first, second = (dataclasses.replace(data.draw(searches()), name=name) for _ in range(2))
    store.add_search(first)
    store.add_search(second, replace=True)
    assert store.search(name).digest == second.digest
    assert [s.n_bins for s in store.searches() if s.name == name] == [second.n_bins]


@pytest.fixture
def filled(tmp_path: Path, small_search: Search, small_signal: SignalModel) -> Path:
    """A small database."""
    path = tmp_path / "filled.sqlite"
    with Store(path) as opened:
        opened.add_search(small_search, signals=[small_signal])
    return path


# The file is the same for every example.
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), flips=st.integers(1, 20))
def test_damage_is_an_error_or_harmless(
    filled: Path, small_search: Search, small_signal: SignalModel, seed: int, flips: int
) -> None:
    """STORE-10: with any bytes of the file changed, reading gives the right content or one clear line."""
    damaged = bytearray(filled.read_bytes())
    rng = random.Random(seed)
    for _ in range(flips):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    path = filled.with_name("damaged.sqlite")
    path.write_bytes(damaged)
    text = ""
    try:
        with Store(path) as opened:
            opened.searches()
            opened.signals()
            found = opened.search("small").digest, opened.signal("small", "T0", (1000, 100)).digest
    except SuperbinError as error:
        found, text = None, str(error)
    assert "\n" not in text
    assert found in {None, (small_search.digest, small_signal.digest)}
