"""Aggregate bins as pyhf workspaces; the only place that imports pyhf.

One channel holds the signal, scaled by the normalisation factor ``mu``, and one sample per background process.
Each process carries one asymmetric ``normsys`` per source: ``syst_<process>``, and ``stat_<group>``, which
processes that share their events have in common, so that their statistical uncertainties add linearly as they
do in `superbin.domain.aggregate`. A process expected to give zero events cannot be scaled; its uncertainty is then an
additive ``histosys``.

`asymptotic_q0`, `asymptotic_limit`, `toy_q0` and `toy_cls` ask pyhf the questions that `superbin.stats` answers itself, to compare. What
pyhf 0.7.6 does wrong on the way is kept in here: its backend and its random numbers are global; a fit may fail with one minimiser
and work with the other; its upper-limit scan ignores the level and stops at the bounds of the workspace; its toy-based
``hypotest`` fails with NumPy 2.4; q~ at zero strength is 0/0. Specified in ``specs/workspace.md``.
"""

import hashlib
import json
import logging
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from superbin._support.json import json_text
from superbin.domain.aggregate import AggregateBin, Background, ProcessYield, combine
from superbin.domain.covariance import Covariance
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.results import PValue
from superbin.stats import significance
from superbin.stats.limits.problem import checked_level
from superbin.stats.toys import binomial_error

__all__ = [
    "LARGEST_PULL",
    "LOWEST_FACTOR",
    "Document",
    "PyhfCls",
    "PyhfLimit",
    "PyhfToys",
    "asymptotic_limit",
    "asymptotic_q0",
    "background_only",
    "build",
    "largest_deviation",
    "patch_set",
    "regions",
    "signal_patch",
    "to_json",
    "toy_cls",
    "toy_q0",
]

Document = dict[str, Any]

T = TypeVar("T")

CHANNEL = "aggregate"

LOWEST_FACTOR = 0.01
"""Smallest ``lo`` of a ``normsys``: pyhf interpolates in the logarithm, so a background cannot vary to zero."""


LARGEST_PULL = 20.0
"""Bound of every constrained nuisance parameter, in standard deviations."""

_NO_RECORD = "ins0000000"
"""A patch set must name a record of HEPData; what is made here is in none."""

LARGEST_COUNT = 1e6
"""Events up to which pyhf's fits agree with superbin's: at 1e9 Minuit stops 1 % short in the limit."""

MOST_STEPS = 60
"""Strengths that are tried on the way to a limit, doubling or halving."""


