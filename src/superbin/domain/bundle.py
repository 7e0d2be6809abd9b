"""A search with everything that belongs to it, as one value that travels as a folder or a zip file.

A `Bundle` holds the `Search` (bins, backgrounds, observed counts, covariance), stored signals, and files that are read when they
are needed: signal grids, the published likelihood, published limits and contours. `superbin.io.bundles` reads and writes
it, `superbin.catalog` keeps it in the database.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from superbin._support.shown import Shown, counted
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError

__all__ = ["FILES", "Bundle", "meaning"]

FILES: Mapping[str, str] = MappingProxyType(
    {
        r"grids/[\w.+-]+\.csv\.gz": "a signal grid",
        r"likelihood\.json\.gz": "the likelihood in superbin's packed form",
        r"workspace\.json": "the likelihood as a pyhf workspace",
        r"patches/[\w.+-]+\.json": "patches of the workspace, which add signals",
        r"cards/[\w.+/-]+": "a datacard of the likelihood, or a file that a card names",
        r"card-recipe\.json": "what the datacards of this search need before they can be used",
        r"third-moments\.json": "third moments of the backgrounds by bin, events cubed",
        r"published-[\w.+-]+\.csv(\.gz)?": "published limits or contours",
        r"cross-sections/[\w.+-]+\.csv": "cross sections of what is produced, in place of superbin's own",
        r"signal-accuracy\.json": "what is known of the accuracy of simulated signals",
        r"generator-card\.json": "constants of the simulation in which this search differs from the default",
    }
)
"""Names that files of a bundle may have, as patterns, and what each holds."""


def meaning(name: str) -> str:
    """What a file of a bundle holds, by its name; empty for a name that no file of a bundle has."""
    return next((text for pattern, text in FILES.items() if re.fullmatch(pattern, name, re.ASCII)), "")


_TEXTS = ("title", "reference", "source", "licence", "citation", "accuracy")
"""Texts of a search that are no part of its digest: no number depends on them."""


@dataclass(frozen=True, eq=False, repr=False)
class Bundle(Shown):
    """A search with its signals and files.

    Parameters
    ----------
    search : Search
    signals : tuple of SignalModel
        Yields at single points, in the bins of the search.
    files : mapping of str to bytes
        Contents by name; names are those of `FILES`.

    Raises
    ------
    InputError
        If a signal is of another search or number of bins, two signals are at one point, or a file has another name.
    """

    search: Search
    signals: tuple[SignalModel, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)

    def _shown(self) -> tuple[str, dict[str, str]]:
        facts = {
            "": f"{counted(self.search.n_bins, 'bin')}",
            "signals": str(len(self.signals)),
            "files": ", ".join(sorted(self.files)) or "none",
        }
        return self.search.name, facts

    def __post_init__(self) -> None:
        seen: set[tuple[str, tuple[float, ...]]] = set()
        for signal in self.signals:
            if signal.search != self.search.name or signal.yields.shape != (self.search.n_bins,):
                raise InputError(
                    f"signal {signal.label} has {counted(signal.yields.size, 'bin')} of {signal.search!r}; search "
                    f"{self.search.name!r} has {self.search.n_bins}"
                )
            point = signal.model, tuple(signal.parameters.values())
            if point in seen:
                raise InputError(f"signal {signal.label} comes twice; keep one of the two")
            seen.add(point)
        for name in self.files:
            if ".." in name or not meaning(name):
                raise InputError(
                    f"a bundle holds no file {name!r}; it may hold "
                    + ", ".join(f"{text} ({pattern})" for pattern, text in FILES.items())
                )
        object.__setattr__(self, "files", MappingProxyType(dict(sorted(self.files.items()))))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the search with all its texts, the signals and the files: equal for equal bundles."""
        total = hashlib.sha256(self.search.digest.encode())
        for name in _TEXTS:
            text = getattr(self.search, name).encode()
            total.update(f"\n{name} {len(text)}\n".encode() + text)
        for digest in sorted(signal.digest for signal in self.signals):
            total.update(digest.encode())
        for name, content in self.files.items():
            total.update(f"\n{name} {len(content)}\n".encode())
            total.update(content)
        return total.hexdigest()
