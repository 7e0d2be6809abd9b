"""A paper's skeleton from a result: LaTeX by Jinja2, and its PDF where LaTeX is installed.

* `render`: a result to ``paper.tex`` and ``references.bib``.
* `compile_pdf`: those to ``paper.pdf``; `latex_available` says whether it can, `HOW_TO_GET_LATEX` how to get it.

Nothing is computed here: every number is one of the result. Everything a user wrote is escaped. The templates are in
``templates/``; the rules are specified in ``specs/paper.md``.
"""

from superbin.paper.latex import HOW_TO_GET_LATEX, compile_pdf, latex_available
from superbin.paper.render import CLASSES, render

__all__ = ["CLASSES", "HOW_TO_GET_LATEX", "compile_pdf", "latex_available", "render"]
