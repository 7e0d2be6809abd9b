"""Signals in the bins of a search, from the forms in which people have them.

- `signal_from_arrays`: yields and errors as arrays.
- `signal_from_histogram`: a `hist`, boost-histogram or uproot histogram, anything with UHI's ``values()`` and ``variances()``.
- `signals_from_root`: histograms of a ROOT file, thousands of them if their names say the masses.
- `signals_from_table`: a CSV or Parquet table with a row per bin.
- `signals_from_efficiencies`: efficiency maps with cross sections.
- `signal_from_tree`: events of a TTree, counted in the bins.

All give `superbin.domain.signal.SignalModel`, with systematic variations where there are some. Specified in ``specs/rootimports.md``.
"""

import contextlib
import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superbin._support.arrays import FloatArray, frozen_array
from superbin._support.files import MAX_BYTES, check_regular
from superbin._support.shown import counted
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel, point_label
from superbin.errors import DocumentError, InputError, MissingDependencyError, UnknownNameError
from superbin.io._text import parse_number, read_text
from superbin.io.expressions import Expression
from superbin.io.root import Histogram, opened

__all__ = [
    "histogram_signals",
    "named_point",
    "parameter_names",
    "signal_from_arrays",
    "signal_from_histogram",
    "signal_from_tree",
    "signals_from_efficiencies",
    "signals_from_root",
    "signals_from_table",
]

Variations = Mapping[str, tuple[ArrayLike, ArrayLike]]
_PB_TO_FB = 1000.0
_MASSES = ("m_mother", "m_lsp")
_CHUNK = 500_000
"""Events of a tree in memory at once."""
_MOST_CELLS = 4_000_000
"""Of the table by which an event's bin is looked up; above, bins are tried one by one."""

_LARGEST_TABLE = 4_000_000
"""Cells of a Parquet table."""
_LONGEST_NAME = 1000
"""Bytes of a name of a bin in a Parquet table, which packs a text that comes often once."""


# --- arrays, histograms, efficiencies -------------------------------------------------------------------------


def signal_from_arrays(
    search: Search,
    yields: ArrayLike,
    errors: ArrayLike | None = None,
    *,
    model: str,
    parameters: Mapping[str, float] | None = None,
    variations: Variations | None = None,
    relative_error: float = 0.0,
    scale: float = 1.0,
    cross_section_pb: float | None = None,
    source: str = "arrays",
) -> SignalModel:
    """Make a signal from arrays in the order of the search's bins.

    Parameters
    ----------
    search : Search
    yields : array_like, shape (n_bins,)
        Expected events, >= 0.
    errors : array_like, shape (n_bins,), optional
        Monte Carlo standard errors, events; by default none.
    model : str
        Name of the model.
    parameters : mapping of str to float, optional
        Its parameters, masses in GeV.
    variations : mapping of str to (array_like, array_like), optional
        Yields with a systematic source one standard deviation up, and down.
    relative_error : float
        An uncertainty common to all bins, as a fraction of the yields.
    scale : float
        Multiplies yields, errors and variations; > 0.
    cross_section_pb : float, optional
        The cross section of the scaled yields, in pb.
    source : str
        Where they come from.

    Raises
    ------
    InputError
        If an array has not one entry per bin of the search, or a number is outside its domain.

    Examples
    --------
    >>> search = Search.from_arrays("mine", observed=[12, 3], background=[10.2, 4.1], luminosity_fb=139)
    >>> signal_from_arrays(search, [1.5, 3.0], [0.1, 0.2], model="Z'", parameters={"mass": 1200}).label
    "Z'(1200)"
    """
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"the scale of signal {model!r} is {scale}; it must be finite and > 0")
    shape = (search.n_bins,)
    values = frozen_array(yields, name=f"yields of signal {model!r}", shape=shape)
    spread = frozen_array(
        np.zeros(shape) if errors is None else errors, name=f"errors of signal {model!r}", shape=shape
    )
    return SignalModel(
        model,
        parameters or {},
        search.name,
        values * scale,
        spread * scale,
        source,
        cross_section_pb,
        {
            name: (np.asarray(up, dtype=float) * scale, np.asarray(down, dtype=float) * scale)
            for name, (up, down) in (variations or {}).items()
        },
        relative_error,
    )


