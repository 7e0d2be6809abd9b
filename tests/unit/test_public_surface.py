"""What `superbin` exports at the top: a change here is a change for users."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import superbin


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
