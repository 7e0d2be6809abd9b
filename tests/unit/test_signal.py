"""What a signal holds beside its yields, and that tables and the database keep it."""

import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import DocumentError, InputError
from superbin.io.tables import read_signal, write_signal
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
    """RIMP-1: signals with different variations or errors have different digests."""
    signals = [
        signal(),
        signal(relative_error=0.1),
        signal(variations={"jes": ([5.0, 0.0], [3.0, 0.0])}),
        signal(variations={"jes": ([3.0, 0.0], [5.0, 0.0])}),
        signal(variations={"btag": ([5.0, 0.0], [3.0, 0.0])}),
    ]
    assert len({s.digest for s in signals}) == len(signals)


def test_variations_are_frozen() -> None:
    """RIMP-1: the variations of a signal are copies that cannot be changed."""
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
    """RIMP-1: a bad variation or relative error is refused with the reason."""
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


def test_systematics_in_tables_and_database(tmp_path: Path) -> None:
    """TAB-6, TAB-7, STORE-18: variations and the relative error come back to the last bit, in their order."""
    search = Search.from_arrays("s", observed=[1, 2], background=[1.0, 2.0], luminosity_fb=1)
    varied = SignalModel(
        "T",
        {"m": 1.0},
        "s",
        np.array([1.0, 0.1 + 0.2]),
        np.zeros(2),
        variations={
            'z "ä", up': (np.array([1 / 3, 0.0]), np.array([5e-324, 1e300])),
            "a_up": (np.array([2.0, 3.0]), np.array([0.0, 1.0])),
        },
        relative_error=0.1,
    )
    overall = replace(varied, parameters={"m": 2.0}, variations={})
    plain = replace(overall, parameters={"m": 3.0}, relative_error=0.0)
    with Store("sqlite://") as store:
        store.add_search(search, signals=[varied, overall, plain])
        for number, signal in enumerate((varied, overall, plain), start=1):
            write_signal(signal, tmp_path / "t.csv")
            for back in (read_signal(tmp_path / "t.csv"), store.signal("s", "T", (number,))):
                assert back.digest == signal.digest
                assert list(back.variations) == list(signal.variations)
                assert back.relative_error == signal.relative_error
    assert "relative_error" not in (tmp_path / "t.csv").read_text()


def test_table_of_a_signal_with_wrong_variations(tmp_path: Path) -> None:
    """TAB-7: names of variations must have their columns, and none twice."""
    text = '# model: "T"\n# parameters: {}\n# search: "s"\n# cross_section_pb: null\n# source: ""\n# variations: ["a"]\n'
    path = tmp_path / "t.csv"
    for table, message in (
        (text + "bin,yield,error\n1,1,0\n", "bin,yield,error,a_up,a_down is needed"),
        (text + "bin,yield,error,a_up,a_down\n1,1,0,2,-1\n", "t.csv:8: a_down is -1; it must be >= 0"),
        (text.replace('"a"', '"a", "a"'), "variations has a name twice"),
    ):
        path.write_text(table)
        with pytest.raises(DocumentError, match=message):
            read_signal(path)
