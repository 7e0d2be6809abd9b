"""The document of a global p-value."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from superbin import chance
from superbin.domain.search import Search
from superbin.errors import DocumentError, InputError
from superbin.results.chance import ChanceResult, chance_from_json, chance_to_json, load_chance


@pytest.fixture
def found(small_search: Search) -> ChanceResult:
    return chance.of_rectangles(small_search, toys=100)


def test_round_trip(found: ChanceResult, tmp_path: Path) -> None:
    """CHANCE-9: what is written comes back equal, from text and from a file."""
    text = chance_to_json(found)
    assert chance_from_json(text) == found
    path = tmp_path / "chance.json"
    path.write_text(text, encoding="utf-8")
    assert load_chance(path) == found
    assert json.loads(text)["schema"] == "superbin/chance/1"


def test_breaches(found: ChanceResult, tmp_path: Path) -> None:
    """CHANCE-9: another schema, a value out of range and a missing file are refused by name."""
    document = json.loads(chance_to_json(found))
    with pytest.raises(DocumentError, match="schema 'superbin/scan/1'"):
        chance_from_json(json.dumps({**document, "schema": "superbin/scan/1"}))
    with pytest.raises(DocumentError, match=r"\$\.chance\.p"):
        chance_from_json(json.dumps({**document, "chance": {**document["chance"], "p": 2}}))
    with pytest.raises(InputError, match="superbin chance"):
        load_chance(tmp_path / "none.json")


def test_trials_factor(found: ChanceResult) -> None:
    """CHANCE-4: global over local; none without a hit."""
    assert found.trials == pytest.approx(found.chance.p / found.excess.local.p)
    assert replace(found, chance=replace(found.chance, hits=0, p=0.0)).trials is None
