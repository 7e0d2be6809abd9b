"""The recipes of CONTRIBUTING work as they are written."""

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from superbin.domain import merits
from superbin.merge import figures
from superbin.stats import models

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(heading: str) -> list[str]:
    """The Python of one recipe."""
    section = re.split(r"^### ", TEXT, flags=re.MULTILINE)
    (recipe,) = (part for part in section if part.startswith(heading))
    found = re.findall(r"^   ```python\n(.*?)^   ```", recipe, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for block in found]


def run(code: str, scope: dict[str, Any]) -> dict[str, Any]:
    exec(compile(code, "CONTRIBUTING.md", "exec"), scope)
    return scope


def test_figure_of_merit(monkeypatch: pytest.MonkeyPatch) -> None:
    """MERGE-70: its function, its entry and its test."""
    function, entry, test = blocks("A figure of merit")
    monkeypatch.setattr(figures, "purity", run(function, dict(vars(figures)))["purity"], raising=False)
    made = eval(entry, vars(merits))
    monkeypatch.setitem(merits._registry, made.name, made)
    run(test, {})["test_no_set_of_bins_is_better"]()


def test_uncertainty_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """STAT-3: its class and its test, here with counts near the background and above it."""
    model, test = blocks("An uncertainty model")
    made = run(model, {"__name__": "superbin.stats.models.upward_lognormal"})["UpwardLognormal"]
    monkeypatch.setattr(models, "MODELS", {**models.MODELS, made.name: made})
    check = run(test, {})["test_against_quadrature"]
    check(3)
    check(10)


def test_files_that_recipes_name_exist() -> None:
    """Modules, tests, specs and pages; what a recipe makes itself is not there yet."""
    root = Path(__file__).parents[2]
    named = set(re.findall(r"`((?:src|tests|specs|docs|validation)/[\w./-]+)`", TEXT))
    made = {
        "tests/unit/merge/test_merge_purity.py",
        "tests/unit/stats/test_stats_upward.py",
        "tests/data/imports/NAME/",
    }
    assert [name for name in sorted(named - made) if not (root / name).exists()] == []
