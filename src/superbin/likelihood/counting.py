"""The sparse counting engine under the protocol of every engine, and its models as plain descriptions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaln, ndtr, xlogy

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.likelihood import inference
from superbin.likelihood.data import Data
from superbin.likelihood.engine import EngineFit, Values, parameter_array
from superbin.likelihood.few import few_events
from superbin.likelihood.fit import Fit, Fitter, single_threaded
from superbin.likelihood.found import Exclusion, FoundMinimum, Significance, UpperLimit
from superbin.likelihood.model import BoolArray, CountingModel, add_up
from superbin.likelihood.model import Parameter as CountingParameter
from superbin.likelihood.newton import Minimum
from superbin.statistical_model import (
    Channel,
    Effect,
    LogNormal,
    Normal,
    Parameter,
    Poisson,
    Rate,
    Sample,
    StatisticalModel,
)

__all__ = ["CountingFit", "CountingLikelihood", "counting_model", "describe"]

SYMMETRIC = 1e-5
"""Combine takes a pair of factors whose product differs from one by less than this as symmetric, with the upper factor."""

LEAST_RATE = 1e-6
"""Lower end of free rates that may vanish: the sparse engine needs their logarithm."""

MOST_RATE = 100.0
"""Upper end, in units of the start, of free rates without one."""

SHOWN = 5
"""Parameters at bounds that a doubt names."""


@dataclass(frozen=True, slots=True, eq=False)
class CountingFit:
    """A fit of the sparse engine with the attributes of every `superbin.likelihood.engine.EngineFit`.

    Attributes
    ----------
    status : str
        ``"converged"``, or why there is no result.
    nll : float
        With all constants, as pyhf's ``-logpdf``; NaN if the fit failed.
    height : float
        Above the saturated model.
    mu, mu_error : float or None
    values : mapping of str to float
    at_bounds, doubts : tuple of str
    minima : tuple of FoundMinimum
    data : Data
    seconds : float
    inner : Fit
        As the sparse engine has it.
    """

    status: str
    nll: float
    height: float
    mu: float | None
    mu_error: float | None
    values: Mapping[str, float]
    at_bounds: tuple[str, ...]
    doubts: tuple[str, ...]
    minima: tuple[FoundMinimum, ...]
    data: Data
    seconds: float
    inner: Fit

    @property
    def ok(self) -> bool:
        """Whether it converged."""
        return self.inner.ok

    @property
    def x(self) -> FloatArray:
        """The signal strength and all parameters."""
        return self.inner.x


class CountingLikelihood:
    """A counting model with its data, for everything that one can ask of a likelihood.

    Parameters
    ----------
    model : CountingModel
        The model.
    name : str
        Where it came from.
    strength : str
        Name that the signal strength has in results; no parameter may have it.
    iterations : int
        Largest number of Newton steps per branch.
    """

    def __init__(
        self, model: CountingModel, *, name: str = "", strength: str = "mu", iterations: int = 100
    ) -> None:
        if strength in model.index:
            raise InputError(
                f"a nuisance is named {strength!r} as the signal strength is; give the strength another name"
            )
        self.model = model
        self.name = name
        self._strength = strength
        self._iterations = iterations

    @cached_property
    def fitter(self) -> Fitter:
        """The engine itself."""
        return Fitter(self.model, iterations=self._iterations)

    @cached_property
    def description(self) -> StatisticalModel:
        """The model as plain data."""
        return describe(self.model, name=self.name, strength=self._strength)

    @property
    def strength(self) -> str | None:
        """Name of the signal strength; None without a signal."""
        return self._strength if self.model.signal.any() else None

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The signal strength and all nuisances."""
        return (self._strength, *(p.name for p in self.model.parameters))

    @cached_property
    def bins(self) -> tuple[tuple[str, int], ...]:
        """Channels; each has one bin."""
        return tuple((name, 1) for name in self.model.channels)

    @property
    def counted(self) -> BoolArray:
        """All bins are in the likelihood."""
        return np.ones(len(self.model.channels), dtype=bool)

    @property
    def initial(self) -> FloatArray:
        """Where fits start."""
        return self.fitter.objective.initial.copy()

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds."""
        return self.fitter.objective.lower.copy(), self.fitter.objective.upper.copy()

    @property
    def fixed(self) -> BoolArray:
        """No parameter is fixed but the strength of a model without signal."""
        fixed = np.zeros(len(self.parameters), dtype=bool)
        fixed[0] = self.strength is None
        return fixed

    @property
    def widths(self) -> FloatArray:
        """One for constrained nuisances, infinite for the others."""
        return np.where(self.fitter.objective.constrained > 0, 1.0, np.inf)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """Constraint of each parameter."""
        return ("free", *("normal" if p.kind == "normal" else "free" for p in self.model.parameters))

    @property
    def observed(self) -> Data:
        """The data."""
        return self.fitter.observed

    def array(self, values: Values) -> FloatArray:
        """Parameters as an array; those that a mapping does not name are at their initial values."""
        return parameter_array(self.parameters, self.fitter.objective.initial, values)

    def asimov(self, values: Values) -> Data:
        """Return the data that parameters predict exactly."""
        x = self.array(values)
        return inference.asimov(self.fitter, x, float(x[0]))

    def draw(self, values: Values, rng: np.random.Generator) -> Data:
        """Draw Poisson counts, then a unit normal around the value of every constrained parameter."""
        x, objective = self.array(values), self.fitter.objective
        counts = rng.poisson(objective.expected(x)).astype(np.float64)
        shift = rng.standard_normal(objective.n_parameters)
        return Data(counts, (x + shift) * objective.constrained)

    def _constant(self, data: Data) -> float:
        n = data.counts
        constraints = self.fitter.objective.constrained.sum() * 0.5 * np.log(2 * np.pi)
        return float((n - xlogy(n, n) + gammaln(n + 1)).sum() + constraints)

    def nll(self, values: Values, *, data: Data | None = None) -> float:
        """Negative log-likelihood with all constants; infinite where events were counted and none are expected."""
        data = self.observed if data is None else data
        return self.fitter.objective.nll(self.array(values), data) + self._constant(data)

    def gradient(self, values: Values, *, data: Data | None = None) -> FloatArray:
        """Gradient of `nll`."""
        return self.nll_and_gradient(values, data=data)[1]

    def nll_and_gradient(self, values: Values, *, data: Data | None = None) -> tuple[float, FloatArray]:
        """`nll` with its gradient."""
        data = self.observed if data is None else data
        point = self.fitter.objective.point(self.array(values), data)
        return point.nll + self._constant(data), point.gradient

    def expected(self, values: Values) -> FloatArray:
        """Expected events of all channels."""
        return self.fitter.objective.expected(self.array(values))

    def jacobian(self, values: Values) -> FloatArray:
        """Derivatives of `expected`, shape (n_channels, n_parameters)."""
        objective = self.fitter.objective
        terms = objective.jacobian(objective.point(self.array(values), self.observed))
        slopes = np.zeros((objective.n_channels, objective.n_parameters))
        np.add.at(slopes, self.model.term_channel, terms)
        return slopes

    def samples(self, values: Values) -> dict[str, FloatArray]:
        """Expected events of all channels by process."""
        rates, _ = self.fitter.objective.rates(self.array(values))
        names = np.array(self.model.processes)
        n = len(self.model.channels)
        return {
            name: add_up(self.model.term_channel[rows], rates[rows], n)
            for name in dict.fromkeys(self.model.processes)
            for rows in [np.flatnonzero(names == name)]
        }

    def fit(
        self,
        *,
        mu: float | None = None,
        data: Data | None = None,
        hold: Mapping[str, float] | None = None,
        start: EngineFit | None = None,
        thorough: bool = True,
    ) -> CountingFit:
        """Minimise; without `thorough` only the minima of `start` are followed."""
        hold = dict(hold or {})
        if self._strength in hold and mu is None:
            mu = hold.pop(self._strength)
        first, every = _inner(start), thorough or start is None
        return self._wrapped(
            self.fitter.fit(mu=mu, data=data, hold=hold, start=first, explore=every, branches=every)
        )

    def pair(
        self,
        mu: float = 0.0,
        *,
        data: Data | None = None,
        start: EngineFit | None = None,
        thorough: bool = True,  # noqa: ARG002
    ) -> tuple[CountingFit, CountingFit]:
        """Return the fit of the strength, at or above 0, and the fit with it held at `mu`."""
        free, held = inference.fit_both(self.fitter, mu, data=data, start=_inner(start))
        return self._wrapped(free), self._wrapped(held)

    def _wrapped(self, fit: Fit) -> CountingFit:
        constant = self._constant(fit.data)
        ended = [m for m in fit.minima if m.status == "converged"]
        lowest = min((m.point.nll for m in ended), default=np.nan)
        minima = tuple(
            FoundMinimum(
                m.point.nll + constant,
                2 * (m.point.nll - lowest),
                m.point.x,
                (self._branch(fit),) if m is fit.minima[0] else (),
            )
            for m in _distinct(sorted(ended, key=lambda m: m.point.nll))
        )
        names = tuple(self._strength if name == "mu" else name for name in fit.at_bounds)
        return CountingFit(
            status=fit.status if fit.ok else f"{fit.status}: {fit.reason}",
            nll=fit.nll + constant,
            height=fit.nll,
            mu=fit.mu if fit.ok else None,
            mu_error=fit.mu_error,
            values=dict(zip(self.parameters, fit.x.tolist(), strict=True)) if fit.ok else {},
            at_bounds=names,
            doubts=_doubts(names, minima) if fit.ok else (),
            minima=minima,
            data=fit.data,
            seconds=fit.seconds,
            inner=fit,
        )

    @staticmethod
    def _branch(fit: Fit) -> str:
        return fit.branch or "initial values"

    def covariance(self, result: EngineFit) -> FloatArray:
        """Inverse Hessian at a fit, zero for parameters that are held or at a bound.

        Raises
        ------
        InputError
            If the fit failed.
        """
        inner = _inner(result)
        if inner is None or not inner.ok:
            raise InputError(f"a covariance needs a converged fit; this one is {result.status}")
        factor, free = self.fitter.hessian(inner), inner.minima[0].free
        with single_threaded():
            inverse = np.asarray(factor.solve(np.eye(inner.x.size)))
        return np.where(free[:, None] & free, inverse, 0.0)

    def _both(self) -> tuple[CountingFit, CountingFit, tuple[str, ...]]:
        """Return both fits and what is doubtful about them."""
        if self.strength is None:
            raise InputError("the model has no signal, so there is nothing to set a limit on")
        free, background = self.pair()
        notes = [
            *(f"fit of {self._strength}: {d}" for d in free.doubts),
            *(f"fit at {self._strength} = 0: {d}" for d in background.doubts),
        ]
        if background.ok:
            x = background.x.copy()
            without = self.expected(x)
            x[0] = 1.0
            few = few_events(without, self.expected(x) - without)
            notes = [few, *notes] if few else notes
        return free, background, tuple(notes)

    def significance(self) -> Significance:
        """Significance of rejecting mu = 0; see `superbin.likelihood.inference.discovery`."""
        free, background, doubts = self._both()
        if free.ok and background.inner.status == "not-finite":
            x = background.inner.x
            bad = np.flatnonzero((self.observed.counts > 0) & ~(self.expected(x) > 0))
            if bad.size:
                note = f"mu = 0 is impossible (channel {self.model.channels[int(bad[0])]} expects nothing where events were counted)"
                return Significance(np.inf, np.inf, 0.0, free.mu, "converged", (*doubts, note))
        found = inference.discovery(free.inner, background.inner)
        p = None if found.z is None else float(ndtr(-found.z))
        return Significance(found.q0, found.z, p, free.mu, found.status, doubts)

    def cls(self, mu: float = 1.0) -> Exclusion:
        """CLs of a signal strength, observed and expected; see `superbin.likelihood.inference.exclusion`."""
        free, background, doubts = self._both()
        found = inference.exclusion(self.fitter, free.inner, background.inner, mu)
        made = background.minima[0] if background.minima else None
        return Exclusion(
            found.cls, found.above, found.below, found.expected, found.q, found.q_asimov, found.status, doubts, made
        )  # fmt: skip

    def limit(self, *, level: float = 0.95) -> UpperLimit:
        """Upper limit on mu; see `superbin.likelihood.inference.upper_limit`."""
        free, background, doubts = self._both()
        found = inference.upper_limit(self.fitter, free.inner, background.inner, level=level)
        minima = background.minima
        if len(minima) > 1:
            doubts = (
                *doubts,
                f"the Asimov set is that of the lowest minimum at mu = 0; the next is {minima[1].above:.4g} higher in 2 NLL",
            )
        return UpperLimit(
            found.observed,
            found.expected,
            found.bands,
            level,
            found.status,
            doubts,
            minima[0] if minima else None,
            minima[1:],
        )


def _inner(fit: EngineFit | None) -> Fit | None:
    return fit.inner if isinstance(fit, CountingFit) else None


def _distinct(minima: list[Minimum]) -> list[Minimum]:
    found: list[Minimum] = []
    for minimum in minima:
        if not any(abs(minimum.point.nll - m.point.nll) < inference.SAME for m in found):
            found.append(minimum)
    return found


def _doubts(at_bounds: tuple[str, ...], minima: tuple[FoundMinimum, ...]) -> tuple[str, ...]:
    found = []
    if at_bounds:
        more = f" and {len(at_bounds) - SHOWN} more" if len(at_bounds) > SHOWN else ""
        found.append(f"at a bound: {', '.join(at_bounds[:SHOWN])}{more}")
    if len(minima) > 1:
        found.append(f"{len(minima)} minima found, the next {minima[1].above:.4g} higher in 2 NLL")
    return tuple(found)


def describe(model: CountingModel, *, name: str = "", strength: str = "mu") -> StatisticalModel:
    """Return a counting model as a description: every channel one bin, every term a sample.

    Parameters
    ----------
    model : CountingModel
        The model.
    name : str
        Of the description.
    strength : str
        Name of the signal strength.
    """
    effects: list[list[Effect]] = [[Rate(strength)] if signal else [] for signal in model.signal]
    for t, j, low, high in zip(
        model.entry_term, model.entry_parameter, model.log_down, model.log_up, strict=True
    ):
        parameter = model.parameters[j]
        symmetric = model.interpolation == "combine" and abs(np.expm1(low + high)) < SYMMETRIC
        factors = float(np.exp(-high if symmetric else low)), float(np.exp(high))
        effects[t].append(
            Rate(parameter.name)
            if parameter.kind == "free"
            else LogNormal(parameter.name, *factors, model.interpolation)
        )
    terms: list[list[int]] = [[] for _ in model.channels]
    for t, c in enumerate(model.term_channel.tolist()):
        terms[c].append(t)
    channels = tuple(
        Channel(
            channel,
            np.array([model.observed[c]]),
            tuple(
                Sample(_sample(model, t, terms[c]), np.array([model.rates[t]]), tuple(effects[t]))
                for t in terms[c]
            ),
        )
        for c, channel in enumerate(model.channels)
    )
    has_signal = bool(model.signal.any())
    parameters = tuple(_parameter(p) for p in model.parameters)
    if has_signal:
        parameters = (Parameter(strength, 1.0, 0.0), *parameters)
    return StatisticalModel(channels, parameters, (strength,) if has_signal else (), name)


def counting_model(description: StatisticalModel) -> CountingModel | None:
    """Return a purely counting description as a model of the sparse engine; None if it is more than that.

    That is: channels of one bin, log-normal factors of one convention with unit normal or flat parameters, free rates, and Poisson counts, which become
    channels of their own named ``count:`` and the parameter; nothing fixed or masked.

    Parameters
    ----------
    description : StatisticalModel
        The model.
    """
    strength = description.signal_strengths[0] if len(description.signal_strengths) == 1 else None
    parameters = [_counted(p) for p in description.parameters if p.name != strength]
    codes = {e.code for _, s in _samples(description) for e in s.effects if isinstance(e, LogNormal)}
    if strength is None or None in parameters or len(codes) > 1 or not _is_counting(description, strength):
        return None
    position = {p.name: j for j, p in enumerate(parameters) if p is not None}
    channels = [c.name for c in description.channels]
    observed = [float(c.observed[0]) for c in description.channels]
    terms: list[tuple[int, str, float, bool]] = []
    entries: list[tuple[int, int, float, float]] = []
    for c, sample in _samples(description):
        rate = float(sample.nominal[0])
        if rate == 0:
            continue
        own = [e for e in sample.effects if not (isinstance(e, Rate) and e.parameter == strength)]
        for effect in own:
            if isinstance(effect, LogNormal):
                entries.append(
                    (len(terms), position[effect.parameter], np.log(effect.low), np.log(effect.high))
                )
            elif isinstance(effect, Rate):
                entries.append((len(terms), position[effect.parameter], 0.0, 0.0))
        terms.append((c, sample.name, rate, len(own) < len(sample.effects)))
    for parameter in description.parameters:
        if isinstance(parameter.constraint, Poisson):
            entries.append((len(terms), position[parameter.name], 0.0, 0.0))
            terms.append((len(channels), parameter.name, parameter.constraint.scale, False))
            channels.append(f"count:{parameter.name}")
            observed.append(parameter.constraint.count)
    used = {j for _, j, _, _ in entries}
    if len(used) < len(position) or not any(t[3] for t in terms):
        return None
    with_signal = sorted({t[0] for t in terms if t[3]})
    bins = np.full(len(channels), -1, dtype=np.intp)
    bins[with_signal] = np.arange(len(with_signal))
    term_channel = np.array([t[0] for t in terms], dtype=np.intp)
    return CountingModel(
        channels=tuple(channels),
        bins=bins,
        observed=np.array(observed),
        processes=tuple(t[1] for t in terms),
        term_channel=term_channel,
        term_bin=bins[term_channel],
        rates=np.array([t[2] for t in terms]),
        signal=np.array([t[3] for t in terms]),
        parameters=tuple(p for p in parameters if p is not None),
        entry_term=np.array([e[0] for e in entries], dtype=np.intp),
        entry_parameter=np.array([e[1] for e in entries], dtype=np.intp),
        log_down=np.array([e[2] for e in entries]),
        log_up=np.array([e[3] for e in entries]),
        interpolation=codes.pop() if codes else "combine",
    )


def _samples(description: StatisticalModel) -> Iterator[tuple[int, Sample]]:
    return ((c, sample) for c, channel in enumerate(description.channels) for sample in channel.samples)


def _is_counting(description: StatisticalModel, strength: str) -> bool:
    """Whether channels and samples are such as the sparse engine has."""
    of = {p.name: p for p in description.parameters}
    return (
        not of[strength].fixed
        and of[strength].lower <= 0
        and all(c.observed.size == 1 and not (c.masked or c.statistics) for c in description.channels)
        and all(_is_term(sample, strength, of) for _, sample in _samples(description))
    )


def _is_term(sample: Sample, strength: str, of: Mapping[str, Parameter]) -> bool:
    rates = [e.parameter for e in sample.effects if isinstance(e, Rate) and e.parameter != strength]
    powers = [e.parameter for e in sample.effects if isinstance(e, LogNormal)]
    known = len(rates) + len(powers) + sum(_is_strength(e, strength) for e in sample.effects)
    kinds = [_counted(of[name]) for name in (*rates, *powers)]
    return (
        sample.nominal[0] >= 0
        and not np.isfinite(sample.floor)
        and sample.total is None
        and known == len(sample.effects)
        and len(rates) <= 1
        and len(set(powers)) == len(powers)
        and all(p is not None and (p.kind == "free") == (k < len(rates)) for k, p in enumerate(kinds))
    )


def _is_strength(effect: Effect, strength: str) -> bool:
    return isinstance(effect, Rate) and effect.parameter == strength


def _counted(parameter: Parameter) -> CountingParameter | None:
    """A parameter as the sparse engine has it, None if it has none such."""
    name, lower, upper = parameter.name, parameter.lower, parameter.upper
    if parameter.fixed:
        return None
    if parameter.constraint == Normal():
        return (
            CountingParameter(name, "normal", lower, upper, parameter.initial) if lower < 0 < upper else None
        )
    if isinstance(parameter.constraint, Normal) or (lower < 0 and (lower, upper) != (-1.0, 1.0)):
        return None
    if lower < 0:
        return CountingParameter(name, "flat", lower, upper, parameter.initial)
    lower = max(lower, LEAST_RATE)
    upper = upper if np.isfinite(upper) else MOST_RATE * max(parameter.initial, 1.0)
    return CountingParameter(name, "free", lower, upper, min(max(parameter.initial, lower), upper))


def _sample(model: CountingModel, term: int, beside: list[int]) -> str:
    """Name of a term's sample: its process; in a merged channel, where a process comes once per bin, with the bin."""
    process = model.processes[term]
    several = sum(model.processes[t] == process for t in beside) > 1
    return f"{process}_bin{model.term_bin[term] + 1}" if several else process


def _parameter(parameter: CountingParameter) -> Parameter:
    constraint = Normal() if parameter.kind == "normal" else None
    return Parameter(parameter.name, parameter.initial, parameter.lower, parameter.upper, constraint)
