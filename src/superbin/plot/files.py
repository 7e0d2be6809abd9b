"""Figures as files: every figure of a result, and saving so that the same figure gives the same bytes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from matplotlib.figure import Figure

from superbin._support.files import write_bytes
from superbin.errors import UnknownNameError
from superbin.plot.counts import count_distribution
from superbin.plot.drawn import Drawn
from superbin.plot.exclusion import brazil_plot, exclusion_plot, limits_compared
from superbin.plot.maps import scan_maps
from superbin.plot.projections import projection
from superbin.plot.scatter import significance_scatter
from superbin.plot.style import style
from superbin.results import AnalysisResult
from superbin.results.scan import ScanResult
from superbin.results.wording import COUNT_EXPECTED, COUNT_OBSERVED, attribution, projection_stems, scan_stems

__all__ = ["Format", "figures", "save", "scan_figures"]

Format: TypeAlias = Literal["pdf", "png", "svg"]
"""What figures are saved as."""

_METADATA: dict[str, dict[str, str | None]] = {
    # No dates and no versions: a figure is the same file wherever and whenever it is drawn.
    "pdf": {"Creator": "superbin", "Producer": None, "CreationDate": None},
    "png": {"Software": None},
    "svg": {"Creator": "superbin", "Date": None},
}


def figures(result: AnalysisResult) -> Mapping[str, Figure]:
    """Every figure of a result, each drawn when it is asked for.

    Parameters
    ----------
    result : AnalysisResult

    Returns
    -------
    mapping
        Figures by file name without suffix: one ``projection-...`` per observable, ``count-expected`` and
        ``count-observed``. Asked twice for a name it draws twice.
    """
    search = result.search
    common: Any = {
        "signal_label": result.signal.label,
        "luminosity_fb": search.luminosity_fb,
        "sqrt_s_tev": search.sqrt_s_tev,
        "attribution": attribution(search.reference),
    }
    counts = partial(count_distribution, result.distribution, **common)
    draw: dict[str, Callable[[], Figure]] = {
        stem: partial(_figure, projection, item, **common)
        for stem, item in zip(projection_stems(result.projections), result.projections, strict=True)
    }
    draw[COUNT_EXPECTED] = partial(_figure, counts, result.expected)
    draw[COUNT_OBSERVED] = partial(_figure, counts, result.observed, observed=True)
    return Drawn(draw)


def _figure(draw: Callable[..., Any], *arguments: Any, **options: Any) -> Figure:
    drawn: Figure = draw(*arguments, **options).figure
    return drawn


def scan_figures(result: ScanResult) -> Mapping[str, Figure]:
    """Every figure of a scan, each drawn when it is asked for.

    Parameters
    ----------
    result : ScanResult

    Returns
    -------
    mapping
        Figures by file name without suffix. Over two masses: the maps of `scan_maps`, ``exclusion``, and with limits of the full
        likelihood ``exclusion-likelihood`` and ``exclusion-compared``. Along a line of masses: ``limits`` and
        ``limits-likelihood``. Always ``significance-scatter``. Empty where no point is finished.
    """
    draw: dict[str, Callable[[], Figure]] = {
        "exclusion": partial(_figure, exclusion_plot, result),
        "exclusion-likelihood": partial(_figure, exclusion_plot, result, kind="likelihood"),
        "exclusion-compared": partial(_figure, limits_compared, result),
        "limits": partial(_figure, brazil_plot, result),
        "limits-likelihood": partial(_figure, brazil_plot, result, kind="likelihood"),
        "significance-scatter": partial(_figure, significance_scatter, result),
    }
    maps = scan_maps(result)
    return Drawn({stem: draw.get(stem) or partial(maps.__getitem__, stem) for stem in scan_stems(result)})


def save(figure: Figure, path: str | Path, *, formats: Sequence[Format] = ("pdf", "png")) -> tuple[Path, ...]:
    """Write a figure; each file appears complete or not at all.

    Parameters
    ----------
    figure : Figure
    path : str or Path
        Where, without suffix. A path that ends in ``.pdf``, ``.png`` or ``.svg`` names one file, and `formats`
        is not used.
    formats : sequence of {"pdf", "png", "svg"}
        What to write.

    Returns
    -------
    tuple of Path
        The files written. Their bytes depend on the figure and on the versions of Matplotlib and its fonts,
        not on the time.

    Raises
    ------
    InputError
        If a format is unknown.
    OutputError
        If a file cannot be written.
    """
    path = Path(path)
    for known in get_args(Format):
        if path.suffix == f".{known}":
            formats, path = (known,), path.with_suffix("")
            break
    unknown = [name for name in formats if name not in _METADATA]
    if unknown:
        raise UnknownNameError(f"figure format {unknown[0]!r} is unknown; use one of {', '.join(_METADATA)}")
    written = []
    for name in formats:
        stream = BytesIO()
        with style(), _glyphs_alone():
            figure.savefig(stream, format=name, metadata=_METADATA[name])
        # Not with_suffix: a dot in the stem would be taken for one.
        target = path.with_name(f"{path.name}.{name}")
        write_bytes(target, stream.getvalue())
        written.append(target)
    return tuple(written)


_LAYOUT = ("GDEF", "GPOS", "GSUB", "kern")
"""Tables of a font for the layout of text, which no PDF needs; reading and reducing them takes most of the time of saving."""


@contextmanager
def _glyphs_alone() -> Iterator[None]:
    """Embed fonts without their tables for the layout of text."""
    from fontTools import subset

    whole = subset.load_font

    def without_layout(*arguments: Any, **options: Any) -> Any:
        font = whole(*arguments, **options)
        for table in _LAYOUT:
            if table in font:
                del font[table]
        return font

    subset.load_font = without_layout
    try:
        yield
    finally:
        subset.load_font = whole
