"""Figures: results in, Matplotlib artists out. Nothing physical is computed here and nothing saved unasked.

* `projection`: an observable around the aggregate bin, with stacked backgrounds, signal, data and ratio.
* `count_distribution`: probability of the count in the aggregate bin, a p-value shaded.
* `merge_front`, `bin_map`, `loss_curve`, `stability_bars`: merges side by side, what few merges lose for many signals, and how often
  bins are chosen when the numbers fluctuate.
* `scan_maps`, `scan_map`: significances and limits of a scan over the plane of its masses.
* `exclusion_plot`, `brazil_plot`, `limits_compared`: what a scan excludes, over two masses or along one.
* `significance_scatter`: observed against expected significance over a scan.
* `largest_significance`: how it is distributed under background alone, behind a global p-value.
* `correlation_matrix`: of the bins' predictions, with named groups of bins.
* `validation_figures`, `validation_pdf`: ratios to independent numbers, and the report of a validation.
* `figures`, `scan_figures`: all figures of a result, by file name.
* `save`: a figure as PDF and PNG, complete or not at all, the same bytes every time.

Functions take ``ax`` or ``axes`` to draw on an existing figure and return what they drew. Importing this
package imports Matplotlib; drawing imports mplhep. The look is that of mplhep's CMS style, and Matplotlib's own
settings stay as they were. Specified in ``specs/figures.md``.
"""

from superbin.plot.correlation import CorrelationArtists, correlation_matrix
from superbin.plot.counts import CountArtists, count_distribution
from superbin.plot.exclusion import BrazilArtists, LimitKind, brazil_plot, exclusion_plot, limits_compared
from superbin.plot.files import Format, figures, save, scan_figures
from superbin.plot.maps import (
    MapArtists,
    MapContour,
    MapValue,
    PublishedContour,
    scan_map,
    scan_maps,
)
from superbin.plot.maxima import MaximumArtists, largest_significance
from superbin.plot.merges import (
    BinMapArtists,
    FrontArtists,
    LossArtists,
    StabilityArtists,
    bin_map,
    loss_curve,
    merge_front,
    stability_bars,
)
from superbin.plot.projections import ProjectionArtists, projection
from superbin.plot.scatter import ScatterArtists, significance_scatter
from superbin.plot.validation import validation_figures, validation_pdf

__all__ = [
    "BinMapArtists",
    "BrazilArtists",
    "CorrelationArtists",
    "CountArtists",
    "Format",
    "FrontArtists",
    "LimitKind",
    "LossArtists",
    "MapArtists",
    "MapContour",
    "MapValue",
    "MaximumArtists",
    "ProjectionArtists",
    "PublishedContour",
    "ScatterArtists",
    "StabilityArtists",
    "bin_map",
    "brazil_plot",
    "correlation_matrix",
    "count_distribution",
    "exclusion_plot",
    "figures",
    "largest_significance",
    "limits_compared",
    "loss_curve",
    "merge_front",
    "projection",
    "save",
    "scan_figures",
    "scan_map",
    "scan_maps",
    "significance_scatter",
    "stability_bars",
    "validation_figures",
    "validation_pdf",
]
