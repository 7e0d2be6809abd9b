"""The examples of the statistics' docstrings are run, and every public name has one."""

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import superbin.stats
import superbin.stats.limits
import superbin.stats.models

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(superbin.stats.__path__, prefix="superbin.stats.")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    """STAT-33: what is shown is what comes out."""
    module = importlib.import_module(name)
    with np.printoptions(legacy=False):
        failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


@pytest.mark.parametrize("package", [superbin.stats, superbin.stats.limits, superbin.stats.models])
def test_every_public_function_has_an_example(package: object) -> None:
    """STAT-33: functions and the results they give are shown by example; a protocol and a mapping are not called."""
    without = []
    for name in package.__all__:  # type: ignore[attr-defined]
        value = getattr(package, name)
        if inspect.isfunction(value) and ">>>" not in (inspect.getdoc(value) or ""):
            without.append(name)
    assert not without
