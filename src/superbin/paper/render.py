"""From a result to the sources of a paper, by Jinja2.

Values are escaped where they are printed, not where they are made: a template cannot forget it. Undefined names
are errors. A class of documents is a layout; what a paper says is a template that fills any layout.
"""

import re
from collections.abc import Mapping
from functools import singledispatch
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from superbin._support.files import read_limited, write_text
from superbin.errors import DocumentError, InputError, OutputError, UnknownNameError
from superbin.paper import tex, words
from superbin.paper.result import analysis_values, cut_flow_rows
from superbin.paper.scan import scan_values
from superbin.paper.tex import TeX
from superbin.results import AnalysisResult
from superbin.results.scan import ScanResult
from superbin.results.wording import readable, typeset

__all__ = ["CLASSES", "render"]

CLASSES: Mapping[str, str] = {
    "article": "layouts/article.tex.j2",
    "revtex": "layouts/revtex.tex.j2",
    "jhep": "layouts/jhep.tex.j2",
}
"""Classes of documents, and the layout of each. A new class is a file and a line here."""

_SCAN_FIGURES = "../maps"
_FIGURES = "../figures"


def render(
    result: AnalysisResult | ScanResult,
    directory: str | Path,
    *,
    figures: bool = True,
    paper_class: str = "article",
    template: str | Path | None = None,
    figure_folder: str | None = None,
    cut_flow: Mapping[str, float] | None = None,
) -> Path:
    r"""Write the LaTeX sources of a paper about a result.

    Parameters
    ----------
    result : AnalysisResult or ScanResult
    directory : str or Path
        Where ``paper.tex`` and ``references.bib`` go; made if it does not exist.
    figures : bool
        Whether the paper includes the figures, under the names that `superbin.plot.figures` and
        `superbin.plot.scan_figures` give them.
    paper_class : str
        One of `CLASSES`.
    template : str or Path, optional
        A Jinja2 template of your own. It may extend ``result.tex.j2`` or ``scan.tex.j2`` and replace blocks, or be a whole
        document.
    figure_folder : str, optional
        Where the figures are, relative to `directory`; by default ``../figures``, of a scan ``../maps``.

    cut_flow : mapping of str to float, optional
        Fraction of the generated signal events that is left after each cut, in order; of an `AnalysisResult`.

    Returns
    -------
    Path
        The main file, ``paper.tex``. It needs only packages of TeX Live and contains only ASCII.

    Raises
    ------
    UnknownNameError
        If there is no such class.
    DocumentError
        If the template cannot be read, or has an error; the text says in which line.
    OutputError
        If the place cannot be written.
    """
    if paper_class not in CLASSES:
        raise UnknownNameError(f"there is no paper class {paper_class!r}; choose one of {', '.join(CLASSES)}")
    name, values = _content(result, figures=figures)
    folder = figure_folder or values.pop("figure_folder")
    if cut_flow and "cut_flow" in values:
        values["cut_flow"] = cut_flow_rows(cut_flow)
    values |= {"layout": CLASSES[paper_class], "figure_folder": TeX(folder), "paper_class": paper_class}
    text = _printed_template(name, template, values)
    sources = {"references.bib": _references(text, values), "paper.tex": text}
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {directory}: {error.strerror}; choose a place you can write to"
        ) from error
    for file, content in sources.items():
        write_text(directory / file, content)
    return directory / "paper.tex"


@singledispatch
def _content(result: object, *, figures: bool) -> tuple[str, dict[str, Any]]:
    """Name of the template, and what it needs."""
    del figures
    raise InputError(f"a paper is of a result or a scan, not of a {type(result).__name__}")


@_content.register
def _(result: AnalysisResult, *, figures: bool) -> tuple[str, dict[str, Any]]:
    table = _environment().get_template("shared/significance.tex.j2")
    values = analysis_values(result, figures=figures)
    values["significance"] = lambda panel, key, what: TeX(
        table.render(panel=panel, key=key, what=what, fits=values["fits"])
    )
    return "result.tex.j2", values | {"figure_folder": _FIGURES}


@_content.register
def _(result: ScanResult, *, figures: bool) -> tuple[str, dict[str, Any]]:
    return "scan.tex.j2", scan_values(result, figures=figures) | {"figure_folder": _SCAN_FIGURES}


def _printed_template(name: str, own: str | Path | None, values: Mapping[str, Any]) -> str:
    if own is None:
        return _environment().get_template(name).render(values)
    path = Path(own)
    source = checked_template(path)
    environment = _environment(path.parent)
    try:
        return environment.from_string(source).render(values)
    except jinja2.TemplateSyntaxError as error:  # of a template that it uses
        raise _syntax(error, path) from error
    except jinja2.TemplateNotFound as error:
        raise DocumentError(
            f"{path} uses the template {error.name!r}, which is neither beside it nor one of superbin's: "
            f"{', '.join(sorted(_environment().list_templates(extensions=['j2'])))}"
        ) from error
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DocumentError(f"{path}: {reason}; correct the template, see docs/howto/paper.md") from error


def checked_template(path: Path) -> str:
    """Read a template, and check its syntax before anything is computed for it.

    Raises
    ------
    DocumentError
        If it cannot be read, or has an error; the text says in which line.
    """
    try:
        source = read_limited(path).decode()
        _environment(path.parent).parse(source)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DocumentError(
            f"cannot read the template {path}: {reason}; give a file with a Jinja2 template"
        ) from error
    except jinja2.TemplateSyntaxError as error:
        raise _syntax(error, path) from error
    return source


def _syntax(error: jinja2.TemplateSyntaxError, path: Path) -> DocumentError:
    return DocumentError(
        f"{error.name or path}:{error.lineno}: {error.message}; correct the template, see docs/howto/paper.md"
    )


def _environment(folder: Path | None = None) -> jinja2.Environment:
    own = jinja2.PackageLoader("superbin", "paper/templates")
    environment = ImmutableSandboxedEnvironment(
        loader=own if folder is None else jinja2.ChoiceLoader([own, jinja2.FileSystemLoader(folder)]),
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
        asym=lambda item: tex.measured(item.nominal, item.up, item.down),
        estimate=tex.estimate,
        events=tex.three,
        inside=words.inside,
        mathtext=tex.mathtext,
        option=words.option,
        percent=tex.percent,
        pvalue=tex.pvalue,
        readable=readable,
        sentence=words.sentence,
        sentence_end=words.sentence_end,
        signal=lambda item: tex.measured(item.signal, item.signal_error, item.signal_error),
        spaced=lambda name: str(name).replace("_", " "),
        tex=TeX,
        tex_text=tex.escape,
        three=tex.three,
        typeset=typeset,
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


def _references(text: str, values: Mapping[str, Any]) -> str:
    """The entries that a paper cites, in the order of their first citation."""
    packaged = resources.files("superbin").joinpath("paper/templates/references.bib").read_text("ascii")
    entries = {_key(entry): entry.strip() for entry in packaged.split("\n\n")}
    made = _environment().get_template("references.bib.j2").render(values)
    entries |= {_key(entry): entry.strip() for entry in made.strip().split("\n\n")}
    cited = [key for group in re.findall(r"\\cite\{([^}]*)\}", text) for key in group.split(",")]
    return "\n\n".join(entries[key] for key in dict.fromkeys(cited) if key in entries) + "\n"


def _key(entry: str) -> str:
    return entry[entry.index("{") + 1 : entry.index(",")].strip()
