"""Aggregate bins as pyhf workspaces; the only place that imports pyhf.

One channel holds the signal, scaled by the normalisation factor ``mu``, and one sample per background process.
Each process carries one asymmetric ``normsys`` per source: ``syst_<process>``, and ``stat_<group>``, which
processes that share their events have in common, so that their statistical uncertainties add linearly as they
do in `superbin.aggregate`. A process expected to give zero events cannot be scaled; its uncertainty is then an
additive ``histosys``. Specified in ``specs/workspace.md``.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from superbin.aggregate import AggregateBin, Background, ProcessYield
from superbin.errors import InputError
from superbin.results import PValue
from superbin.stats import significance

__all__ = [
    "LOWEST_FACTOR",
    "Document",
    "asymptotic_q0",
    "background_only",
    "build",
    "largest_deviation",
    "to_json",
]

Document = dict[str, Any]

LOWEST_FACTOR = 0.01
"""Smallest ``lo`` of a ``normsys``: pyhf interpolates in the logarithm, so a background cannot vary to zero."""


def build(aggregate: AggregateBin, *, name: str = "aggregate") -> Document:
    """Express an aggregate bin as a pyhf workspace.

    Parameters
    ----------
    aggregate : AggregateBin
        Any set of bins, merged by `superbin.aggregate.combine`.
    name : str
        Name of the channel.

    Returns
    -------
    dict
        A workspace valid against pyhf's schema 1.0.0. ``mu`` is the parameter of interest, from 0 to a bound
        far above what the data can want; the observation is the aggregate's.

    Raises
    ------
    InputError
        If the signal or the background is zero: pyhf cannot fit such a model.
    """
    if aggregate.signal <= 0:
        raise InputError(
            f"bins {list(aggregate.bins)} expect {aggregate.signal:g} signal events; a workspace needs > 0"
        )
    if aggregate.background.nominal <= 0:
        raise InputError(
            f"bins {list(aggregate.bins)} expect {aggregate.background.nominal:g} background events; "
            "pyhf cannot fit a bin without background, add a bin that has some"
        )
    signal = {
        "name": "signal",
        "data": [aggregate.signal],
        "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
    }
    bound = _mu_bound(aggregate)
    return {
        "channels": [{"name": name, "samples": [signal, *map(_sample, aggregate.processes)]}],
        "observations": [{"name": name, "data": [float(aggregate.observed)]}],
        "measurements": [
            {
                "name": "reinterpretation",
                "config": {
                    "poi": "mu",
                    "parameters": [{"name": "mu", "bounds": [[0.0, bound]], "inits": [min(1.0, bound)]}],
                },
            }
        ],
        "version": "1.0.0",
    }


def background_only(count: float, background: Background, *, signal: float = 1.0) -> Document:
    """Express a bare count, with one background and its total uncertainty, as a workspace.

    Parameters
    ----------
    count : float
        Events, expected or observed.
    background : Background
        Its nominal must be > 0.
    signal : float
        Events at ``mu`` = 1; any positive number gives the same significance.

    Returns
    -------
    dict
        As of `build`, with one sample ``background`` and one modifier of the same name.
    """
    part = ProcessYield(
        "background", "background", "background", background.nominal, 0, 0, background.up, background.down
    )
    aggregate = AggregateBin((1,), signal, 0.0, background, (part,), 0)
    document = build(aggregate)
    document["observations"][0]["data"] = [float(count)]
    document["measurements"][0]["config"]["parameters"][0]["bounds"] = [[0.0, max(10.0, 10 * count / signal)]]
    return document


def asymptotic_q0(document: Mapping[str, Any], *, count: float | None = None) -> PValue:
    """Discovery p-value by pyhf: asymptotic, one-sided, background profiled.

    Parameters
    ----------
    document : mapping
        A workspace of `build` or `background_only`.
    count : float, optional
        Events to test instead of the workspace's observation; the auxiliary measurements stay nominal.

    Returns
    -------
    PValue
        pyhf gives every deficit p = 0.5, Z = 0, because q0 is one-sided.

    Raises
    ------
    InputError
        If pyhf cannot build or fit the model; its own words follow.
    """
    import pyhf

    with _numpy_backend():
        try:
            workspace = pyhf.Workspace(document)
            model = workspace.model()
            data = [float(count), *model.config.auxdata] if count is not None else workspace.data(model)
            p = float(pyhf.infer.hypotest(0.0, data, model, test_stat="q0"))
        except (pyhf.exceptions.FailedMinimization, pyhf.exceptions.InvalidModel, ValueError) as error:
            raise InputError(f"pyhf cannot fit this workspace: {error}") from error
    return PValue(p, float(significance(p)))


def largest_deviation(document: Mapping[str, Any]) -> float:
    """How far pyhf's default interpolation strays from the split log-normal of superbin's own p-values.

    Both agree wherever a nuisance parameter is at or beyond one standard deviation; in between, pyhf's
    polynomial (code 4) rounds the kink that the piecewise exponential (code 1) has at zero.

    Returns
    -------
    float
        Largest relative difference of any ``normsys`` factor over [-1, 1].
    """
    import pyhf

    factors = [
        modifier["data"]
        for channel in document["channels"]
        for sample in channel["samples"]
        for modifier in sample["modifiers"]
        if modifier["type"] == "normsys"
    ]
    if not factors:
        return 0.0
    # One "histogram set" per factor, of one bin each with nominal 1.
    histograms = [[[[f["lo"]], [1.0], [f["hi"]]]] for f in factors]
    alphas = np.tile(np.linspace(-1, 1, 201), (len(factors), 1))
    with _numpy_backend():
        smooth = np.asarray(pyhf.interpolators.code4(histograms)(alphas))
        kinked = np.asarray(pyhf.interpolators.code1(histograms)(alphas))
    return float(np.max(np.abs(smooth / kinked - 1)))


def to_json(document: Mapping[str, Any]) -> str:
    """Write a workspace as JSON text, after validating it against pyhf's schema; ends with a newline."""
    import pyhf

    pyhf.schema.validate(document, "workspace.json")
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _sample(process: ProcessYield) -> Document:
    sources = [
        (f"stat_{process.stat_group}", process.stat_up, process.stat_down),
        (f"syst_{process.name}", process.syst_up, process.syst_down),
    ]
    modifiers = [_modifier(n, process.nominal, up, down) for n, up, down in sources if up > 0 or down > 0]
    return {"name": process.name, "data": [process.nominal], "modifiers": modifiers}


def _modifier(name: str, nominal: float, up: float, down: float) -> Document:
    if nominal > 0:
        factors = {"hi": 1 + up / nominal, "lo": max(1 - down / nominal, LOWEST_FACTOR)}
        return {"name": name, "type": "normsys", "data": factors}
    return {"name": name, "type": "histosys", "data": {"hi_data": [up], "lo_data": [0.0]}}


def _mu_bound(aggregate: AggregateBin) -> float:
    """Ten times the strength that would explain twice everything seen or expected, so no fit ends there."""
    events = max(aggregate.observed, aggregate.signal + aggregate.background.nominal, 1.0)
    return max(10.0, 20.0 * events / aggregate.signal)


@contextmanager
def _numpy_backend() -> Iterator[None]:
    """Use pyhf's NumPy backend and give the caller's back: it is global to the process."""
    import pyhf

    backend, optimizer = pyhf.get_backend()
    pyhf.set_backend("numpy", custom_optimizer="scipy")
    try:
        yield
    finally:
        pyhf.set_backend(backend, custom_optimizer=optimizer)
