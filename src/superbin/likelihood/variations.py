"""How each nuisance moves the predictions of the bins, up and down; the uncertainty of an aggregate from it.

The prediction is the one made before looking at the bins: every free rate takes the value its control region gives,
``phi = max(0, n - b) / r`` with n observed, b other and r own events there, and every constrained nuisance is zero.
One nuisance at a time then goes to +1 and to -1, in the bins and in the control region alike, and each free rate to the
ends of the central 68.3 % interval of its own count (F. Garwood, Biometrika 28 (1936) 437; 1.841 for none). So a
control region shared by bins, or a nuisance of the same name, moves them together, and nothing is symmetrised.

For a set of bins the shifts of one nuisance add with their signs, shifts of different nuisances in quadrature, upward and
downward separately.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.domain._intervals import garwood_interval
from superbin.domain.search import Search
from superbin.errors import InputError
from superbin.likelihood.interpolation import Exponents
from superbin.likelihood.model import CountingModel, IntArray, PublishedLikelihood, ZeroCount, add_up

__all__ = ["Total", "Variations", "checked_likelihood", "variations"]


@dataclass(frozen=True, slots=True)
class Total:
    """Background of an aggregate with asymmetric uncertainty, in events."""

    nominal: float
    up: float
    down: float


@dataclass(frozen=True, slots=True, eq=False)
class Variations:
    """Shifts of the bins' predictions.

    Attributes
    ----------
    names : tuple of str
        Nuisances and free rates that move at least one bin.
    nominal : array, shape (n_bins,)
        Predicted events.
    plus, minus : array, shape (n_names, n_bins)
        Shift in events, with sign, when one goes up and when it goes down.
    options : mapping of str to str
        Conventions.
    """

    names: tuple[str, ...]
    nominal: FloatArray
    plus: FloatArray
    minus: FloatArray
    options: dict[str, str]

    def total(self, bins: Iterable[int]) -> Total:
        """Return prediction and uncertainty of bins taken as one.

        Parameters
        ----------
        bins : iterable of int
            Published 1-based numbers.
        """
        chosen = self._chosen(bins)
        up, down = _sides(self.plus[:, chosen].sum(axis=1), self.minus[:, chosen].sum(axis=1))
        nominal = float(self.nominal[chosen].sum())
        # No error reaches below zero events.
        return Total(nominal, math.hypot(*up), min(math.hypot(*down), nominal))

    def shifts(self, bins: Iterable[int]) -> tuple[tuple[str, float, float], ...]:
        """Return what each nuisance does to the sum of bins, the largest first: name, and events when it goes up and down.

        Parameters
        ----------
        bins : iterable of int
            Published 1-based numbers.
        """
        chosen = self._chosen(bins)
        plus, minus = self.plus[:, chosen].sum(axis=1), self.minus[:, chosen].sum(axis=1)
        size = np.maximum(np.abs(plus), np.abs(minus))
        order = [int(j) for j in np.argsort(-size, kind="stable") if size[j] > 0]
        return tuple((self.names[j], float(plus[j]), float(minus[j])) for j in order)

    def covariances(self, bins: Iterable[int] | None = None) -> tuple[FloatArray, FloatArray]:
        """Return the covariance of bins for the up side and for the down side.

        The direction of each nuisance is the one that moves the bins' sum up (down), and one that cannot does
        not contribute to that side, so the sum over the up matrix is the square of `total`'s up, and likewise down.

        Parameters
        ----------
        bins : iterable of int, optional
            Published 1-based numbers; by default all.

        Returns
        -------
        tuple of array, shape (len(bins), len(bins))
            Events squared.
        """
        chosen = self._chosen(range(1, self.nominal.size + 1) if bins is None else bins)
        plus, minus = self.plus[:, chosen], self.minus[:, chosen]
        turned = (plus.sum(axis=1) < minus.sum(axis=1))[:, None]
        up, down = np.where(turned, minus, plus), np.where(turned, plus, minus)
        up, down = up[up.sum(axis=1) > 0], down[down.sum(axis=1) < 0]
        return up.T @ up, down.T @ down

    def _chosen(self, bins: Iterable[int]) -> IntArray:
        chosen = np.array(sorted(set(bins)), dtype=np.intp) - 1
        if chosen.size == 0:
            raise InputError("the set of bins is empty; name at least one bin to merge")
        if chosen[0] < 0 or chosen[-1] >= self.nominal.size:
            raise InputError(
                f"bins {chosen[0] + 1} to {chosen[-1] + 1} were asked for; there are 1 to {self.nominal.size}"
            )
        return chosen


def _sides(plus: FloatArray, minus: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.maximum(np.maximum(plus, minus), 0.0), np.minimum(np.minimum(plus, minus), 0.0)


def variations(likelihood: PublishedLikelihood, *, zero_count: ZeroCount = "profiled") -> Variations:
    """Return the shifts of all bins.

    Parameters
    ----------
    likelihood : PublishedLikelihood
        The search.
    zero_count : {"profiled", "dropped"}
        Whether terms whose control region counts none contribute their upward error of 1.841 events; their nominal
        prediction is zero in any case.

    Raises
    ------
    InputError
        If a free rate of a bin has no control region, or more than one.
    """
    model = likelihood.background(zero_count=zero_count)
    work = _Work(model, likelihood.n_bins, likelihood.background_floor)
    names, plus, minus = [], [], []
    for j, parameter in enumerate(model.parameters):
        up, down = work.free(j) if parameter.kind == "free" else work.constrained(j)
        if up.any() or down.any():
            names.append(parameter.name)
            plus.append(up)
            minus.append(down)
    return Variations(
        tuple(names),
        work.bins(work.nominal),
        np.array(plus).reshape(-1, likelihood.n_bins),
        np.array(minus).reshape(-1, likelihood.n_bins),
        {"zero_count": zero_count},
    )


def checked_likelihood(likelihood: PublishedLikelihood, search: Search) -> PublishedLikelihood:
    """Return a likelihood if it is that of a search's content and not of its name alone.

    Parameters
    ----------
    likelihood : PublishedLikelihood
    search : Search

    Raises
    ------
    InputError
        If it predicts other backgrounds than the search has, to 0.1 %.
    """
    expected = np.sum([process.estimate.nominal for process in search.processes], axis=0)
    work = _Work(likelihood.background(zero_count="profiled"), likelihood.n_bins, likelihood.background_floor)
    predicted = work.bins(work.nominal)
    if predicted.shape != expected.shape or not np.allclose(predicted, expected, rtol=1e-3, atol=1e-2):
        raise InputError(
            f"the published likelihood of {search.name!r} predicts other backgrounds than this search has; use "
            "correlations 'none' and no full-likelihood limit, or give the search another name"
        )
    return likelihood


class _Work:
    """One model's rates and controls, arranged for moving one parameter at a time."""

    def __init__(self, model: CountingModel, n_bins: int, floor: float) -> None:
        self.model = model
        self.n_bins = n_bins
        self.floor = floor
        # A rate this small is written so that a logarithm exists; as a prediction it is zero.
        self.rates = np.where(model.rates <= floor, 0.0, model.rates)
        exponents = Exponents.make(
            model.entry_parameter,
            np.zeros(len(model.parameters), dtype=bool),
            model.log_down,
            model.log_up,
            "combine",
        )
        ones = np.ones(len(model.parameters))
        self.factor_up = np.exp(exponents.values(ones))
        self.factor_down = np.exp(exponents.values(-ones))
        self.kinds = model.kinds
        self.entries = _grouped(model.entry_parameter, len(model.parameters))
        self.rate_of = np.full(self.rates.size, -1, dtype=np.intp)
        free = np.flatnonzero(self.kinds[model.entry_parameter] == "free")
        self.rate_of[model.entry_term[free]] = model.entry_parameter[free]
        self.terms_of = _grouped(self.rate_of[self.rate_of >= 0], len(model.parameters))
        self.scaled = np.flatnonzero(self.rate_of >= 0)
        self.control = {int(j): self._control(int(j)) for j in np.flatnonzero(self.kinds == "free")}
        # One entry more, for terms without a free rate, whose index is -1.
        self.phi = np.ones(len(model.parameters) + 1)
        for j in self.control:
            self.phi[j] = self._phi(j, self.rates)
        self.nominal = self.rates * self.phi[self.rate_of]

    def bins(self, terms: FloatArray) -> FloatArray:
        """Sum terms of signal regions into bins."""
        inside = self.model.term_bin >= 0
        return add_up(self.model.term_bin[inside], terms[inside], self.n_bins)

    def _terms(self, j: int) -> IntArray:
        return self.scaled[self.terms_of[j]]

    def _control(self, j: int) -> int:
        terms = self._terms(j)
        controls = np.unique(self.model.term_channel[terms[self.model.term_bin[terms] < 0]])
        if controls.size != 1:
            raise InputError(
                f"free rate {self.model.parameters[j].name!r} has {controls.size} control regions; its prediction "
                "needs exactly one, is a card missing?"
            )
        return int(controls[0])

    def _phi(self, j: int, rates: FloatArray) -> float:
        """Value of a free rate from its control region."""
        inside = self.model.term_channel == self.control[j]
        own = inside & (self.rate_of == j)
        count = float(self.model.observed[self.control[j]] - rates[inside & ~own].sum())
        # Where rates are rounded to the floor, less than that is nothing.
        left = count if count > 2 * self.floor else 0.0
        return left / float(rates[own].sum())

    def free(self, j: int) -> tuple[FloatArray, FloatArray]:
        """Shifts of the bins when a free rate goes to the ends of its interval."""
        own = self._terms(j)
        own = own[self.model.term_bin[own] >= 0]
        control = self._terms(j)
        size = float(self.rates[control[self.model.term_bin[control] < 0]].sum())
        count = self.phi[j] * size
        low, high = garwood_interval(count).tolist()
        moved = np.zeros(self.rates.size)
        moved[own] = self.rates[own] / size
        return self.bins(moved * (high - count)), self.bins(moved * (low - count))

    def constrained(self, j: int) -> tuple[FloatArray, FloatArray]:
        """Shifts of the bins when a nuisance goes to +1 and -1."""
        entries = self.entries[j]
        return self._moved(entries, self.factor_up), self._moved(entries, self.factor_down)

    def _moved(self, entries: IntArray, factor: FloatArray) -> FloatArray:
        terms = self.model.entry_term[entries]
        rates = self.rates.copy()
        rates[terms] *= factor[entries]
        change = self.nominal.copy()
        change[terms] *= factor[entries]
        channels = set(self.model.term_channel[terms[self.model.term_bin[terms] < 0]].tolist())
        for k, channel in self.control.items():
            if channel in channels:
                own = self._terms(k)
                change[own] = rates[own] * self._phi(k, rates)
        return self.bins(change - self.nominal)


def _grouped(keys: IntArray, n: int) -> list[IntArray]:
    """Positions of every key 0 ... n - 1."""
    if n == 0:
        return []
    order = np.argsort(keys, kind="stable")
    return np.split(order, np.searchsorted(keys[order], np.arange(1, n)))
