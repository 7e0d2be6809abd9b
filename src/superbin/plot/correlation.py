"""Correlation matrix of the bins' predictions, as a colour map from -1 to 1.

Bins are numbered as published; `blocks` marks where an outer observable changes, such as every 40 bins. Specified
in ``specs/likelihood.md``, LIK-29.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.plot.style import figure_of, header, style

__all__ = ["CorrelationArtists", "correlation_matrix"]


@dataclass(frozen=True, slots=True)
class CorrelationArtists:
    """What `correlation_matrix` drew.

    Attributes
    ----------
    figure : Figure
    ax : Axes
    mesh : QuadMesh
        The matrix.
    colorbar : Colorbar
        Its scale.
    """

    figure: Figure
    ax: Axes
    mesh: QuadMesh
    colorbar: Colorbar


def correlation_matrix(
    correlation: ArrayLike,
    *,
    blocks: Sequence[int] = (),
    attribution: str = "",
    luminosity_fb: float | None = None,
    sqrt_s_tev: float | None = None,
    ax: Axes | None = None,
) -> CorrelationArtists:
    """Draw a correlation matrix.

    Parameters
    ----------
    correlation : array_like, shape (n_bins, n_bins)
        Values in [-1, 1].
    blocks : sequence of int
        Bins, numbered from 1, after which a thin line is drawn.
    attribution : str
        Whose data they are.
    luminosity_fb, sqrt_s_tev : float, optional
        Written above the axes.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Raises
    ------
    InputError
        If the matrix is not square, or has values that are not in [-1, 1].
    """
    matrix = _checked(correlation)
    n = matrix.shape[0]
    with style():
        if ax is None:
            figure = Figure(figsize=(7.2, 6.0), layout="constrained")
            FigureCanvasAgg(figure)
            ax = figure.add_subplot()
        edges = np.arange(n + 1) + 0.5
        mesh = ax.pcolormesh(edges, edges, matrix, vmin=-1, vmax=1, cmap="RdBu_r", rasterized=True)
        for block in blocks:
            ax.axhline(block + 0.5, color="black", linewidth=0.4)
            ax.axvline(block + 0.5, color="black", linewidth=0.4)
        ax.set_xlabel("Bin")
        ax.set_ylabel("Bin")
        ax.set_aspect("equal")
        bar = figure_of(ax).colorbar(mesh, ax=ax, label="Correlation")
        right = [f"{luminosity_fb:g} fb$^{{-1}}$"] if luminosity_fb is not None else []
        right += [f"({sqrt_s_tev:g} TeV)"] if sqrt_s_tev is not None else []
        if attribution or right:
            header(ax, attribution, " ".join(right))
    return CorrelationArtists(figure_of(ax), ax, mesh, bar)


def _checked(correlation: ArrayLike) -> FloatArray:
    matrix = np.asarray(correlation, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise InputError(
            f"the correlation matrix has shape {matrix.shape}; it must be square, one row per bin"
        )
    if not (np.abs(matrix) <= 1 + 1e-9).all():
        i, j = (int(k) for k in np.argwhere(~(np.abs(matrix) <= 1 + 1e-9))[0])
        raise InputError(
            f"the correlation of bins {i + 1} and {j + 1} is {matrix[i, j]:g}; it must lie in [-1, 1]"
        )
    return matrix
