"""What papers of results and of scans have in common: the search, the data, how it was made."""

import re
from collections.abc import Mapping
from typing import Any

from superbin.domain.simplified import process_text
from superbin.paper import words
from superbin.paper.tex import TeX
from superbin.results import SearchSummary
from superbin.results.documents import Option

__all__ = ["command_options", "shared_values"]


def shared_values(search: SearchSummary, model: str, sources: str) -> dict[str, Any]:
    """Values of the templates in ``shared/``.

    Parameters
    ----------
    search : SearchSummary
    model : str
        Name of the signal model.
    sources : str
        Where the signal comes from, as the result says.
    """
    collaboration, publication = _publication(search.reference)
    everything = f"{search.source} {sources}".lower()
    return {
        "search": search,
        "search_name": words.search_name(search),
        "lumi": TeX(f"${search.luminosity_fb:g}$~fb$^{{-1}}$"),
        "collaboration": collaboration,
        "institution": "CERN" if collaboration else "",
        "publication": publication,
        "year": found[1] if (found := re.search(r"\(((?:19|20)\d\d)\)", search.reference)) else "",
        "simplified": process_text(model) is not None,
        "signal_source": sources,
        "carp": "carp" in everything,
        "pythia": "pythia" in sources.lower(),
        "fastjet": "fastjet" in sources.lower(),
        "cross_sections": "cross section working group" in everything or "borschensky" in everything,
    }


def _publication(reference: str) -> tuple[str, str]:
    """The collaboration that a reference begins with, and what follows it."""
    found = re.match(r"(?P<who>[\w-]+ Collaboration), (?P<rest>.+)", reference, flags=re.DOTALL)
    return (found["who"], found["rest"]) if found else ("", reference)


def command_options(search: SearchSummary, options: Mapping[str, Option]) -> list[str]:
    """Options of a command from those that a result records."""
    given = ["--search", search.name]
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            given += [flag, f"{value}"]
        elif value is True:
            given.append(flag)
    return given
