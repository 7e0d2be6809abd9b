"""Every public name of the statistics has an example; test_examples.py runs them."""

import inspect

import pytest

import superbin.stats
import superbin.stats.limits
import superbin.stats.models


@pytest.mark.parametrize("package", [superbin.stats, superbin.stats.limits, superbin.stats.models])
def test_every_public_function_has_an_example(package: object) -> None:
    """STAT-33: functions and the results they give are shown by example; a protocol and a mapping are not called."""
    without = []
    for name in package.__all__:  # type: ignore[attr-defined]
        value = getattr(package, name)
        if inspect.isfunction(value) and ">>>" not in (inspect.getdoc(value) or ""):
            without.append(name)
    assert not without
