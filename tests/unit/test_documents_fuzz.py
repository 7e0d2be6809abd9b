"""Documents with anything in them: each reads to a value of the right types, or is refused by one clear line."""

import copy
import dataclasses
import json
import math
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from superbin.domain.aggregate import Background
from superbin.errors import DocumentError
from superbin.paper import render
from superbin.results import AnalysisResult, PValue, SearchSummary, result_from_json, result_to_json
from superbin.results.chance import (
    ChanceResult,
    Excess,
    GlobalPValue,
    MaximumDistribution,
    chance_from_json,
    chance_to_json,
)
from superbin.results.scan import ScanLimit, ScanPoint, ScanResult, scan_from_json, scan_to_json

SEARCH = SearchSummary("small", "t", "r", 12.9, 13.0, 160, "0" * 64, "made up")


@pytest.fixture
def scan(example_result: AnalysisResult) -> ScanResult:
    limit = ScanLimit(3.1, 0.5, 0.9, 1.5, 2.5, None, "exact")
    done = ScanPoint(
        {"m_mother": 1500.0, "m_lsp": 1.0},
        "done",
        bins=(1, 3),
        cuts=("all",),
        merge_status="certified",
        yields=example_result.yields,
        expected=PValue(0.1, 1.28),
        observed=PValue(1.0, None),
        limit=limit,
        likelihood_limit=limit,
        cross_section_pb=0.01,
        cross_section_error=0.1,
    )
    failed = ScanPoint({"m_mother": 900.0, "m_lsp": 1.0}, "failed", "made up")
    return ScanResult(
        SEARCH, "T1", ("m_mother", "m_lsp"), {"level": 0.95, "merit": None}, (done, failed), "0.1.0"
    )


@pytest.fixture
def chance() -> ChanceResult:
    return ChanceResult(
        SEARCH,
        "all bins",
        160,
        "background alone",
        {"correlations": "none"},
        Excess((1,), ("cut",), ("T1(1, 1)",), Background(1.0, 0.1, 0.1), 3, PValue(0.01, 2.33)),
        GlobalPValue(0.3, 0.05, 0.4, 0.5, 100, 30, 0, interrupted=False),
        MaximumDistribution((0.0, 1.0, 2.0), (100, 80, 30)),
        "0.1.0",
    )


VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e308, -1e308, 5e-324, 10**300, "", "x", "NaN", "1", [], [1], [[]], {}, {"a": 1},
    math.nan, math.inf, -math.inf,
)  # fmt: skip


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with every key or position in it."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from places(node[key])


def mutated(document: Any, rng: random.Random) -> Any:
    """A copy with one to three changes: another value, one from elsewhere, an entry lost, added or twice."""
    document = copy.deepcopy(document)
    for _ in range(rng.randint(1, 3)):
        found = list(places(document))
        node, key = rng.choice(found)
        other, its_key = rng.choice(found)
        kind = rng.randrange(6)
        if kind <= 2:
            node[key] = copy.deepcopy(rng.choice(VALUES))
        elif kind == 3:
            node[key] = copy.deepcopy(other[its_key])
        elif kind == 4:
            del node[key]
        elif isinstance(node, list):
            node.insert(key, copy.deepcopy(node[key]))
        else:
            node[f"{key}x"] = copy.deepcopy(node[key])
    return document


def finite(value: Any) -> bool:
    """Whether no number anywhere is NaN or infinite."""
    if dataclasses.is_dataclass(value):
        return all(finite(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, tuple):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def typed(value: Any) -> bool:
    """Whether every plain field of a value is exactly of its declared type, all the way down."""
    if isinstance(value, tuple):
        return all(map(typed, value))
    if not dataclasses.is_dataclass(value):
        return True
    return all(
        typed(getattr(value, field.name))
        and (field.type not in {int, float, str, bool} or type(getattr(value, field.name)) is field.type)
        for field in dataclasses.fields(value)
    )


READERS: dict[str, tuple[Any, Any]] = {
    "result": (result_to_json, result_from_json),
    "scan": (scan_to_json, scan_from_json),
    "chance": (chance_to_json, chance_from_json),
}


@pytest.mark.parametrize("kind", READERS)
def test_any_change_is_read_or_refused(
    kind: str, example_result: AnalysisResult, scan: ScanResult, chance: ChanceResult, tmp_path: Path
) -> None:
    """RES-6: no change of a document gives anything but an equal document's value or one line of ours."""
    original: Any = {"result": example_result, "scan": scan, "chance": chance}[kind]
    write, read = READERS[kind]
    document = json.loads(write(original))
    rng = random.Random(11)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(120 if kind == "result" else 300):
        text = json.dumps(mutated(document, rng))
        refusal = None
        try:
            found: Any = read(text)
        except DocumentError as error:
            refusal = str(error)
        if refusal is not None:
            assert "\n" not in refusal
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        assert finite(found)
        assert typed(found)
        assert read(write(found)) == found
        if kind == "result":
            printed = render(found, tmp_path).read_text(encoding="ascii")
            assert not re.search(r"\b(nan|inf)\b", printed)
        if kind == "scan":
            assert all(finite(point.mu_limit) for point in found.points)
        if kind == "chance":
            assert found.trials is None or math.isfinite(found.trials)
    assert min(outcomes.values()) > 0  # both ends of the test are reached
