"""ROOT files, through uproot: one door, and our own types behind it.

`opened` opens a file, and turns the errors of a damaged one into one line. `Histogram` holds a TH1, TH2, TH3, THn or THnSparse
without its under- and overflow; entry i of a one-dimensional one belongs to the search's bin i + 1.
"""

import contextlib
import math
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superbin._support.arrays import FloatArray, frozen_array
from superbin._support.files import MAX_BYTES, check_regular
from superbin._support.shown import counted
from superbin.errors import DocumentError, InputError, UnknownNameError

__all__ = ["Histogram", "RootFile", "is_root", "opened", "read_histogram"]

# What uproot lets through from a damaged file, beside its own DeserializationError (a ValueError's cousin).
_DAMAGE = (
    OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError, NotImplementedError, OverflowError,
    EOFError, MemoryError, RecursionError, struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """A histogram without under- and overflow.

    Parameters
    ----------
    name : str
        Its name in the file, with its folder.
    values : ndarray, shape (n_bins,) or (n_x, n_y) or one more for every further axis
        Contents; may be negative (Monte Carlo weights).
    errors : ndarray, as `values`
        Standard errors: from the sum of squared weights if the file has it, else the square root of the content's
        magnitude, as ROOT itself has them.
    title : str
    edges : tuple of ndarray
        The n + 1 edges of every axis.
    labels : tuple of tuple of str
        Labels of the bins of every axis; empty for an axis without.
    axes : tuple of str
        Titles of the axes.
    outside : float
        Sum of the magnitudes of under- and overflow.
    weighted : bool
        Whether the file has sums of squared weights.
    """

    name: str
    values: FloatArray
    errors: FloatArray
    title: str = ""
    edges: tuple[FloatArray, ...] = ()
    labels: tuple[tuple[str, ...], ...] = ()
    axes: tuple[str, ...] = ()
    outside: float = 0.0
    weighted: bool = True


@dataclass(frozen=True, slots=True)
class RootFile:
    """An open ROOT file, as `opened` gives it.

    Attributes
    ----------
    path : Path
    kinds : dict of str to str
        ROOT class of every object by its name with its folders; of several cycles the newest.
    """

    path: Path
    _file: Any
    kinds: dict[str, str] = field(default_factory=dict)
    _cycles: dict[str, str] = field(default_factory=dict)
    _first: dict[str, str] = field(default_factory=dict)

    def names(self, *starts: str) -> list[str]:
        """Names of the objects whose ROOT class begins with one of these."""
        return [name for name, kind in self.kinds.items() if kind.startswith(starts)]

    def _check_size(self, keys: Iterable[str]) -> None:
        """Refuse histograms that unpack to more than a search holds: a small file may hold gigabytes of zeros.

        Raises
        ------
        DocumentError
        """
        total = 0
        for key in keys:
            size = int(self._file.key(key).data_uncompressed_bytes)
            total += size
            if size > MAX_BYTES or total > _MOST_BYTES:
                name = key.rpartition(";")[0]
                raise DocumentError(
                    f"{self.path}: histogram {name!r} is of {size >> 20} MiB, {total >> 20} MiB with those before it; no search is that large"
                )

    def kind(self, name: str) -> str | None:
        """ROOT class of an object, whose name may end in a cycle (``"yields;2"``); None if there is none."""
        if ";" in name:
            kind: str | None = self._file.classnames(recursive=True).get(name)
            return kind
        return self.kinds.get(name)

    def histogram(self, name: str) -> Histogram:
        """Read one TH1, TH2 or TH3."""
        self._check_size([self._cycles[name]])
        return _histogram(self.path, name, self._file[self._cycles[name]])

    def contents(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Read contents and errors of one TH1 or TH2 as ROOT's own ``Get`` finds and sees it.

        A name may end in a cycle (``"yields;2"``); else, of several, that is the one the file lists first, which need not be the newest. Errors may be NaN, where a sum of squared weights is
        negative; contents are finite.

        Raises
        ------
        DocumentError
            If a content is NaN or infinite.
        """
        item = self._file[self._first.get(name, name)]
        everything = np.asarray(item.values(flow=True), dtype=float)
        inner = (slice(1, -1),) * everything.ndim
        values, squares = everything[inner], np.asarray(item.member("fSumw2"), dtype=float)
        errors = np.sqrt(np.abs(values))
        if squares.size:
            with np.errstate(invalid="ignore"):
                errors = np.sqrt(squares.reshape(everything.shape, order="F")[inner])
        contents = frozen_array(values, name=f"{self.path}: histogram {name!r}", low=-np.inf, finite=True)
        return contents, errors

    def histograms(
        self, wanted: Callable[[str], bool], *, broken: dict[str, str] | None = None
    ) -> Iterator[Histogram]:
        """Read all TH1, TH2, TH3, THn and THnSparse whose name is wanted, in the order of the file.

        One pass over the file's keys: looking thousands of them up by name would be quadratic.

        Parameters
        ----------
        wanted : callable
        broken : dict, optional
            Takes what is wrong with histograms that hold no numbers, by name; by default the first is refused.

        Raises
        ------
        DocumentError
        """
        newest = set(self._cycles.values())
        self._check_size(
            self._cycles[name] for name, kind in self.kinds.items() if _is_histogram(kind) and wanted(name)
        )
        for key, item in self._file.iteritems(
            recursive=True,
            filter_classname=_is_histogram,
            filter_name=lambda name: wanted(name.rpartition(";")[0] if ";" in name else name),
        ):
            if key not in newest:
                continue
            name = key.rpartition(";")[0]
            try:
                found = _histogram(self.path, name, item)
            except DocumentError as error:
                if broken is None:
                    raise
                broken[name] = str(error)
                continue
            yield found

    def graph(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Read x and y of the points of a TGraph."""
        graph = self._file[self._cycles[name]]
        x, y = (np.asarray(graph.member(key), dtype=float) for key in ("fX", "fY"))
        return x, y

    def tree(self, name: str) -> Any:
        """Open one TTree or RNTuple (uproot's).

        Raises
        ------
        UnknownNameError
            If there is none of this name.
        """
        trees = self.names("TTree", "TNtuple", "ROOT::RNTuple")
        if name not in trees:
            there = ", ".join(trees[:10]) or "none"
            raise UnknownNameError(f"{self.path}: no tree {name!r}; there are: {there}")
        return self._file[self._cycles[name]]


_MOST_CELLS = 1_000_000
"""Of one histogram of many axes, under- and overflow included; a THnSparse may have more than atoms in the universe."""
_MOST_BYTES = 8 * MAX_BYTES
"""Of all histograms that are read of a file."""


def is_root(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a ROOT file."""
    return head.startswith(b"root")


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[RootFile]:
    """Open a ROOT file for reading; close it at the end of the block.

    Raises
    ------
    InputError
        If there is no such file.
    DocumentError
        If it is not a readable ROOT file; also from within the block.
    """
    import uproot

    path = Path(path)
    with contextlib.suppress(OSError):
        check_regular(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; name an existing ROOT file")
    try:
        # The mapping keeps uproot from reading a colon in the path as the start of an object's name.
        with uproot.open({str(path): None}) as file:
            kinds: dict[str, str] = {}
            cycles: dict[str, str] = {}
            first: dict[str, str] = {}
            for key, kind in file.classnames(recursive=True).items():
                name, _, cycle = key.rpartition(";")
                first.setdefault(name, key)
                if name not in cycles or int(cycle) > int(cycles[name].rpartition(";")[2]):
                    kinds[name], cycles[name] = kind, key
            yield RootFile(path, file, kinds, cycles, first)
    except (*_DAMAGE, uproot.DeserializationError) as error:
        if isinstance(error, InputError | UnknownNameError):
            raise
        reason = str(error).strip().split("\n")[0][:120] or type(error).__name__
        raise DocumentError(f"{path}: not a readable ROOT file ({reason}); is it truncated?") from error


def read_histogram(path: str | Path, name: str | None = None) -> Histogram:
    """Read a one-dimensional histogram from a ROOT file.

    Parameters
    ----------
    path : path
        The ROOT file.
    name : str, optional
        The histogram's name, with its folder, and with its cycle if an older one is meant (``"yields;1"``); by default
        the only one-dimensional histogram of the file.

    Raises
    ------
    InputError
        If there is no such file, or it holds several histograms and `name` does not say which.
    UnknownNameError
        If it holds no histogram of this name.
    DocumentError
        If it is not a readable ROOT file, or an entry is NaN or infinite.
    """
    with opened(path) as root:
        cycles = [key for key, kind in root._file.classnames(recursive=True).items() if _is_read(kind)]
        chosen = _choose(root.path, cycles, name)
        root._check_size([chosen])
        return _histogram(root.path, chosen, root._file[chosen])


def _is_read(kind: str) -> bool:
    return kind.startswith("TH1") or kind == "TProfile"


def _is_histogram(kind: str) -> bool:
    return kind.startswith(("TH1", "TH2", "TH3", "THnT", "THnSparseT"))


def _cells(path: Path, name: str, item: Any) -> tuple[FloatArray, FloatArray, list[Any]]:
    """Contents and squared errors of a THn or THnSparse with under- and overflow, and its axes; no squared errors where it has none."""
    axes = list(item.member("fAxes"))
    shape = tuple(int(axis.member("fNbins")) + 2 for axis in axes)
    size = math.prod(shape)
    if size > _MOST_CELLS:
        raise DocumentError(
            f"{path}: histogram {name!r} has {counted(size, 'cell')} in {len(shape)} dimensions; at most {_MOST_CELLS} are read, project it to fewer "
            "axes or bins"
        )
    if item.classname.startswith("THnT"):
        values, squares = (
            np.asarray(item.member(key).member("fData"), dtype=float) for key in ("fArray", "fSumw2")
        )
        return values.reshape(shape), squares.reshape(shape if squares.size else (0,)), axes
    values, squares = np.zeros((2, size))
    weighted = False
    left = int(item.member("fFilledBins"))
    for chunk in item.member("fBinContent"):
        width = int(chunk.member("fSingleCoordinateSize"))
        places = _places(np.asarray(chunk.member("fCoordinates"), dtype=np.int8), width, shape)[:left]
        left -= places.size
        values[places] = np.asarray(chunk.member("fContent"), dtype=float)[: places.size]
        own = chunk.member("fSumw2")
        if own is not None:
            weighted = True
            squares[places] = np.asarray(own, dtype=float)[: places.size]
    return values.reshape(shape), squares.reshape(shape) if weighted else np.zeros(0), axes


def _places(packed: NDArray[np.int8], width: int, shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Positions of the filled cells of a THnSparse: each is `width` bytes that hold the bin of every axis in as few bits as it needs."""
    places = np.zeros((packed.size // width, 8), dtype=np.uint8)
    places[:, :width] = packed[: len(places) * width].view(np.uint8).reshape(-1, width)
    word, found = places.view("<u8").ravel(), []
    for n in shape:
        bits = n.bit_length()
        found.append((word & np.uint64((1 << bits) - 1)).astype(np.intp))
        word = word >> np.uint64(bits)
    return np.asarray(np.ravel_multi_index(tuple(found), shape), dtype=np.intp)


def _of_many_axes(path: Path, name: str, item: Any) -> Histogram:
    """A THn or a THnSparse."""
    everything, squares, axes = _cells(path, name, item)
    values = everything[(slice(1, -1),) * everything.ndim]
    with np.errstate(invalid="ignore"):
        errors = (
            np.sqrt(squares[(slice(1, -1),) * everything.ndim]) if squares.size else np.sqrt(np.abs(values))
        )
    return _made(path, name, item, axes, everything, values, errors, weighted=bool(squares.size))


def _made(
    path: Path,
    name: str,
    item: Any,
    axes: Sequence[Any],
    everything: FloatArray,
    values: FloatArray,
    errors: FloatArray,
    *,
    weighted: bool,
) -> Histogram:
    """A histogram from its contents with and without under- and overflow, checked."""
    magnitudes = np.abs(everything)
    outside = float(magnitudes.sum() - magnitudes[(slice(1, -1),) * everything.ndim].sum())
    return _checked(
        path,
        Histogram(
            name,
            values,
            errors,
            title=str(item.member("fTitle")),
            edges=tuple(np.asarray(axis.edges(), dtype=float) for axis in axes),
            labels=tuple(tuple(map(str, axis.labels() or ())) for axis in axes),
            axes=tuple(str(axis.member("fTitle")) for axis in axes),
            outside=max(outside, 0.0),
            weighted=weighted,
        ),
    )


def _checked(path: Path, found: Histogram) -> Histogram:
    """The histogram with arrays that are finite and frozen."""
    name = f"histogram {found.name!r}"
    try:
        return replace(
            found,
            values=frozen_array(found.values, name=f"{path}: {name}", low=-np.inf),
            errors=frozen_array(found.errors, name=f"{path}: error of {name}"),
        )
    except InputError as error:
        raise DocumentError(str(error)) from error


def _histogram(path: Path, name: str, item: Any) -> Histogram:
    if item.classname.startswith("THn"):
        return _of_many_axes(path, name, item)
    everything = np.asarray(item.values(flow=True), dtype=float)
    inner = (slice(1, -1),) * everything.ndim
    weighted = True
    if item.classname == "TProfile":
        values, errors = np.asarray(item.values(), dtype=float), np.asarray(item.errors(), dtype=float)
    else:
        values = everything[inner]
        squares = np.asarray(item.member("fSumw2"), dtype=float)
        weighted = bool(squares.size)
        if weighted:
            # The first and the last are under- and overflow. A negative sum of squares becomes NaN, which is refused.
            squares = squares.reshape(everything.shape, order="F")[inner]
            errors = np.sqrt(np.where(squares < 0, np.nan, squares))
        else:
            # uproot takes a negative content for no event at all.
            errors = np.sqrt(np.abs(values))
    axes = [item.axis(i) for i in range(everything.ndim)]
    return _made(path, name, item, axes, everything, values, errors, weighted=weighted)


def _choose(path: Path, cycles: list[str], name: str | None) -> str:
    if name in cycles:
        return str(name)
    names = sorted({cycle.rpartition(";")[0] for cycle in cycles})
    if name is None:
        if len(names) != 1:
            found = ", ".join(names[:10]) or "none"
            raise InputError(
                f"{path}: {len(names)} one-dimensional histograms ({found}); name the one to read"
            )
        return names[0]
    if name not in names:
        raise UnknownNameError(
            f"{path}: no one-dimensional histogram {name!r}; there are: {', '.join(names[:10]) or 'none'}"
        )
    return name
