"""What `superbin` exports: a change here is a change for users.

``specs/surface.txt`` holds names, parameters and defaults of the packages whose interface is frozen. After a deliberate change, write it
again and read the difference:

    python tests/unit/test_public_surface.py > specs/surface.txt
"""

import difflib
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import superbin

PACKAGES = ("superbin", "superbin.stats", "superbin.merge", "superbin.likelihood")


def surface() -> str:
    """One line per name, then its public attributes and methods, indented."""
    return "\n".join(line for package in PACKAGES for line in _package(package)) + "\n"


def _package(package: str) -> Iterator[str]:
    module = importlib.import_module(package)
    for name in sorted(module.__all__):
        value = getattr(module, name)
        full = f"{package}.{name}"
        if inspect.isclass(value):
            yield f"class {full}{_parameters(value)}"
            yield from _members(value)
        elif callable(value):
            yield f"{full}{_parameters(value)}"
        elif isinstance(value, ModuleType):
            yield f"module {full}"
        else:
            yield f"{full}: {_kind(value)}"


def _kind(value: Any) -> str:
    return f"{type(value).__name__} of {', '.join(map(str, value))}"


def _members(owner: type) -> Iterator[str]:
    names = {
        name
        for base in owner.__mro__
        if base.__module__.startswith("superbin")
        for name in (*vars(base), *getattr(base, "__annotations__", ()))
        if not name.startswith("_")
    }
    for name in sorted(names):
        value = inspect.getattr_static(owner, name, None)
        if isinstance(value, (classmethod, staticmethod)):
            yield f"    {name}{_parameters(getattr(owner, name))}  [{type(value).__name__}]"
        elif callable(value):
            yield f"    {name}{_parameters(value)}"
        else:
            yield f"    {name}"


def _parameters(function: Any) -> str:
    """Names, kinds and defaults; types are left out, since they print differently with every NumPy."""
    try:
        found = inspect.signature(function)
    except ValueError:  # an exception takes what every exception takes
        return "(...)"
    shown = [
        p.replace(annotation=inspect.Parameter.empty, default=_Default.of(p.default))
        for p in found.parameters.values()
    ]
    return str(inspect.Signature(shown))


class _Default:
    """A default that prints without addresses of memory."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    @classmethod
    def of(cls, value: Any) -> Any:
        if value is inspect.Parameter.empty:
            return value
        text = repr(value)
        return cls(f"<{type(value).__name__}>" if " at 0x" in text else text)


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
        "python tests/unit/test_public_surface.py > specs/surface.txt"
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


if __name__ == "__main__":
    print(surface(), end="")
