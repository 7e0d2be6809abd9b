"""Correlation matrix of the bins' predictions, as a colour map from -1 to 1.

Bins are numbered as published; `blocks` marks where an outer observable changes, such as every 40 bins. Specified
in ``specs/likelihood.md``, LIK-29.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.plot.style import axes_size, figure_of, header, style
from superbin.plot.text import label, width

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
    names: Sequence[str] = (),
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
        Bins, numbered from 1, after which a thin line is drawn; ascending.
    names : sequence of str
        Names of the groups of bins between these lines, one more than there are lines: written beside the numbers; mathtext.
    attribution : str
        Whose data they are.
    luminosity_fb, sqrt_s_tev : float, optional
        Written above the axes.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Raises
    ------
    InputError
        If the matrix is not square, has values that are not in [-1, 1], or names do not fit the blocks.
    """
    matrix = _checked(correlation)
    n = matrix.shape[0]
    if names and len(names) != len(blocks) + 1:
        raise InputError(
            f"{len(names)} names were given for {len(blocks) + 1} groups of bins; give one name for each group"
        )
    with style():
        if ax is None:
            figure = Figure(figsize=(7.2, 6.0), layout="constrained")
            FigureCanvasAgg(figure)
            ax = figure.add_subplot()
        edges = np.arange(n + 1) + 0.5
        mesh = ax.pcolormesh(edges, edges, matrix, vmin=-1, vmax=1, cmap="RdBu_r", rasterized=True)
        for block in blocks:
            ax.axhline(block + 0.5, color="black", linewidth=0.6)
            ax.axvline(block + 0.5, color="black", linewidth=0.6)
        _name_groups(ax, [0, *blocks, n], names)
        ax.set_xlabel("Bin", labelpad=18 if names else None)
        ax.set_ylabel("Bin", labelpad=18 if names else None)
        ax.set_aspect("equal")
        bar = figure_of(ax).colorbar(mesh, ax=ax, label="Correlation")
        right = [f"{luminosity_fb:g} fb$^{{-1}}$"] if luminosity_fb is not None else []
        right += [f"({sqrt_s_tev:g} TeV)"] if sqrt_s_tev is not None else []
        if attribution or right:
            header(ax, attribution, " ".join(right))
    return CorrelationArtists(figure_of(ax), ax, mesh, bar)


def _name_groups(ax: Axes, ends: Sequence[int], names: Sequence[str]) -> None:
    """Write the names of groups of bins beside both axes, beyond the numbers of the bins."""
    if not names:
        return
    texts = [label(name) for name in names]
    step = axes_size(ax)[0] / ends[-1]
    narrowest = min(
        step * (stop - start) / max(width(text, 10.0), 1.0)
        for text, (start, stop) in zip(texts, pairwise(ends), strict=True)
    )
    size = min(10.0, max(8.0, 9.0 * narrowest))
    for text, (start, stop) in zip(texts, pairwise(ends), strict=True):
        centre = (start + stop) / 2 + 0.5
        ax.annotate(
            text, (centre, 0), xycoords=("data", "axes fraction"), xytext=(0, -22), textcoords="offset points",
            ha="center", va="top", fontsize=size,
        )  # fmt: skip
        ax.annotate(
            text, (0, centre), xycoords=("axes fraction", "data"), xytext=(-30, 0), textcoords="offset points",
            ha="right", va="center", fontsize=size, rotation=90,
        )  # fmt: skip


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
