"""Histograms of a card from its ROOT files, as Combine sees them.

Contents are rounded to single precision, since Combine copies templates into a TH1F; integrals are those of the file. A TH2 is unrolled, the second
axis fastest.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.errors import DocumentError, SuperbinError
from superbin.io.datacards.model import Place, Template
from superbin.io.datacards.sources import PARAMETRIC
from superbin.io.root import RootFile, opened

__all__ = ["Shape", "Templates"]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A histogram.

    Attributes
    ----------
    values : array, shape (n_bins,)
        Contents in single precision.
    errors : array, shape (n_bins,)
        Their statistical errors; NaN where the file has a negative sum of squared weights.
    integral : float
        Sum of the contents as the file has them.
    where : str
        File and name, for messages.
    """

    values: FloatArray
    errors: FloatArray
    integral: float
    where: str


class Templates:
    """Reads histograms, each file once; a context manager.

    Parameters
    ----------
    mass : float or None
        What ``$MASS`` stands for.
    """

    def __init__(self, mass: float | None) -> None:
        self._mass = None if mass is None else (f"{mass:.0f}" if mass % 1 == 0 else str(mass))
        self._files: dict[str, RootFile] = {}
        self._known: dict[tuple[str, str], Shape] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Templates":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    def nominal(self, template: Template) -> Shape:
        """Return the histogram of a process.

        Raises
        ------
        DocumentError
            If it cannot be read, or a content is NaN or infinite.
        """
        return self._read(template, template.name, template.place)

    def variation(self, template: Template, systematic: str, place: Place) -> Shape:
        """Return the histogram of a systematic variation, such as ``jesUp``.

        Raises
        ------
        DocumentError
            As of `nominal`, or if the `shapes` line names none.
        """
        if template.variation is None:
            raise DocumentError(
                f"{place}: the variation {systematic!r} is needed, but the shapes line {template.place.line} names no histogram of variations; add one with $SYSTEMATIC"
            )
        return self._read(template, template.variation.replace("$SYSTEMATIC", systematic), place)

    def has(self, template: Template, systematic: str) -> bool:
        """Whether there is a histogram of a variation."""
        if template.variation is None:
            return False
        name = self._named(template.variation.replace("$SYSTEMATIC", systematic), template)
        return self._open(template).kind(_plain(name)) is not None

    def _named(self, text: str, template: Template) -> str:
        if "$MASS" in text and self._mass is None:
            raise DocumentError(
                f"{template.place}: {text!r} depends on $MASS; say which mass is meant (mass=125, --mass 125)"
            )
        return text.replace("$MASS", self._mass or "")

    def _open(self, template: Template) -> RootFile:
        path = self._named(template.file, template)
        if path not in self._files:
            try:
                self._files[path] = self._stack.enter_context(opened(Path(path)))
            except SuperbinError as error:
                raise DocumentError(f"{template.place}: {error}") from error
        return self._files[path]

    def _read(self, template: Template, text: str, place: Place) -> Shape:
        name = self._named(text, template)
        if ":" in name:
            raise DocumentError(f"{place}: {PARAMETRIC.format(what=repr(name))}")
        file = self._open(template)
        key = str(file.path), name
        if key not in self._known:
            self._known[key] = self._fresh(file, name, place)
        return self._known[key]

    def _fresh(self, file: RootFile, name: str, place: Place) -> Shape:
        kind = file.kind(_plain(name))
        if kind is None:
            near = [
                n for n in file.names("TH1", "TH2") if n.rpartition("/")[0] == _plain(name).rpartition("/")[0]
            ]
            there = ", ".join((near or file.names("TH1", "TH2"))[:5]) or "none"
            raise DocumentError(
                f"{place}: {file.path} has no histogram {name!r}; its histograms begin with {there}"
            )
        if kind.startswith("Roo"):
            raise DocumentError(f"{place}: {PARAMETRIC.format(what=repr(name))}")
        if not kind.startswith(("TH1", "TH2")):
            raise DocumentError(f"{place}: {name!r} in {file.path} is a {kind}; a TH1 or TH2 is needed")
        try:
            contents, errors = file.contents(_plain(name))
        except SuperbinError as error:
            raise DocumentError(f"{place}: {error}") from error
        except Exception as error:  # whatever a damaged object raises
            raise DocumentError(
                f"{place}: {name!r} in {file.path} cannot be read ({type(error).__name__}); is the file damaged?"
            ) from error
        values = contents.ravel()
        if np.abs(values).max(initial=0.0) > 1e30:
            raise DocumentError(f"{place}: {name!r} in {file.path} has contents above 1e30")
        return Shape(
            values.astype(np.float32).astype(np.float64),
            errors.ravel(),
            float(values.sum()),
            f"{file.path}: {name}",
        )


def _plain(name: str) -> str:
    """Object names as the file lists them: without double or outer slashes."""
    return "/".join(part for part in name.split("/") if part)
