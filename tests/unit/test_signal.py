"""What a signal holds beside its yields: clause RIMP-1."""

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.io.tables import write_signal
from superbin.scan.targets import Target
from superbin.scan.work import pack
from superbin.store import Store


def signal(**changes: Any) -> SignalModel:
    fields: dict[str, Any] = {
        "model": "T1",
        "parameters": {"m": 1.0},
        "search": "s",
        "yields": [4.0, 0.0],
        "errors": [2.0, 0.0],
    }
    return SignalModel(**(fields | changes))


def test_digest_without_variations_is_that_of_earlier_versions() -> None:
    """RIMP-1: the digest of the five fields that signals had before."""
    content = {
        "model": "T1",
        "parameters": {"m": 1.0},
        "search": "s",
        "yields": [4.0, 0.0],
        "errors": [2.0, 0.0],
    }
    expected = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    assert signal().digest == signal(variations={}, relative_error=0.0).digest == expected


def test_digest_tells_variations_apart() -> None:
    """RIMP-1."""
    signals = [
        signal(),
        signal(relative_error=0.1),
        signal(variations={"jes": ([5.0, 0.0], [3.0, 0.0])}),
        signal(variations={"jes": ([3.0, 0.0], [5.0, 0.0])}),
        signal(variations={"btag": ([5.0, 0.0], [3.0, 0.0])}),
    ]
    assert len({s.digest for s in signals}) == len(signals)


def test_variations_are_frozen() -> None:
    """RIMP-1."""
    given = np.array([5.0, 0.0])
    made = signal(variations={"jes": (given, given)})
    given[0] = 99
    assert made.variations["jes"][0].tolist() == [5.0, 0.0]
    with pytest.raises(TypeError):
        made.variations["x"] = made.variations["jes"]  # type: ignore[index]
    with pytest.raises(ValueError, match="read-only"):
        made.variations["jes"][1][0] = 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variations": {"jes": ([5.0], [3.0])}}, "jes up of signal T1\\(1\\) has shape"),
        ({"variations": {"jes": ([5.0, 1.0], [3.0, -1.0])}}, "jes down of signal T1\\(1\\) in bin 2 is -1"),
        ({"variations": {"jes": ([5.0, 1.0],)}}, "has 1 parts; give the yields up and down"),
        ({"variations": {"\n": ([5.0, 1.0], [5.0, 1.0])}}, "a name is printable text"),
        ({"relative_error": -0.1}, "relative_error of signal .* is -0.1; it must be finite and >= 0"),
        ({"relative_error": float("nan")}, "relative_error"),
    ],
)
def test_what_is_no_variation(changes: dict[str, Any], message: str) -> None:
    """RIMP-1."""
    with pytest.raises(InputError, match=message):
        signal(**changes)


def test_effective_counts() -> None:
    """RIMP-1: n events of equal weight w give n: yield n w, error sqrt(n) w."""
    made = signal(yields=[7 * 0.3, 0.0], errors=[7**0.5 * 0.3, 0.0])
    np.testing.assert_allclose(made.effective_counts, [7, 0], rtol=1e-14)


def test_variations_travel_to_workers() -> None:
    """RIMP-1: a scan's package rebuilds the same signal, also after its properties were computed."""
    made = signal(variations={"jes": ([5.0, 0.0], [3.0, 0.0])}, relative_error=0.2)
    assert made.effective_counts.size == 2
    package = pickle.loads(pickle.dumps(pack(Target.of(made))))
    assert SignalModel(**package.signal).digest == made.digest


def test_systematics_are_not_dropped(tmp_path: Path) -> None:
    """TAB-7, STORE-2: tables and the database hold none yet, and say so."""
    signal = SignalModel("T", {"m": 1.0}, "s", np.ones(2), np.zeros(2), relative_error=0.1)
    with pytest.raises(InputError, match=r"holds no systematic uncertainties, which signal T\(1\) has"):
        write_signal(signal, tmp_path / "t.csv")
    search = Search.from_arrays("s", observed=[1, 2], background=[1.0, 2.0], luminosity_fb=1)
    with Store("sqlite://") as store, pytest.raises(InputError, match="the database holds no systematic"):
        store.add_search(search, signals=[signal])
