"""Figures: results in, Matplotlib artists out. Nothing physical is computed here and nothing saved unasked.

* `projection`: an observable around the aggregate bin, with stacked backgrounds, signal, data and ratio.
* `count_distribution`: probability of the count in the aggregate bin, a p-value shaded.
* `merge_front`, `bin_map`, `loss_curve`: merges side by side, and what few merges lose for many signals.
* `scan_maps`, `scan_map`: significances and limits of a scan over the plane of its masses.
* `largest_significance`: how it is distributed under background alone, behind a global p-value.
* `figures`: all figures of a result, by file name.
* `save`: a figure as PDF and PNG, complete or not at all, the same bytes every time.

Functions take ``ax`` or ``axes`` to draw on an existing figure and return what they drew. Importing this
package imports Matplotlib; drawing imports mplhep. The look is that of mplhep's CMS style, and Matplotlib's own
settings stay as they were. Specified in ``specs/figures.md``.
"""

from superbin.plot.counts import CountArtists, count_distribution
from superbin.plot.files import figures, save
from superbin.plot.maps import (
    MapArtists,
    MapContour,
    MapValue,
    PublishedContour,
    scan_map,
    scan_maps,
)
from superbin.plot.maxima import MaximumArtists, largest_significance
from superbin.plot.merges import BinMapArtists, FrontArtists, LossArtists, bin_map, loss_curve, merge_front
from superbin.plot.projections import ProjectionArtists, projection

__all__ = [
    "BinMapArtists",
    "CountArtists",
    "FrontArtists",
    "LossArtists",
    "MapArtists",
    "MapContour",
    "MapValue",
    "MaximumArtists",
    "ProjectionArtists",
    "PublishedContour",
    "bin_map",
    "count_distribution",
    "figures",
    "largest_significance",
    "loss_curve",
    "merge_front",
    "projection",
    "save",
    "scan_map",
    "scan_maps",
]
