"""Options with fixed words are Literal types, which agree with what the code knows."""

from typing import Any, get_args

import pytest

from superbin.catalog.catalog import Source
from superbin.domain.merits import MERITS, FigureOfMerit
from superbin.io.imports import IMPORTERS, Form
from superbin.merge import SHAPES
from superbin.merge.shapes import SOLVERS, Shape
from superbin.stats.limits.compare import METHODS, Method
from superbin.stats.models import MODELS, ModelName


def words(alias: Any) -> tuple[str, ...]:
    """The words of a Literal, also beside other types."""
    found = [w for part in get_args(alias) for w in (get_args(part) or (part,))]
    return tuple(w for w in found if isinstance(w, str))


@pytest.mark.parametrize(
    ("alias", "known"),
    [
        (ModelName, tuple(MODELS)),
        (FigureOfMerit, tuple(MERITS)),
        (Shape, tuple(SOLVERS)),
        (Shape, SHAPES),
        (Form, tuple(importer.name for importer in IMPORTERS)),
        (Source, ("table", "grid")),
        (Method, METHODS),
    ],
    ids=str,
)
def test_words_are_those_of_the_registry(alias: Any, known: tuple[str, ...]) -> None:
    """API-4: a type checker and an editor know every word, and no other."""
    assert words(alias) == known
