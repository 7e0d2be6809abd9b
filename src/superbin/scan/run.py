"""A whole scan: what is stored is not computed again, what is computed is stored at once, and the answer is in order."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from superbin.domain.published import LEVEL, PublishedResults
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.results import SearchSummary
from superbin.results.scan import FAILED, FinishedPoint, ScanResult
from superbin.scan.distribute import distribute
from superbin.scan.point import ScanLikelihood, Settings, failed_point
from superbin.scan.targets import Target, check_targets
from superbin.scan.work import Job, pack, shared_of, work

if TYPE_CHECKING:
    from superbin.store import Store

__all__ = ["Progress", "run_scan"]

_BATCHES = 200
_LARGEST_BATCH = 50
_LARGEST_SLOW_BATCH = 5
"""The first batches are a fraction of the scan, and never more than some ten seconds of work; later ones are sized by time."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is.

    Attributes
    ----------
    total : int
        Points of the scan.
    restored : int
        Of these, points that were stored by an earlier run.
    finished : int
        Points computed by this one.
    failed : int
        Failed points, restored ones included.
    """

    total: int
    restored: int
    finished: int
    failed: int

    @property
    def left(self) -> int:
        """Points still to be computed."""
        return self.total - self.restored - self.finished


def run_scan(
    search: Search,
    signals: Iterable[SignalModel | Target],
    *,
    settings: Settings | None = None,
    likelihood: ScanLikelihood | None = None,
    published: PublishedResults | None = None,
    executor: Executor | None = None,
    store: "Store | None" = None,
    retry_failed: bool = False,
    fresh: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> ScanResult:
    """Evaluate many signals of one model, on any workers.

    Parameters
    ----------
    search : Search
    signals : iterable of SignalModel or Target
        At different parameters of one model. `superbin.scan.grid_targets` makes them from a grid.
    settings : Settings, optional
        What is chosen for all of them.
    likelihood : PublishedLikelihood or ImportedLikelihood, optional
        That of the search (`superbin.catalog.Catalog.open_likelihood`); needed where the settings ask for limits from it.
    published : PublishedResults, optional
        What the search published of the model (`superbin.catalog.Catalog.limits`), to be compared with.
    executor : Executor, optional
        Whose workers compute: `superbin.scan.local_workers`, `superbin.scan.dask_workers` or any other. By default
        this process.
    store : Store, optional
        Where every point is stored as soon as it is finished, and taken from if it was stored before. The search must
        be in it. Without one nothing is kept.
    retry_failed : bool
        Whether to compute points again that are stored as failed.
    fresh : bool
        Whether to forget what is stored of this very scan first.
    on_progress : callable, optional
        Called at the start and whenever points were finished and stored.

    Returns
    -------
    ScanResult
        In the order of the signals, and the same for any executor.

    Raises
    ------
    InputError, UnknownNameError
        If the signals make no scan, the search is not in the store, or the settings do not fit it.
    ClusterError
        If the workers are lost. Points that were stored are kept, as after every other error and after Ctrl-C: run the
        same scan again to continue.
    DatabaseError
        If the store cannot be written.
    """
    targets = tuple(s if isinstance(s, Target) else Target.of(s) for s in signals)
    check_targets(search, targets)
    chosen = settings or Settings()
    job = Job(search, chosen, likelihood if chosen.likelihood_limit else None)
    header = _header(job, targets[0])
    stored = {} if store is None else store.begin_scan(header, fresh=fresh)
    points = {t.digest: stored[t.digest] for t in targets if t.digest in stored}
    if retry_failed:
        points = {key: point for key, point in points.items() if point.status != FAILED}
    restored = len(points)
    failed = sum(point.status == FAILED for point in points.values())

    def record(finished: Sequence[FinishedPoint]) -> None:
        nonlocal failed
        if store is not None and finished:
            store.add_scan_points(header.digest, finished)
        points.update((f.digest, f.point) for f in finished)
        failed += sum(f.point.status == FAILED for f in finished)
        if on_progress is not None:
            on_progress(Progress(len(targets), restored, len(points) - restored, failed))

    missing = [t for t in targets if t.digest not in points]
    record([_refused(t) for t in missing if t.signal is None])
    _compute(job, [t for t in missing if t.signal is not None], executor, record)
    # Published limits are compared last: they are no part of what is computed and stored.
    compared = published if job.settings.level == LEVEL else None
    return ScanResult(
        search=header.search,
        model=header.model,
        parameters=header.parameters,
        options=header.options,
        points=tuple(
            points[t.digest].compared(None if compared is None else compared.limit(t.parameters))
            for t in targets
        ),
        superbin=header.superbin,
        cross_section_order=_order(targets),
        contours=_contours(compared, header.parameters),
    )


def _order(targets: Sequence[Target]) -> str:
    """The order of the cross sections, if it is the same for all signals."""
    orders = {target.cross_section_order for target in targets if target.signal is not None}
    return orders.pop() if len(orders) == 1 else ""


def _contours(
    published: PublishedResults | None, parameters: tuple[str, ...]
) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Published contours in the plane of a scan."""
    if published is None or published.parameters != parameters:
        return {}
    return {name: tuple(map(tuple, line.tolist())) for name, line in published.contours.items()}


def _header(job: Job, first: Target) -> ScanResult:
    """The scan without its points."""
    shared = shared_of(job)
    return ScanResult(
        search=SearchSummary.of(job.search),
        model=first.model,
        parameters=tuple(first.parameters),
        options={
            "correlations": shared.correlations,
            "figure_of_merit": job.settings.figure_of_merit,
            "level": job.settings.level,
            "simplify": job.settings.simplify,
            "likelihood_limit": "asymptotic" if job.settings.likelihood_limit else "none",
            "systematics": job.settings.systematics if job.settings.likelihood_limit else "none",
            **({} if job.likelihood is None else {"likelihood": job.likelihood.digest[:16]}),
        },
        points=(),
        superbin=version("superbin"),
    )


def _refused(target: Target) -> FinishedPoint:
    """A point at which there is no signal."""
    return FinishedPoint(target.digest, failed_point(target.parameters, target.reason or "no signal"), 0.0)


def _compute(
    job: Job,
    targets: Sequence[Target],
    executor: Executor | None,
    record: Callable[[Sequence[FinishedPoint]], None],
) -> None:
    if executor is None:
        for target in targets:
            record(work(job, [pack(target)]))
        return
    largest = _LARGEST_SLOW_BATCH if job.settings.likelihood_limit else _LARGEST_BATCH
    size = max(1, min(largest, len(targets) // _BATCHES))
    distribute(job, targets, executor, record, batch_size=size)