def signal_from_histogram(
    search: Search,
    histogram: Any,
    *,
    model: str,
    errors: ArrayLike | None = None,
    variations: Mapping[str, tuple[Any, Any]] | None = None,
    **options: Any,
) -> SignalModel:
    """Make a signal from a histogram that follows the UHI protocol: `hist`, boost-histogram, uproot.

    Bins of several dimensions are taken with the last axis running fastest; under- and overflow are left out. Where the search
    has one observable and the histogram one axis, their edges must agree.

    Parameters
    ----------
    search : Search
    histogram : object
        Has ``values()`` and ``variances()``.
    model : str
    errors : array_like, optional
        Standard errors, needed where ``variances()`` gives none (weighted fills of a storage without weights).
    variations : mapping of str to (object, object), optional
        Histograms up and down by systematic source.
    **options
        As for `signal_from_arrays`: parameters, relative_error, scale, cross_section_pb, source.

    Raises
    ------
    InputError
        If it is no such histogram, has other bins than the search, or no variances and no errors are given.
    """
    values = _uhi(search, histogram, model)
    if errors is None:
        variances = histogram.variances()
        if variances is None:
            raise InputError(
                f"the histogram of signal {model!r} was filled with weights and has no variances; fill one with "
                "storage=hist.storage.Weight(), or give errors="
            )
        errors = np.sqrt(frozen_array(np.ravel(variances), name=f"variances of signal {model!r}"))
    return signal_from_arrays(
        search,
        values,
        np.ravel(np.asarray(errors)),
        model=model,
        variations={
            name: (_uhi(search, up, f"{model} {name} up"), _uhi(search, down, f"{model} {name} down"))
            for name, (up, down) in (variations or {}).items()
        },
        **({"source": f"a {type(histogram).__name__} object"} | options),
    )


def _uhi(search: Search, histogram: Any, name: str) -> FloatArray:
    try:
        values = np.asarray(histogram.values(), dtype=np.float64)
        edges = [
            np.asarray(axis.edges, dtype=float) if not callable(axis.edges) else axis.edges()
            for axis in histogram.axes
        ]
    except AttributeError as error:
        raise InputError(
            f"signal {name!r} is a {type(histogram).__name__} without values() and axes; give a UHI histogram, such as hist.Hist"
        ) from error
    except (TypeError, ValueError):
        edges = []  # Axes of categories have no edges as numbers.
    _check_edges(search, edges, f"the histogram of signal {name!r}")
    return _listed(search, values, f"the histogram of signal {name!r}")


def _listed(search: Search, values: FloatArray, name: str) -> FloatArray:
    if values.size != search.n_bins:
        raise InputError(
            f"{name} has {counted(values.size, 'bin')}; search {search.name!r} has {search.n_bins}, and bins must be the same"
        )
    return values.ravel()


def _check_edges(search: Search, edges: Sequence[FloatArray], name: str) -> None:
    """Where both are ranges of one continuous observable, they must be the same ranges."""
    if len(edges) != 1 or len(search.observables) != 1 or search.observables[0].discrete:
        return
    steps = np.asarray(edges[0], dtype=float)
    if steps.size != search.n_bins + 1:
        return
    if np.array_equal(steps, np.arange(search.n_bins + 1)):
        return  # An axis of the bins' indices.
    high = np.where(np.isinf(search.high[:, 0]), steps[1:], search.high[:, 0])
    bad = ~(np.isclose(steps[:-1], search.low[:, 0], rtol=1e-6) & np.isclose(steps[1:], high, rtol=1e-6))
    if bad.any():
        i = int(np.argmax(bad))
        raise InputError(
            f"{name} has bin {i + 1} from {steps[i]:g} to {steps[i + 1]:g}; search {search.name!r} has it from "
            f"{search.low[i, 0]:g} to {search.high[i, 0]:g} {search.observables[0].unit}".rstrip()
        )


def signals_from_efficiencies(
    search: Search,
    points: Sequence[Sequence[float]],
    efficiencies: ArrayLike,
    cross_sections_pb: ArrayLike,
    *,
    model: str,
    parameters: Sequence[str] = _MASSES,
    errors: ArrayLike | None = None,
    relative_error: float = 0.0,
    source: str = "efficiency map",
) -> tuple[SignalModel, ...]:
    """Make signals from an efficiency map: events = efficiency x cross section x luminosity.

    Parameters
    ----------
    search : Search
    points : sequence of sequence of float, shape (n_points, n_parameters)
        Masses in GeV.
    efficiencies : array_like, shape (n_points, n_bins)
        Fractions of the produced events, from 0 to 1.
    cross_sections_pb : array_like, shape (n_points,) or number
        In pb.
    model : str
    parameters : sequence of str
        Names of the masses.
    errors : array_like, shape (n_points, n_bins), optional
        Monte Carlo standard errors of the efficiencies.
    relative_error : float
        Of all yields, as a fraction.
    source : str

    Raises
    ------
    InputError
        If shapes differ or an efficiency is no fraction.
    """
    rows = np.asarray(efficiencies, dtype=np.float64)
    shape = (len(points), search.n_bins)
    if rows.shape != shape:
        raise InputError(f"the efficiencies have shape {rows.shape}; {shape} is needed, points by bins")
    if (rows > 1).any():
        i, j = (int(k) for k in np.argwhere(rows > 1)[0])
        raise InputError(
            f"the efficiency of {point_label(model, points[i])} in bin {j + 1} is {rows[i, j]:g}; it is a fraction, at most 1"
        )
    spread = np.zeros(shape) if errors is None else np.asarray(errors, dtype=np.float64)
    if spread.shape != shape:
        raise InputError(f"the errors have shape {spread.shape}; {shape} is needed, points by bins")
    sigmas = np.broadcast_to(np.asarray(cross_sections_pb, dtype=np.float64), (len(points),))
    return tuple(
        signal_from_arrays(
            search,
            rows[i],
            spread[i],
            model=model,
            parameters=_parameters(model, parameters, point),
            relative_error=relative_error,
            scale=float(sigmas[i]) * _PB_TO_FB * search.luminosity_fb,
            cross_section_pb=float(sigmas[i]),
            source=source,
        )
        for i, point in enumerate(points)
    )


