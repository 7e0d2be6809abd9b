"""CMS Combine datacards: read them, describe their likelihood, say what is odd in them, repair what is asked for.

`read_datacards` turns cards into one frozen `Datacards` that keeps the place of every entry (combine.py for many cards; for the
text of one: parse.py, sources.py for its histograms, lines.py, edits.py, formulas.py and effects.py for what is below the
table; model.py for the types). `describe` reads the histograms and returns a `superbin.statistical_model.StatisticalModel`
(describe.py, templates.py, statistics.py). `lint` reports what is odd and changes nothing (lint.py, twice.py); `repair` makes the
changes that the `Recipe` of an archive asks for and lists each (repair.py).

The format: A. Hayrapetyan et al. (CMS Collaboration), "The CMS statistical analysis and combination tool:
Combine", Comput. Softw. Big Sci. 8 (2024) 19, doi:10.1007/s41781-024-00121-4, and that tool's manual.
"""

from superbin.io.datacards.combine import combine, labelled, read_datacards
from superbin.io.datacards.describe import describe
from superbin.io.datacards.lint import CODES, Finding, lint
from superbin.io.datacards.model import (
    Alpha,
    Channel,
    Comment,
    Datacards,
    GammaNuisance,
    Group,
    Kappa,
    LogNuisance,
    Place,
    Placeholder,
    RateParameter,
    Remark,
    Term,
)
from superbin.io.datacards.repair import Recipe, Repair, parse_recipe, repair
from superbin.io.datacards.twice import repeated

__all__ = [
    "CODES",
    "Alpha",
    "Channel",
    "Comment",
    "Datacards",
    "Finding",
    "GammaNuisance",
    "Group",
    "Kappa",
    "LogNuisance",
    "Place",
    "Placeholder",
    "RateParameter",
    "Recipe",
    "Remark",
    "Repair",
    "Term",
    "combine",
    "describe",
    "labelled",
    "lint",
    "parse_recipe",
    "read_datacards",
    "repair",
    "repeated",
]
