"""Figures as files: every figure of a result, and saving so that the same figure gives the same bytes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from superbin._support.files import write_bytes
from superbin.errors import InputError
from superbin.plot.counts import CountArtists, count_distribution
from superbin.plot.projections import ProjectionArtists, projection
from superbin.plot.style import style
from superbin.results import AnalysisResult
from superbin.results.wording import COUNT_EXPECTED, COUNT_OBSERVED, attribution, projection_stems

__all__ = ["figures", "save"]

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
    draw: dict[str, Callable[[], ProjectionArtists | CountArtists]] = {
        stem: partial(projection, item, **common)
        for stem, item in zip(projection_stems(result.projections), result.projections, strict=True)
    }
    draw[COUNT_EXPECTED] = partial(counts, result.expected)
    draw[COUNT_OBSERVED] = partial(counts, result.observed, observed=True)
    return _Drawn(draw)


class _Drawn(Mapping[str, Figure]):
    # Drawing one figure at a time holds one in memory, and saving it at once finds its formulas laid out already.
    def __init__(self, draw: Mapping[str, Callable[[], ProjectionArtists | CountArtists]]) -> None:
        self._draw = draw

    def __getitem__(self, name: str) -> Figure:
        return self._draw[name]().figure

    def __iter__(self) -> Iterator[str]:
        return iter(self._draw)

    def __len__(self) -> int:
        return len(self._draw)


def save(figure: Figure, path: str | Path, *, formats: Sequence[str] = ("pdf", "png")) -> tuple[Path, ...]:
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
    if path.suffix.lstrip(".") in _METADATA:
        formats, path = (path.suffix.lstrip("."),), path.with_suffix("")
    unknown = [name for name in formats if name not in _METADATA]
    if unknown:
        raise InputError(f"figure format {unknown[0]!r} is unknown; use one of {', '.join(_METADATA)}")
    written = []
    for name in formats:
        stream = BytesIO()
        with style():
            figure.savefig(stream, format=name, metadata=_METADATA[name])
        # Not with_suffix: a dot in the stem would be taken for one.
        target = path.with_name(f"{path.name}.{name}")
        write_bytes(target, stream.getvalue())
        written.append(target)
    return tuple(written)
