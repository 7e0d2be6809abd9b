"""What runs on a worker: a few signals of a job, in a process that knows nothing yet.

A `Job` travels with every batch and is small; what is computed from it once, the covariance of the bins above all, stays in the
process for the batches that follow.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import ClusterError
from superbin.results.scan import FinishedPoint, ScanPoint
from superbin.scan.point import ScanLikelihood, Settings, Shared, prepare, scan_point
from superbin.scan.targets import Target

__all__ = ["Job", "Package", "pack", "shared_of", "work"]

# A worker process with several threads takes its turns: Python's lock lets them gain nothing from one another, and
# the limit of one BLAS thread is the process's.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What the signals of a scan have in common, as it travels to the workers.

    Attributes
    ----------
    search : Search
    settings : Settings
    likelihood : PublishedLikelihood, ImportedLikelihood or None
        That of the search, where limits from it are computed.
    superbin : str
        Version that handed it out; a worker of another one refuses it.
    """

    search: Search
    settings: Settings
    likelihood: ScanLikelihood | None = None
    superbin: str = field(default_factory=lambda: version("superbin"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, Settings, str | None, str]:
        likelihood = None if self.likelihood is None else self.likelihood.digest
        return self.search.digest, self.settings, likelihood, self.superbin


@dataclass(frozen=True, slots=True)
class Package:
    """A target as it travels: the fields of its signal, since a read-only mapping cannot be pickled."""

    digest: str
    signal: dict[str, Any]
    cross_section_error: float | None


def pack(target: Target) -> Package:
    """Make a target ready to travel.

    Parameters
    ----------
    target : Target
        With a signal.
    """
    signal = target.signal
    values = {} if signal is None else {f.name: getattr(signal, f.name) for f in fields(signal)}
    plain = {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}
    return Package(target.digest, plain, target.cross_section_error)


@lru_cache(maxsize=1)
def shared_of(job: Job) -> Shared:
    """What the signals of a job share; computed when the first of them is met in this process.

    Raises
    ------
    ClusterError
        If another version of superbin handed the job out.
    """
    here = version("superbin")
    if here != job.superbin:
        raise ClusterError(
            f"a worker has superbin {here}, the scan was started by superbin {job.superbin}; install the same on both"
        )
    return prepare(job.search, job.settings, job.likelihood)


def work(job: Job, batch: Sequence[Package]) -> list[FinishedPoint]:
    """Compute a batch of points, one after the other.

    Returns
    -------
    list of FinishedPoint
        In the order of the batch; failed points are among them.
    """
    finished = []
    with _ONE_AT_A_TIME:
        shared = shared_of(job)
        for package in batch:
            start = time.perf_counter()
            point = _point(package, shared)
            finished.append(FinishedPoint(package.digest, point, time.perf_counter() - start))
    return finished


def _point(package: Package, shared: Shared) -> ScanPoint:
    return scan_point(SignalModel(**package.signal), shared, cross_section_error=package.cross_section_error)
