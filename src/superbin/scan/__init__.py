"""Many signals of one model: the analysis over a plane of masses, on one core or a thousand.

Start with `run_scan`, on the targets that `grid_targets` makes of a grid, with the workers of `local_workers` or
`dask_workers`. `spread` picks a few points for a quick look. What comes back is a `superbin.results.scan.ScanResult`.

Inside: ``point`` evaluates one signal, ``targets`` says which there are, ``work`` is what runs on a worker, ``workers`` are the
executors, ``distribute`` hands out the work and survives the workers' deaths, ``run`` ties it to the store. Specified in
``specs/scans.md``; what a million points need is in ``docs/explanation/scaling.md``.
"""

from superbin.scan.point import Settings, may_pass, prepare, scan_point
from superbin.scan.run import Progress, run_scan
from superbin.scan.targets import Target, grid_targets, spread
from superbin.scan.workers import dask_workers, local_workers

__all__ = [
    "Progress",
    "Settings",
    "Target",
    "dask_workers",
    "grid_targets",
    "local_workers",
    "may_pass",
    "prepare",
    "run_scan",
    "scan_point",
    "spread",
]
