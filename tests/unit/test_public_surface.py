"""What `superbin` exports at the top: a change here is a change for users."""

import difflib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import superbin
from tests.surface import surface


def test_public_surface_is_the_promised_one() -> None:
    """API-7: names, parameters and defaults of the frozen packages are those of ``specs/surface.txt``."""
    promised = (Path(__file__).parents[2] / "specs" / "surface.txt").read_text("utf-8")
    changes = [
        line
        for line in difflib.unified_diff(promised.splitlines(), surface().splitlines(), lineterm="", n=0)
        if line[0] in "+-" and not line.startswith(("+++", "---"))
    ]
    assert not changes, (
        "the public surface changed; if on purpose, tell it in CHANGELOG.md and run "
        "python tests/surface.py > specs/surface.txt"
    )


def test_top_level_names() -> None:
    """Every name is there and is found where it is first used."""
    assert superbin.__all__ == [
        "AnalysisResult",
        "Catalog",
        "Covariance",
        "Estimate",
        "Observable",
        "Process",
        "Search",
        "SignalModel",
        "SuperbinError",
        "analyze",
        "combine",
        "load_result",
        "open_catalog",
        "result_from_json",
        "result_to_json",
    ]
    for name in superbin.__all__:
        assert getattr(superbin, name).__name__ == name


def test_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name says what there is."""
    with pytest.raises(AttributeError, match="has no attribute 'analyse'; it has AnalysisResult"):
        _ = superbin.analyse


def test_subpackages_show_and_load_on_first_use() -> None:
    """API-2: completion shows names, subpackages and the version; importing superbin imports none of them."""
    script = (
        "import sys, superbin; before = set(sys.modules); assert 'numpy' not in before;"
        "assert {'analyze', 'stats', 'merge', 'likelihood', '__version__'} <= set(dir(superbin));"
        "assert 'superbin.stats' not in before; assert superbin.stats.pvalue; print(superbin.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == version("superbin")
    for name in superbin._SUBPACKAGES:
        assert getattr(superbin, name).__name__ == f"superbin.{name}"


def test_the_package_runs() -> None:
    """API-3: `python -m superbin` runs the command line."""
    done = subprocess.run(
        [sys.executable, "-m", "superbin", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: superbin [OPTIONS] COMMAND")
