"""Between which points of a plane something may be interpolated: `triangles_between` (``specs/figures.md``, FIG-22)."""

from typing import Any

import numpy as np
from matplotlib.tri import TriAnalyzer, Triangulation

from superbin._support.arrays import FloatArray

__all__ = ["triangles_between"]

_FEWEST = 6
"""Points below which nothing is known between them: who is whose neighbour takes more than a triangle to tell."""

_GAP = 2.5
"""An edge longer than this many times the distance of neighbours, the geometric mean of its two ends', is a gap."""

_FLAT = 0.02
"""Ratio of the inner to the outer circle below which a triangle at the border is a sliver between points of one line."""


def triangles_between(
    x: FloatArray, y: FloatArray, holes: tuple[FloatArray, FloatArray]
) -> Triangulation | None:
    """Triangles between points, without those that span a gap, hold a hole or are slivers; None where there are none."""
    if x.size < _FEWEST:
        return None
    try:
        made = Triangulation(x, y)
    except (RuntimeError, ValueError):  # all on one line
        return None
    spacing = _spacing(x, y)
    a, b, c = made.triangles.T
    edges = [
        np.hypot(x[i] - x[j], y[i] - y[j]) / np.sqrt(spacing[i] * spacing[j])
        for i, j in ((a, b), (b, c), (c, a))
    ]
    mask = np.max(edges, axis=0) > _GAP
    find: Any = made.get_trifinder()
    # A hole on an edge belongs to the triangles on both sides.
    step = 1e-3 * float(np.median(spacing))
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        inside = find(holes[0] + step * dx, holes[1] + step * dy)
        mask[inside[inside >= 0]] = True
    made.set_mask(mask)
    mask = TriAnalyzer(made).get_flat_tri_mask(_FLAT)
    made.set_mask(mask)
    return None if mask.all() else made


def _spacing(x: FloatArray, y: FloatArray) -> FloatArray:
    """How far apart neighbours are around each point: its distance to the fourth nearest."""
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    return np.asarray(np.sort(distance, axis=1)[:, 4], dtype=np.float64)
