"""The public surface as text: names, parameters and defaults of the packages whose interface is frozen.

``specs/surface.txt`` holds what is promised. After a deliberate change of the interface, write it again and read the difference:

    python tests/surface.py > specs/surface.txt
"""

import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

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


if __name__ == "__main__":
    print(surface(), end="")
