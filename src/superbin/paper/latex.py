"""LaTeX sources to PDF, with pdflatex and bibtex of the installed TeX distribution.

LaTeX is optional. Nothing of a run's litter stays: auxiliary files go to a temporary folder, and the PDF appears
only when it is complete.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from superbin._support.files import write_bytes
from superbin.errors import DocumentError, MissingDependencyError, OutputError

__all__ = ["HOW_TO_GET_LATEX", "compile_pdf", "latex_available"]

HOW_TO_GET_LATEX = (
    "install pdflatex and bibtex: on Debian or Ubuntu "
    "'apt-get install --no-install-recommends texlive-latex-base texlive-latex-recommended texlive-publishers' (the last for RevTeX), "
    "elsewhere TeX Live, MacTeX or MiKTeX"
)

_PROGRAMS = ("pdflatex", "bibtex")
_TIMEOUT = 120.0


def latex_available() -> bool:
    """Whether ``pdflatex`` and ``bibtex`` are on the path."""
    return all(shutil.which(program) for program in _PROGRAMS)


def compile_pdf(directory: str | Path) -> Path:
    """Make ``paper.pdf`` from ``paper.tex`` and ``references.bib``.

    Parameters
    ----------
    directory : str or Path
        Where the sources stand; the figures they include stand beside it.

    Returns
    -------
    Path
        ``paper.pdf``, in `directory`. The same sources and figures give the same bytes.

    Raises
    ------
    MissingDependencyError
        If no LaTeX is installed; the text says how to get it.
    DocumentError
        If LaTeX or BibTeX finds an error, or does not end within two minutes; the text quotes the first error
        with its line.
    OutputError
        If there is no ``paper.tex``, or the PDF cannot be written.
    """
    directory = Path(directory).absolute()
    if not latex_available():
        raise MissingDependencyError(
            f"no LaTeX found, {directory / 'paper.tex'} is not compiled; {HOW_TO_GET_LATEX}"
        )
    if not (directory / "paper.tex").is_file():
        raise OutputError(f"there is no {directory / 'paper.tex'} to compile; write it with 'superbin run'")
    with tempfile.TemporaryDirectory(prefix="superbin-latex-") as name:
        work = Path(name)
        pdflatex = (
            "pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "-file-line-error",
            f"-output-directory={work}", "paper.tex",
        )  # fmt: skip
        # References settle in the third pass: the first finds the citations, the second the list of them.
        for command, place in (
            (pdflatex, directory),
            (("bibtex", "paper"), work),
            (pdflatex, directory),
            (pdflatex, directory),
        ):
            _run(command, place, sources=directory)
        content = (work / "paper.pdf").read_bytes()
    write_bytes(directory / "paper.pdf", content)
    return directory / "paper.pdf"


def _run(command: Sequence[str], place: Path, *, sources: Path) -> None:
    environment = {
        **os.environ,
        # BibTeX runs beside the auxiliary files and finds the references in the sources.
        "BIBINPUTS": f"{sources}{os.pathsep}",
        # One line of the log is one line of the message, however long.
        "max_print_line": "1000",
    }
    try:
        done = subprocess.run(
            command,
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DocumentError(
            f"{sources / 'paper.tex'}: {command[0]} did not end within {_TIMEOUT:g} s; compile it by hand to see why"
        ) from error
    if done.returncode != 0:
        message = _first_error(done.stdout.decode("utf-8", "replace"))
        raise DocumentError(
            f"{sources / 'paper.tex'}: {command[0]} failed: {message}; correct the source and compile it again"
        )


def _first_error(log: str) -> str:
    """The first error in a log: ``file:line: message``, ``! message``, or BibTeX's complaint."""
    for pattern in (r"^(?:\./)?[^:\n]+\.tex:\d+: .+$", r"^! .+$", r"^.*---line \d+ of file .+$", r"^I .+$"):
        found = re.search(pattern, log, flags=re.MULTILINE)
        if found:
            return found.group().strip().removeprefix("./").rstrip(".")
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