def _parameters(model: str, names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    if len(names) != len(values):
        raise InputError(
            f"{point_label(model, values)} has {counted(len(values), 'parameter')}; {', '.join(names)} names {len(names)}"
        )
    return dict(zip(names, map(float, values), strict=True))


def parameter_names(count: int) -> tuple[str, ...]:
    """Names of the parameters of a point that is known by its numbers alone: two are masses of mother and LSP."""
    return _MASSES if count == 2 else tuple(f"p{i + 1}" for i in range(count))


_NUMBER = r"\d+(?:[.p]\d+)?"
_POINT = re.compile(
    rf"(?P<model>.*?[^\W\d_].*?)[\s_(:=-]+(?P<point>{_NUMBER}(?:[\s_,;x-]+{_NUMBER})*)\s*(?:GeV)?\s*\)?\s*(?:GeV)?"
)


_LONGEST_POINT = 300
"""Characters of a name in which a point is looked for."""


def named_point(text: str) -> tuple[str, dict[str, float]]:
    """The model and parameters that a name says: ``T1bbbb(1500, 100)``, ``T1bbbb_1500_100``, ``gluino 1800 GeV``.

    Examples
    --------
    >>> named_point("T1bbbb_1500_100")
    ('T1bbbb', {'m_mother': 1500.0, 'm_lsp': 100.0})
    >>> named_point("signal")
    ('signal', {})
    """
    match = _POINT.fullmatch(text.strip()) if len(text) <= _LONGEST_POINT else None
    if match is None:
        return text.strip(), {}
    values = [parse_number(number.replace("p", ".")) for number in re.findall(_NUMBER, match["point"])]
    return match["model"].strip(" _-:"), dict(zip(parameter_names(len(values)), values, strict=True))


# --- ROOT histograms ------------------------------------------------------------------------------------------


def signals_from_root(
    path: str | Path,
    search: Search,
    *,
    pattern: str,
    model: str | None = None,
    parameters: Sequence[str] | None = None,
    scale: float = 1.0,
) -> tuple[SignalModel, ...]:
    r"""Read the signals of a ROOT file whose histograms are named by their point.

    Parameters
    ----------
    path : path
    search : Search
        In whose bins the histograms are; two and three dimensions are taken with the last axis running fastest.
    pattern : str
        Regular expression of the histograms' names; its groups are the parameters, such as ``T1bbbb_(\d+)_(\d+)``. A ``p`` in
        a number is a decimal point. ``NAME_SOURCEUp`` and ``...Down`` are systematic variations of NAME.
    model : str, optional
        Name of the model; by default what precedes the first group.
    parameters : sequence of str, optional
        Names of the groups; by default m_mother and m_lsp for two, else p1, p2 and so on.
    scale : float
        Multiplies all yields.

    Raises
    ------
    InputError
        If no histogram matches, a pair of variations lacks a side, or a histogram has other bins than the search.
    DocumentError
        If the file cannot be read.
    """
    expression = _compiled(pattern)
    with opened(path) as root:
        found = {h.name: h for h in root.histograms(lambda name: _owner(expression, name) is not None)}
        there = root.names("TH1", "TH2", "TH3")
    if not found:
        raise InputError(
            f"{path}: no histogram's name matches {pattern!r}; there are {', '.join(there[:10]) or 'none'}"
        )
    return histogram_signals(
        found,
        search,
        pattern=pattern,
        model=model,
        parameters=parameters,
        scale=scale,
        source=Path(path).name,
    )


def histogram_signals(
    found: Mapping[str, Histogram],
    search: Search,
    *,
    pattern: str,
    model: str | None = None,
    parameters: Sequence[str] | None = None,
    scale: float = 1.0,
    source: str = "histograms",
) -> tuple[SignalModel, ...]:
    """Make signals from histograms by name; see `signals_from_root`."""
    expression = _compiled(pattern)
    sides: dict[str, dict[str, dict[str, Histogram]]] = {}
    nominal: dict[str, Histogram] = {}
    for name, histogram in found.items():
        owner = _owner(expression, name)
        if owner == name:
            nominal[name] = histogram
        elif owner is not None:
            match = _VARIED.fullmatch(name[len(owner) :])
            assert match is not None
            sides.setdefault(owner, {}).setdefault(match["source"], {})[match["side"].lower()] = histogram
    signals = []
    for name, histogram in nominal.items():
        match = expression.fullmatch(name)
        assert match is not None
        values = _groups(match, name)
        names = tuple(parameters or parameter_names(len(values)))
        start = name[: match.start(1)] if match.re.groups else name
        label = model or start.rpartition("/")[2].rstrip("_-") or "signal"
        _check_edges(search, histogram.edges, f"histogram {name!r}")
        signals.append(
            signal_from_arrays(
                search,
                _listed(search, histogram.values, f"histogram {name!r}"),
                histogram.errors.ravel(),
                model=label,
                parameters=_parameters(label, names, values),
                variations=_sides(name, sides.get(name, {}), search),
                scale=scale,
                source=f"histogram {name} of {source}",
            )
        )
    missing = [name for name in sides if name not in nominal]
    if missing:
        raise InputError(f"{source}: {missing[0]} has systematic variations and no nominal histogram")
    return tuple(signals)


_VARIED = re.compile(r"_(?P<source>\w+?)_?(?P<side>Up|Down|UP|DOWN|up|down)")


def _owner(expression: re.Pattern[str], name: str) -> str | None:
    """The nominal histogram that a name belongs to: itself, or that which it varies."""
    match = expression.match(name)
    if match is not None and _VARIED.fullmatch(name[match.end() :]):
        return name[: match.end()]
    return name if expression.fullmatch(name) else None


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InputError(f"{pattern!r} is not a regular expression ({error})") from None


def _groups(match: re.Match[str], name: str) -> list[float]:
    values = []
    for text in match.groups():
        try:
            values.append(parse_number((text or "").replace("p", ".")))
        except InputError as error:
            raise InputError(f"a parameter in the name of histogram {name!r}: {error}") from None
    return values


def _sides(
    name: str, sides: Mapping[str, Mapping[str, Histogram]], search: Search
) -> dict[str, tuple[FloatArray, FloatArray]]:
    variations = {}
    for source, pair in sides.items():
        if len(pair) != 2:
            raise InputError(
                f"histogram {name!r} is varied by {source} {next(iter(pair))} only; both sides are needed"
            )
        up, down = (
            _listed(search, pair[side].values, f"histogram {pair[side].name!r}") for side in ("up", "down")
        )
        variations[source] = up, down
    return variations


# --- tables ---------------------------------------------------------------------------------------------------


def signals_from_table(
    path: str | Path,
    search: Search,
    *,
    model: str,
    parameters: Sequence[str] = (),
    scale: float = 1.0,
) -> tuple[SignalModel, ...]:
    """Read signals from a CSV or Parquet table with a row per bin.

    Columns: ``bin`` (the number from 1, or the name), ``yield``, and where there are some ``error``, ``NAME_up`` and ``NAME_down``
    (yields with a systematic source up and down), and one column for each of `parameters`. Bins without a row are zero;
    other columns are refused.

    Parameters
    ----------
    path : path
        Ends in ``.csv``, ``.csv.gz`` or ``.parquet``; Parquet takes the extra ``superbin[parquet]``.
    search : Search
    model : str
    parameters : sequence of str
        Columns that are the model's parameters; by default none, and the table is one signal.
    scale : float
        Multiplies all yields.

    Raises
    ------
    MissingDependencyError
        If the table is Parquet and pyarrow is not installed.
    DocumentError
        If it breaks its format; the text names the row.
    """
    path = Path(path)
    columns = _parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _csv(path)
    sources = _table_sources(path, list(columns), parameters)
    numbers = {name: _numbers(path, name, values) for name, values in columns.items() if name != "bin"}
    bins = [_bin(path, i, value, search) for i, value in enumerate(columns["bin"])]
    rows: dict[tuple[float, ...], dict[int, int]] = {}
    for i, place in enumerate(bins):
        point = tuple(float(numbers[name][i]) for name in parameters)
        if place in rows.setdefault(point, {}):
            raise DocumentError(
                f"{path}: row {i + 1}: {search.bin_name(place + 1)} of {point_label(model, point)} comes twice; remove one row"
            )
        rows[point][place] = i

    def listed(name: str, where: Mapping[int, int]) -> FloatArray:
        values = np.zeros(search.n_bins)
        if name in numbers:
            values[list(where)] = numbers[name][list(where.values())]
        return values

    try:
        return tuple(
            signal_from_arrays(
                search,
                listed("yield", where),
                listed("error", where),
                model=model,
                parameters=dict(zip(parameters, point, strict=True)),
                variations={
                    source: (listed(f"{source}_up", where), listed(f"{source}_down", where))
                    for source in sources
                },
                scale=scale,
                source=f"table {path.name}",
            )
            for point, where in rows.items()
        )
    except InputError as error:
        raise DocumentError(f"{path}: {error}") from error


def _table_sources(path: Path, columns: Sequence[str], parameters: Sequence[str]) -> list[str]:
    needed = ("bin", "yield", *parameters)
    missing = [name for name in needed if name not in columns]
    if missing:
        raise DocumentError(f"{path}: no column {missing[0]!r}; there are {', '.join(columns)}")
    rest = [name for name in columns if name not in (*needed, "error")]
    sources = []
    for name in rest:
        stem, _, side = name.rpartition("_")
        if side not in ("up", "down") or not stem:
            raise DocumentError(
                f"{path}: unknown column {name!r}; a table has bin, yield, error, NAME_up, NAME_down, and the parameters"
            )
        if f"{stem}_{'down' if side == 'up' else 'up'}" not in rest:
            raise DocumentError(
                f"{path}: column {name!r} lacks its other side; give both {stem}_up and {stem}_down"
            )
        if side == "up":
            sources.append(stem)
    return sources


def _csv(path: Path) -> dict[str, list[Any]]:
    lines = [line for line in read_text(path).splitlines() if line.strip() and not line.startswith("#")]
    try:
        table = list(csv.reader(io.StringIO("\n".join(lines)), skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise DocumentError(f"{path}: is not a CSV table ({error})") from error
    if len(table) < 2:
        raise DocumentError(
            f"{path}: the table has no rows; its first line names the columns, bin and yield among them"
        )
    names = [name.strip() for name in table[0]]
    if len(set(names)) != len(names):
        raise DocumentError(f"{path}: two columns have the same name; the columns are {', '.join(names)}")
    for i, row in enumerate(table[1:], start=1):
        if len(row) != len(names):
            raise DocumentError(
                f"{path}: row {i}: {counted(len(row), 'cell')} for {counted(len(names), 'column')}"
            )
    return {name: [row[j].strip() for row in table[1:]] for j, name in enumerate(names)}


def _parquet(path: Path) -> dict[str, list[Any]]:
    try:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingDependencyError(
            f"{path}: Parquet is read by pyarrow, which is not installed; pip install 'superbin[parquet]'"
        ) from error
    with contextlib.suppress(OSError):
        check_regular(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; name an existing Parquet file")
    try:
        texts = _texts_of(path, pq.read_schema(path), pa.types)
        # Texts stay as the file packs them: each once, with its number in every row.
        file = pq.ParquetFile(path, read_dictionary=texts)
        size = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
        cells = file.metadata.num_rows * file.metadata.num_columns
        if size > MAX_BYTES or cells > _LARGEST_TABLE:
            raise DocumentError(
                f"{path}: {cells} cells of {size >> 20} MiB; no table of a signal is that large"
            )
        table = file.read()
        for name in texts:
            lengths = (pc.max(pc.binary_length(c.dictionary)).as_py() or 0 for c in table.column(name).chunks)
            if (longest := max(lengths, default=0)) > _LONGEST_NAME:
                raise DocumentError(
                    f"{path}: column {name!r} has a text of {longest} bytes; names of bins have at most {_LONGEST_NAME}"
                )
        return {name: table.column(name).to_pylist() for name in table.column_names}
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error).strip().split("\n")[0][:120]
        raise DocumentError(f"{path}: not a readable Parquet file ({reason})") from error


def _texts_of(path: Path, schema: Any, types: Any) -> list[str]:
    """Columns of texts; columns of lists and of bytes are refused."""
    for column in schema:
        if types.is_nested(column.type) or types.is_binary(column.type) or types.is_large_binary(column.type):
            raise DocumentError(
                f"{path}: column {column.name!r} is of type {str(column.type)[:60]}; a table has numbers and names of bins"
            )
    return [c.name for c in schema if types.is_string(c.type) or types.is_large_string(c.type)]


def _numbers(path: Path, name: str, values: Sequence[Any]) -> FloatArray:
    found = np.empty(len(values))
    for i, value in enumerate(values):
        try:
            found[i] = parse_number(value) if isinstance(value, str) else float(value)
        except (TypeError, ValueError) as error:
            raise DocumentError(f"{path}: row {i + 1}: {name} {error}") from error
        if not math.isfinite(found[i]):
            raise DocumentError(f"{path}: row {i + 1}: {name} is {value}; a finite number is needed")
    return found


def _bin(path: Path, row: int, value: Any, search: Search) -> int:
    text = str(value)
    if text in search.names:
        return search.names.index(text)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if number not in range(1, search.n_bins + 1):
        raise DocumentError(
            f"{path}: row {row + 1}: bin {text!r} does not exist; search {search.name!r} has bins 1 to {search.n_bins}"
            + (f", named {search.names[0]!r} and so on" if search.names else "")
        )
    return int(number) - 1


# --- events of a tree -----------------------------------------------------------------------------------------


def signal_from_tree(
    path: str | Path | Sequence[str | Path],
    tree: str,
    search: Search,
    *,
    branches: Mapping[str, str] | None = None,
    regions: Mapping[str, str] | None = None,
    weight: str | None = None,
    selection: str | None = None,
    scale: float | None = None,
    cross_section_pb: float | None = None,
    generated: float | None = None,
    negative: Literal["refuse", "zero"] = "refuse",
    model: str = "signal",
    parameters: Mapping[str, float] | None = None,
    chunk: int = _CHUNK,
) -> SignalModel:
    """Count the events of a TTree in the bins of a search.

    Events are read in chunks, so that memory does not grow with the tree; weights are summed in double precision, also those stored in another type, negative ones with their sign. Ranges follow the search: continuous ones exclude their lower edge and
    include the upper, discrete ones include both; events in gaps or beyond the edges are in no bin.

    Parameters
    ----------
    path : path or sequence of path
        ROOT files that hold the tree.
    tree : str
        Its name.
    search : Search
    branches : mapping of str to str, optional
        For every observable of the search a branch or an expression, such as ``{"ht": "HT", "met": "MET / 1000"}``; by default
        the branch of the observable's name. Branches must have one number per event.
    regions : mapping of str to str, optional
        For a search of named regions without ranges: the selection of every region, by its name.
    weight : str, optional
        Branch or expression of the weight; by default every event counts 1.
    selection : str, optional
        Condition of the events to take, such as ``"met > 200 and nlep == 0"``; see `superbin.io.expressions`.
    scale : float, optional
        Multiplies the sums of weights; by default 1, or what the cross section says.
    cross_section_pb : float, optional
        Normalises to this cross section and the luminosity of the search: the scale is cross section x 1000 x luminosity /
        `generated`.
    generated : float, optional
        Sum of the weights of all events that were generated; by default that of all events of the tree, before the selection,
        which is right only if the tree holds all.
    negative : {"refuse", "zero"}
        What to do with a bin whose weights sum to less than zero; ``"zero"`` keeps its error.
    model : str
    parameters : mapping of str to float, optional
    chunk : int
        Events in memory at once.

    Returns
    -------
    SignalModel
        Its errors are the root of the sum of squared weights; its `source` says how many events were read, selected and in
        no bin.

    Raises
    ------
    UnknownNameError
        If a file has no such tree, or the tree no such branch.
    InputError
        If an observable or region lacks its branch, an expression is not allowed, or a bin's sum is negative.
    DocumentError
        If a file cannot be read, a branch has several numbers per event, or a weight is NaN or infinite.

    Notes
    -----
    The effective number of events of a bin is `SignalModel.effective_counts`.
    """
    paths = [path] if isinstance(path, str | Path) else list(path)
    if not paths:
        raise InputError("no file is named; name at least one ROOT file")
    if scale is not None and cross_section_pb is not None:
        raise InputError("give either scale or cross_section_pb, not both; the cross section sets the scale")
    if chunk < 1:
        raise InputError(f"chunk is {chunk}; it must be >= 1")
    counter = _Counter(search, _assignment(search, branches, regions), weight, selection)
    for one in paths:
        with opened(one) as root:
            counter.read(root.tree(tree), f"{one}: tree {tree}", chunk)
    factor, how = _scale(counter, search, scale, cross_section_pb, generated)
    sums = counter.sums * factor
    if (sums < 0).any():
        i = int(np.argmax(sums < 0))
        if negative != "zero":
            raise InputError(
                f"the weights in {search.bin_name(i + 1)} sum to {sums[i]:g}, below zero; simulate more events, or take such bins "
                "as zero with negative='zero'"
            )
        how += f"; {counted(int((sums < 0).sum()), 'bin')} of negative sum were set to zero"
        sums = np.maximum(sums, 0.0)
    names = ", ".join(Path(one).name for one in paths[:3]) + (" ..." if len(paths) > 3 else "")
    return SignalModel(
        model,
        parameters or {},
        search.name,
        sums,
        np.sqrt(counter.squares) * factor,
        f"tree {tree} of {names}: {counter.describe()}; {how}",
        cross_section_pb,
    )


def _scale(
    counter: "_Counter",
    search: Search,
    scale: float | None,
    cross_section_pb: float | None,
    generated: float | None,
) -> tuple[float, str]:
    if cross_section_pb is None:
        factor = 1.0 if scale is None else scale
        how = f"scaled by {factor:.6g}"
    else:
        total = counter.all_weights if generated is None else generated
        if not (math.isfinite(total) and total > 0):
            raise InputError(
                f"the sum of weights of the generated events is {total:g}; it must be finite and > 0"
            )
        factor = cross_section_pb * _PB_TO_FB * search.luminosity_fb / total
        what = "all events of the tree" if generated is None else "the generated events"
        how = f"normalised to {cross_section_pb:g} pb and {search.luminosity_fb:g} fb^-1 by the weights of {what}, {total:.6g}"
    if not (math.isfinite(factor) and factor > 0):
        raise InputError(f"the scale is {factor}; it must be finite and > 0")
    return factor, how


Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class _Assignment:
    """The bins of events."""

    names: frozenset[str]
    bins: Callable[[Arrays, int], list[NDArray[np.intp]]]
    """For some events the bin of every one, -1 for none; several arrays where regions overlap."""


def _assignment(
    search: Search, branches: Mapping[str, str] | None, regions: Mapping[str, str] | None
) -> _Assignment:
    if not search.observables:
        return _by_regions(search, branches, regions)
    if regions is not None:
        raise InputError(
            f"the bins of search {search.name!r} are ranges; give branches for its observables, not regions"
        )
    known = [o.name for o in search.observables]
    given = dict.fromkeys(known) if branches is None else dict(branches)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise InputError(
            f"branches name {unknown[0]!r}; the observables of search {search.name!r} are {', '.join(known)}"
        )
    missing = [name for name in known if name not in given]
    if missing:
        raise InputError(
            f"branches lack the observable {missing[0]!r}; give a branch or an expression for it"
        )
    expressions = [Expression.parse(given[name] or name) for name in known]
    find = _finder(search)

    def bins(arrays: Arrays, n_events: int) -> list[NDArray[np.intp]]:
        return find([_per_event(e, arrays, n_events) for e in expressions])

    return _Assignment(frozenset[str]().union(*(e.names for e in expressions)), bins)


def _by_regions(
    search: Search, branches: Mapping[str, str] | None, regions: Mapping[str, str] | None
) -> _Assignment:
    if branches is not None or regions is None:
        raise InputError(
            f"search {search.name!r} has named regions without ranges; give regions, the selection of each by its name"
        )
    names = [search.bin_name(number) for number in search.numbers]
    wrong = [name for name in names if name not in regions] or [name for name in regions if name not in names]
    if wrong:
        raise InputError(
            f"regions must name every region of search {search.name!r} once; {wrong[0]!r} is missing or unknown"
        )
    expressions = [Expression.parse(regions[name]) for name in names]

    def bins(arrays: Arrays, n_events: int) -> list[NDArray[np.intp]]:
        return [
            np.where(_per_event(e, arrays, n_events).astype(bool), i, -1) for i, e in enumerate(expressions)
        ]

    return _Assignment(frozenset[str]().union(*(e.names for e in expressions)), bins)


def _per_event(expression: Expression, arrays: Arrays, n_events: int) -> NDArray[Any]:
    return np.broadcast_to(expression.evaluate(arrays), (n_events,))


def _finder(search: Search) -> Callable[[Sequence[NDArray[Any]]], list[NDArray[np.intp]]]:
    """From values of the observables to bins: by a table of all cells between edges, or bin by bin where that is too large.

    The edges of an observable cut its axis into cells. A continuous range (low, high] is made of cells of the same kind; for a
    discrete one, [low, high], every edge is a cell of its own.
    """
    edges = [
        np.unique(np.concatenate([search.low[:, j], search.high[:, j]]))
        for j in range(len(search.observables))
    ]
    discrete = [o.discrete for o in search.observables]
    sizes = [2 * e.size + 1 if d else e.size + 1 for e, d in zip(edges, discrete, strict=True)]
    if search.combinable is not None or math.prod(sizes) > _MOST_CELLS:
        return lambda values: _tried(search, values)
    table = np.full(sizes, -1, dtype=np.int32)
    for i in range(search.n_bins):
        where = []
        for j, steps in enumerate(edges):
            first, last = np.searchsorted(steps, [search.low[i, j], search.high[i, j]])
            where.append(slice(2 * first + 1, 2 * last + 2) if discrete[j] else slice(first + 1, last + 1))
        table[tuple(where)] = i
    flat = table.ravel()
    strides = [math.prod(sizes[j + 1 :]) for j in range(len(sizes))]

    def find(values: Sequence[NDArray[Any]]) -> list[NDArray[np.intp]]:
        place = np.zeros(values[0].size, dtype=np.intp)
        lost = np.zeros(values[0].size, dtype=bool)
        for value, steps, whole, stride in zip(values, edges, discrete, strides, strict=True):
            cell = np.searchsorted(steps, value)
            if whole:
                cell += np.searchsorted(steps, value, side="right")
            place += cell * stride
            # Searches sort NaN above everything, and so into the last cell, which a bin to infinity does not hold.
            lost |= np.isnan(value)
        found = flat[place].astype(np.intp)
        found[lost] = -1
        return [found]

    return find


def _tried(search: Search, values: Sequence[NDArray[Any]]) -> list[NDArray[np.intp]]:
    """Bin by bin; for regions that overlap, and for tables that would be too large."""
    found = []
    for i in range(search.n_bins):
        inside = np.ones(values[0].size, dtype=bool)
        for j, (o, value) in enumerate(zip(search.observables, values, strict=True)):
            low, high = search.low[i, j], search.high[i, j]
            inside &= (value >= low if o.discrete else value > low) & (value <= high)
        found.append(np.where(inside, i, -1))
    return found


class _Counter:
    """Sums over the events of a tree."""

    def __init__(
        self, search: Search, assignment: _Assignment, weight: str | None, selection: str | None
    ) -> None:
        self.assignment = assignment
        self.weight = None if weight is None else Expression.parse(weight)
        self.selection = None if selection is None else Expression.parse(selection)
        self.names = set(assignment.names)
        for expression in (self.weight, self.selection):
            self.names |= set() if expression is None else expression.names
        self.sums, self.squares = np.zeros((2, search.n_bins))
        self.all_weights = 0.0
        self.read_events = self.selected = self.in_no_bin = self.negative = 0

    def read(self, tree: Any, place: str, chunk: int) -> None:
        """Add the events of a tree."""
        there = tree.keys()
        missing = sorted(name for name in self.names if name not in there)
        if missing:
            raise UnknownNameError(f"{place}: no branch {missing[0]!r}; there are {', '.join(there[:20])}")
        if not self.names:
            self.add({}, int(tree.num_entries), place)
            return
        # Chosen by name: uproot would compile a list of expressions as Python.
        names = {name: re.escape(name) for name in self.names}
        for arrays in tree.iterate(filter_name=lambda name: name in names, step_size=chunk, library="np"):
            columns = {name: arrays[name] for name in self.names}
            for name, array in columns.items():
                if array.dtype.kind not in "iufb" or array.ndim != 1:
                    raise DocumentError(
                        f"{place}: branch {name} has several numbers per event, or none; one number per event is needed"
                    )
            self.add(columns, next(iter(columns.values())).size, place)

    def add(self, arrays: Arrays, n_events: int, place: str) -> None:
        """Add some events."""
        weights = None
        if self.weight is not None:
            weights = np.asarray(_per_event(self.weight, arrays, n_events), dtype=np.float64)
            if not np.isfinite(weights).all():
                i = int(np.argmin(np.isfinite(weights)))
                raise DocumentError(
                    f"{place}: the weight of event {self.read_events + i + 1} is {weights[i]}; it must be finite"
                )
        self.read_events += n_events
        self.all_weights += float(n_events if weights is None else weights.sum())
        if self.selection is not None:
            kept = _per_event(self.selection, arrays, n_events).astype(bool)
            arrays = {name: array[kept] for name, array in arrays.items()}
            weights = None if weights is None else weights[kept]
            n_events = int(kept.sum())
        self.selected += n_events
        self.negative += 0 if weights is None else int((weights < 0).sum())
        somewhere = np.zeros(n_events, dtype=bool)
        for bins in self.assignment.bins(arrays, n_events):
            inside = bins >= 0
            somewhere |= inside
            w = np.ones(int(inside.sum())) if weights is None else weights[inside]
            self.sums += np.bincount(bins[inside], w, self.sums.size)
            self.squares += np.bincount(bins[inside], w**2, self.sums.size)
        self.in_no_bin += n_events - int(somewhere.sum())

    def describe(self) -> str:
        """What happened to the events, in words."""
        negative = f", {self.negative} of negative weight" if self.negative else ""
        return f"{self.read_events} events read, {self.selected} selected{negative}, {self.in_no_bin} of these in no bin"