@dataclass(frozen=True, slots=True)
class PyhfLimit:
    """Upper limits on ``mu``, asymptotic CLs of the test statistic with tilde.

    Attributes
    ----------
    observed : float
    expected : tuple of five float
        At -2 to +2 sigma, for background alone as fitted to the data: pyhf's expectation is *post-fit*.
    """

    observed: float
    expected: tuple[float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class PyhfToys:
    """Discovery p-value by pyhf's toys.

    Attributes
    ----------
    p, p_err : float
        Part of the toys with q0 at least that of the data, and its binomial error.
    q0 : float
        Test statistic of the data.
    n : int
        Toys per hypothesis.
    seed : int
    """

    p: float
    p_err: float
    q0: float
    n: int
    seed: int


@dataclass(frozen=True, slots=True)
class PyhfCls:
    """CLs at one strength by pyhf's toys of q~.

    Attributes
    ----------
    cls, cls_err : float
        CLs+b / CLb, with the binomial errors of both.
    n : int
        Toys per hypothesis.
    seed : int
    """

    cls: float
    cls_err: float
    n: int
    seed: int


def build(aggregate: AggregateBin) -> Document:
    """Express an aggregate bin as a pyhf workspace.

    Parameters
    ----------
    aggregate : AggregateBin
        Any set of bins, merged by `superbin.domain.aggregate.combine`.

    Returns
    -------
    dict
        A workspace valid against pyhf's schema 1.0.0, of one channel ``aggregate``. ``mu`` is the parameter of interest, from 0 to a bound
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
    samples = [signal, *_backgrounds(aggregate)]
    return {
        "channels": [{"name": CHANNEL, "samples": samples}],
        "observations": [{"name": CHANNEL, "data": [float(aggregate.observed)]}],
        "measurements": [
            {
                "name": "reinterpretation",
                "config": {
                    "poi": "mu",
                    "parameters": [
                        {"name": "mu", "bounds": [[0.0, bound]], "inits": [min(1.0, bound)]},
                        *map(_nuisance, _names(samples)),
                    ],
                },
            }
        ],
        "version": "1.0.0",
    }


def background_only(
    count: float, background: Background, *, signal: float = 1.0, signal_uncertainty: float = 0.0
) -> Document:
    """Express a bare count, with one background and its total uncertainty, as a workspace.

    Parameters
    ----------
    count : float
        Events, expected or observed.
    background : Background
        Its nominal must be > 0.
    signal : float
        Events at ``mu`` = 1; any positive number gives the same significance.
    signal_uncertainty : float
        Relative log-normal uncertainty of the signal, the ``normsys`` ``signal``.

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
    if signal_uncertainty > 0:
        factors = {"hi": 1 + signal_uncertainty, "lo": 1 / (1 + signal_uncertainty)}
        modifiers = document["channels"][0]["samples"][0]["modifiers"]
        modifiers.append({"name": "signal", "type": "normsys", "data": factors})
        document["measurements"][0]["config"]["parameters"].append(_nuisance("signal"))
    return document


def regions(search: Search, covariance: Covariance | None = None) -> Document:
    """Several exclusive regions as a workspace of background alone: one channel each, correlated by shared log-normal modifiers.

    The covariance C of the backgrounds b is that of their logarithms, ``ln(1 + C_ij / (b_i b_j))``; every eigenvector of it
    with a positive eigenvalue is one modifier ``background_1``, ``background_2``, ... of all channels. Channels have the names
    of the regions, with underscores for other characters than letters and digits; without distinct names ``region_1``, ``region_2``, ...

    Parameters
    ----------
    search : Search
        Its bins are the regions.
    covariance : Covariance, optional
        By default the uncertainties of the regions are independent; the upward side is used.

    Returns
    -------
    dict
        Valid against pyhf's schema; `signal_patch` adds a signal.

    Raises
    ------
    InputError
        If a region expects no background: pyhf cannot fit it.
    """
    nothing = np.zeros(search.n_bins)
    none = SignalModel("none", {}, search.name, nothing, nothing)
    merged = [combine(search, none, [number]) for number in search.numbers]
    b = np.array([bin_.background.nominal for bin_ in merged])
    if (b == 0).any():
        raise InputError(
            f"{search.bin_name(int(np.argmax(b == 0)) + 1)} expects no background; pyhf cannot fit it, merge it with another region"
        )
    matrix = np.diag([bin_.background.up**2 for bin_ in merged]) if covariance is None else covariance.up
    # A correlation so negative that no log-normal has it is taken as far as one can.
    size, direction = np.linalg.eigh(np.log(np.maximum(1 + matrix / np.outer(b, b), 1e-3)))
    effects = (direction * np.sqrt(np.maximum(size, 0.0)))[:, size > 1e-9 * size.max(initial=0.0)]
    names = [f"background_{j + 1}" for j in range(effects.shape[1])]
    channels = _channels(search)
    samples = (
        {
            "name": "background",
            "data": [float(b[i])],
            "modifiers": [
                {"name": name, "type": "normsys", "data": {"hi": math.exp(effect), "lo": math.exp(-effect)}}
                for name, effect in zip(names, effects[i].tolist(), strict=True)
            ],
        }
        for i in range(b.size)
    )
    return {
        "channels": [{"name": c, "samples": [s]} for c, s in zip(channels, samples, strict=True)],
        "observations": [
            {"name": c, "data": [float(n)]} for c, n in zip(channels, search.observed, strict=True)
        ],
        "measurements": [
            {"name": "reinterpretation", "config": {"poi": "mu", "parameters": [_nuisance(n) for n in names]}}
        ],
        "version": "1.0.0",
    }


def _channels(search: Search) -> list[str]:
    names = [re.sub(r"\W", "_", name, flags=re.ASCII) for name in search.names]
    distinct = all(names) and len({name.casefold() for name in names}) == search.n_bins
    return names if distinct else [f"region_{number}" for number in search.numbers]


def signal_patch(signal: SignalModel) -> list[Document]:
    """The JSON Patch that adds a signal to a workspace of `regions`."""
    modifiers = [{"name": "mu", "type": "normfactor", "data": None}]
    return [
        {
            "op": "add",
            "path": f"/channels/{i}/samples/0",
            "value": {"name": "signal", "data": [float(events)], "modifiers": modifiers},
        }
        for i, events in enumerate(signal.yields)
    ]


def patch_set(
    background: Document,
    patches: Mapping[str, list[Document]],
    *,
    labels: Sequence[str],
    values: Sequence[Sequence[float | str]],
    description: str,
) -> Document:
    """Patches of a workspace as a patch set, which knows the workspace by its digest.

    Parameters
    ----------
    background : dict
    patches : mapping of str to list
        JSON Patches by their names: letters, digits and underscores.
    labels : sequence of str
        Names of the values.
    values : sequence of sequence of float or str
        Those of every patch, all different.
    description : str
    """
    text = json.dumps(background, sort_keys=True, ensure_ascii=False)
    return {
        "metadata": {
            "description": description,
            "digests": {"sha256": hashlib.sha256(text.encode("utf-8")).hexdigest()},
            "labels": list(labels),
            "references": {"hepdata": _NO_RECORD},
        },
        "patches": [
            {"metadata": {"name": name, "values": list(point)}, "patch": patch}
            for (name, patch), point in zip(patches.items(), values, strict=True)
        ],
        "version": "1.0.0",
    }


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
        If pyhf cannot build or fit the model; its own words follow. Above 1e6 events, and where the data pull a nuisance
        parameter to its bound.
    """
    import pyhf

    def hypothesis(model: Any, data: list[float]) -> float:
        return float(pyhf.infer.hypotest(0.0, data, model, test_stat="q0"))

    p = _asked(document, count, hypothesis)
    return PValue.of(p, float(significance(p)))


def asymptotic_limit(
    document: Mapping[str, Any], *, level: float = 0.95, count: float | None = None
) -> PyhfLimit:
    """Upper limits on ``mu`` by pyhf: where its asymptotic CLs crosses ``1 - level``, to a relative 1e-4.

    The crossing is searched here: pyhf's own scan ignores the level, and its fits must not touch the bounds of ``mu``.

    Parameters
    ----------
    document, count
        As in `asymptotic_q0`.
    level : float
        Confidence level, strictly between 0 and 1.

    Returns
    -------
    PyhfLimit

    Raises
    ------
    InputError
        If pyhf cannot build or fit the model, or the level is outside its domain.
    """
    import pyhf

    checked_level(level)

    def limits(model: Any, data: list[float]) -> PyhfLimit:
        bounds = [list(map(float, pair)) for pair in model.config.suggested_bounds()]
        poi = model.config.poi_index
        known: dict[float, list[float]] = {}

        def cls(mu: float) -> list[float]:
            if mu not in known:
                bounds[poi][1] = max(bounds[poi][1], 10 * mu)
                one, five = pyhf.infer.hypotest(
                    mu,
                    data,
                    model,
                    par_bounds=[tuple(pair) for pair in bounds],
                    test_stat="qtilde",
                    return_expected_set=True,
                )
                known[mu] = [float(one), *map(float, five)]
            return known[mu]

        signal = float(model.expected_actualdata([*_at_strength(model, 1.0)])[0])
        scale = max(signal - float(model.expected_actualdata([*_at_strength(model, 0.0)])[0]), 1e-300)
        start = (3 + 2 * math.sqrt(data[0])) / scale
        observed, *five = (_crossing(cls, place, 1 - level, start, known) for place in range(6))
        return PyhfLimit(observed, (five[0], five[1], five[2], five[3], five[4]))

    return _asked(document, count, limits)


def toy_q0(
    document: Mapping[str, Any], *, count: float | None = None, toys: int = 1000, seed: int = 0
) -> PyhfToys:
    """Discovery p-value by pyhf's ``ToyCalculator``; some 10 ms a toy, and it throws both hypotheses.

    Parameters
    ----------
    document, count
        As in `asymptotic_q0`.
    toys : int
        Per hypothesis, at least 1.
    seed : int
        For NumPy's global generator, from which pyhf draws; its state is given back.

    Raises
    ------
    InputError
        If pyhf cannot build or fit the model.
    """

    def thrown(model: Any, data: list[float]) -> PyhfToys:
        calculator = _toy_calculator(model, data, "q0", toys)
        observed = float(calculator.teststatistic(0.0))
        with _numpy_seed(seed):
            under_background = calculator.distributions(0.0)[0]
        p = float(under_background.pvalue(observed))
        return PyhfToys(p, binomial_error(p * toys, toys), observed, toys, seed)

    return _asked(document, count, thrown, optimizers=("scipy", "minuit"))


def toy_cls(document: Mapping[str, Any], mu: float, *, toys: int = 1000, seed: int = 0) -> PyhfCls:
    """CLs of the strength `mu` > 0 by pyhf's ``ToyCalculator`` with q~; arguments and errors otherwise as in `toy_q0`."""
    if not (mu > 0 and math.isfinite(mu)):
        raise InputError(f"mu = {mu:g} must be positive and finite: q~ has no value at zero strength")

    def thrown(model: Any, data: list[float]) -> PyhfCls:
        calculator = _toy_calculator(model, data, "qtilde", toys, largest=10 * mu)
        observed = calculator.teststatistic(mu)
        with _numpy_seed(seed):
            both, alone = calculator.distributions(mu)
        with_signal, background = float(both.pvalue(observed)), float(alone.pvalue(observed))
        if background == 0:
            raise InputError(f"no background toy of {toys} is as signal-like as the data; throw more toys")
        cls = with_signal / background
        relative = math.hypot(
            binomial_error(with_signal * toys, toys) / max(with_signal, 1 / toys),
            binomial_error(background * toys, toys) / background,
        )
        return PyhfCls(cls, max(cls, 1 / toys) * relative, toys, seed)

    return _asked(document, None, thrown, optimizers=("scipy", "minuit"))


def _asked(
    document: Mapping[str, Any],
    count: float | None,
    question: Callable[[Any, list[float]], T],
    *,
    optimizers: tuple[str, ...] = ("minuit", "scipy"),
) -> T:
    """Put a question to pyhf's model and data, with one minimiser and, should that fail, with the other.

    SciPy's stops up to 1e-3 short in Z without a word, depending on how the machine rounds, but is twice as fast, which
    suits toys; Minuit crashes where no parameter is free.
    """
    import pyhf

    failure: Exception | None = None
    for optimizer in optimizers:
        # what pyhf divides by zero on the way shows in its answer, which is checked
        with _numpy_backend(optimizer), _silent(), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.filterwarnings("ignore", category=RuntimeWarning)
            warnings.filterwarnings("ignore", message="Hesse called with all parameters fixed")
            try:
                workspace = pyhf.Workspace(document)
                model = workspace.model(validate=False)  # the workspace was
                data = workspace.data(model)
                if count is not None:
                    data = [float(count), *model.config.auxdata]
                data = [float(x) for x in data]
                _check_domain(model, data)
                return question(model, data)
            except InputError:
                raise
            except (pyhf.exceptions.FailedMinimization, AttributeError) as error:
                failure = failure or error
            except RuntimeError as error:  # brentq at its last step
                raise InputError(f"pyhf finds no limit: {error}") from error
            except (pyhf.exceptions.InvalidModel, ValueError) as error:
                raise InputError(f"pyhf cannot fit this workspace: {error}") from error
    raise InputError(f"pyhf cannot fit this workspace: {failure}") from failure


def _check_domain(model: Any, data: list[float]) -> None:
    """Raise where pyhf's answers would be wrong without a word.

    Raises
    ------
    InputError
        Above `LARGEST_COUNT` events, and where the data pull a nuisance parameter to its bound.
    """
    import pyhf

    largest = max(data[0], float(model.expected_actualdata([*_at_strength(model, 0.0)])[0]))
    if largest > LARGEST_COUNT:
        raise InputError(
            f"{largest:g} events are outside the domain of pyhf's fits, which end before the minimum above {LARGEST_COUNT:g}"
        )
    fitted = np.asarray(pyhf.infer.mle.fixed_poi_fit(0.0, data, model))
    bounds = np.asarray(model.config.suggested_bounds(), dtype=float)
    nuisance = np.arange(fitted.size) != model.config.poi_index
    if (np.abs(fitted) > 0.999 * bounds[:, 1])[nuisance].any():
        raise InputError(
            f"the data pull the background beyond the bounds of pyhf's nuisance parameters, {bounds[nuisance, 1].min():g} "
            "standard deviations"
        )


def _at_strength(model: Any, mu: float) -> list[float]:
    parameters = [float(x) for x in model.config.suggested_init()]
    parameters[model.config.poi_index] = mu
    return parameters


def _crossing(
    cls: Callable[[float], list[float]],
    place: int,
    alpha: float,
    start: float,
    known: dict[float, list[float]],
) -> float:
    """Strength at which one of the CLs values of `cls` falls to `alpha`; `known` holds what was computed before."""
    from scipy.optimize import brentq

    cls(start)
    for _ in range(MOST_STEPS):
        found = [values[place] for values in known.values()]
        if not all(map(math.isfinite, found)):
            raise InputError("pyhf's CLs is not a number here; leave pyhf out")
        if min(found) > alpha:
            cls(2 * max(known))
        elif max(found) < alpha:
            cls(0.5 * min(known))
        else:
            break
    else:
        raise InputError(f"pyhf's CLs does not cross {alpha:g} within {MOST_STEPS} steps; leave pyhf out")
    low = max(mu for mu, values in known.items() if values[place] >= alpha)
    high = min((mu for mu, values in known.items() if values[place] <= alpha and mu >= low), default=low)
    if low == high:
        return low
    return float(
        brentq(
            lambda mu: math.log(max(cls(mu)[place], 1e-300) / alpha), low, high, rtol=1e-4, xtol=1e-12 * high
        )
    )


def _toy_calculator(model: Any, data: list[float], statistic: str, toys: int, *, largest: float = 0.0) -> Any:
    import pyhf

    bounds = [list(map(float, pair)) for pair in model.config.suggested_bounds()]
    poi = model.config.poi_index
    bounds[poi][1] = max(bounds[poi][1], largest)
    return pyhf.infer.calculators.ToyCalculator(
        data,
        model,
        par_bounds=[tuple(pair) for pair in bounds],
        test_stat=statistic,
        ntoys=toys,
        track_progress=False,
    )


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


def to_json(
    document: Mapping[str, Any], *, schema: Literal["workspace.json", "patchset.json"] = "workspace.json"
) -> str:
    """Write a workspace, or a patch set, as JSON text, after validating it against pyhf's schema; ends with a newline."""
    import pyhf

    pyhf.schema.validate(document, schema)
    return json_text(document, "the workspace", indent=1, ensure_ascii=True) + "\n"


def _backgrounds(aggregate: AggregateBin) -> list[Document]:
    """Samples of the processes; where these have no uncertainties, and a covariance of the bins alone says how uncertain the sum is, with that."""
    samples = [_sample(process) for process in aggregate.processes]
    total = aggregate.background
    if (total.up > 0 or total.down > 0) and not any(sample["modifiers"] for sample in samples):
        common = _modifier("background", total.nominal, total.up, total.down)
        for sample in samples:
            sample["modifiers"] = [common]
    return samples


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


def _names(samples: list[Document]) -> list[str]:
    """Names of the constrained modifiers, each once, in order."""
    modifiers = (modifier for sample in samples for modifier in sample["modifiers"])
    return list(dict.fromkeys(m["name"] for m in modifiers if m["type"] in {"normsys", "histosys"}))


def _nuisance(name: str) -> Document:
    """Bounds of a nuisance parameter: pyhf's own, 5 standard deviations, stop the fit where data pull farther."""
    return {"name": name, "bounds": [[-LARGEST_PULL, LARGEST_PULL]], "inits": [0.0]}


def _mu_bound(aggregate: AggregateBin) -> float:
    """Ten times the strength that would explain twice everything seen or expected, so no fit ends there."""
    events = max(aggregate.observed, aggregate.signal + aggregate.background.nominal, 1.0)
    return max(10.0, 20.0 * events / aggregate.signal)


@contextmanager
def _numpy_backend(optimizer: str = "minuit") -> Iterator[None]:
    """Use pyhf's NumPy backend and give the caller's back: it is global to the process."""
    import pyhf

    backend, previous = pyhf.get_backend()
    pyhf.set_backend("numpy", custom_optimizer=optimizer)
    try:
        yield
    finally:
        pyhf.set_backend(backend, custom_optimizer=previous)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep pyhf from logging the traceback of a fit that the other minimiser may do."""
    logger = logging.getLogger("pyhf")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator, which pyhf's toys come from, and give its state back."""
    state = np.random.get_state()  # noqa: NPY002 - pyhf knows no other
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
