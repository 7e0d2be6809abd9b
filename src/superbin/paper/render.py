"""From a result to the sources of a paper, by Jinja2.

Values are escaped where they are printed, not where they are made: a template cannot forget it. Undefined names
are errors.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2

from superbin._support.files import write_text
from superbin.domain.merits import MERITS, named
from superbin.errors import OutputError
from superbin.paper import tex
from superbin.paper.tex import TeX
from superbin.results import AnalysisResult, SearchSummary, Significance
from superbin.results.wording import COUNT_EXPECTED, COUNT_OBSERVED, projection_stems, readable

__all__ = ["render"]

_STATUS = {
    "certified": "certified: no set of bins that was allowed does better",
    "best found": "the best found, which does not prove that no other does better",
}
_SHAPES = {
    "free": "",
    "rectangle": "one range in each observable",
    "two rectangles": "at most two rectangles, each one range in each observable",
    "three rectangles": "at most three rectangles, each one range in each observable",
    "connected": "bins that touch one another",
}
_CORRELATIONS = {"none": "none", "likelihood": "from the published likelihood"}
_FITS = {"prefit": "pre-fit", "postfit": "post-fit"}


def render(result: AnalysisResult, directory: str | Path, *, figures: bool = True) -> Path:
    r"""Write the LaTeX sources of a paper about a result.

    Parameters
    ----------
    result : AnalysisResult
    directory : str or Path
        Where ``paper.tex`` and ``references.bib`` go; made if it does not exist.
    figures : bool
        Whether the paper includes the figures, which it expects in ``../figures`` under the names that
        `superbin.plot.figures` gives them.

    Returns
    -------
    Path
        The main file, ``paper.tex``. It needs only packages of a small TeX Live and contains only ASCII.

    Raises
    ------
    OutputError
        If the place cannot be written.
    """
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {directory}: {error.strerror}; choose a place you can write to"
        ) from error
    environment = _environment()
    context = _context(environment, result, figures=figures)
    sources = {
        name: environment.get_template(f"{name}.j2").render(context)
        for name in ("references.bib", "paper.tex")
    }
    for name, text in sources.items():
        write_text(directory / name, text)
    return directory / "paper.tex"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("superbin", "paper/templates"),
        undefined=jinja2.StrictUndefined,
        finalize=_printed,
        # Signs that TeX does not use: braces and percent signs of the template are TeX's.
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # it knows HTML only; `finalize` escapes TeX
    )
    environment.filters.update(
        asym=tex.asymmetric,
        bare=_bare,
        estimate=tex.estimate,
        events=tex.events,
        mathtext=tex.mathtext,
        pvalue=tex.pvalue,
        readable=readable,
        sentence=_sentence,
        sentence_end=_sentence_end,
        sides=_sides,
        tex=TeX,
        whole=tex.whole,
        z=tex.z,
    )
    return environment


def _printed(value: object) -> str:
    """What a template prints for a value: text escaped, whole numbers as they are, nothing else."""
    if isinstance(value, jinja2.Undefined):
        return str(value)  # raises, and names it
    if isinstance(value, TeX):
        return value
    if isinstance(value, str):
        return tex.escape(value)
    if isinstance(value, int):
        return str(value)
    raise TypeError(f"a template prints {value!r}; it must say with which digits")


def _context(environment: jinja2.Environment, result: AnalysisResult, *, figures: bool) -> dict[str, Any]:
    stems = projection_stems(result.projections)
    table = environment.get_template("significance.tex.j2")

    def significance(panel: Significance, key: str, what: str) -> TeX:
        return TeX(table.render(panel=panel, key=key, what=what, fits=_FITS))

    name = result.merge.figure_of_merit
    merit = named(name)
    return {
        "result": result,
        "search": result.search,
        "search_name": _display_name(result.search),
        "lumi": TeX(f"${result.search.luminosity_fb:g}$~fb$^{{-1}}$"),
        "bins": result.bins,
        "total": result.yields,
        "processes": result.yields.processes,
        "observables": result.bins[0].ranges,
        "options": result.options,
        "merit": merit,
        "goal": TeX(merit.tex if name in MERITS else tex.escape(merit.tex)),
        "status": TeX(_STATUS.get(result.merge.status) or _within(result.merge.status)),
        "shape": _SHAPES.get(result.merge.shape, result.merge.shape),
        "correlations": {
            c.correlations: _CORRELATIONS.get(c.correlations) or tex.escape(c.correlations)
            for c in result.conventions
        },
        "significance": significance,
        "figures": list(zip(stems, result.projections, strict=True)) if figures else [],
        "figure_labels": [tex.mathtext(p.label) for p in result.projections],
        "count_expected": COUNT_EXPECTED,
        "count_observed": COUNT_OBSERVED,
    }


def _within(status: str) -> str:
    """``within 1.3 %`` in a sentence."""
    return (
        tex.escape(status).replace(" \\%", r"\,\%")
        + " of the largest that any allowed set reaches, which is proved"
    )


def _display_name(search: SearchSummary) -> str:
    """The search's identifier as its publication writes it, where the reference contains it."""
    start = search.reference.lower().find(search.name.lower())
    return search.name if start < 0 else search.reference[start : start + len(search.name)]


def _bare(formula: TeX) -> TeX:
    """A number without its dollars, to stand inside a formula."""
    return TeX(formula.strip("$"))


def _sentence(parts: Iterable[TeX]) -> TeX:
    *head, last = parts
    return TeX(f"{', '.join(head)} and {last}" if head else last)


def _sentence_end(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _sides(nominal: float, up: float, down: float) -> TeX:
    """The uncertainties alone, to the decimals of the nominal."""
    body = tex.asymmetric(nominal, up, down)
    return TeX("$" + body[body.index("^") :])
