"""What a merge can be chosen for: one object per figure of merit, in one registry.

A `Merit` holds the function, what searches and proofs need of it, and its words for commands, papers and maps. To add one,
make it and `register` it; every search, command and paper then knows it:

>>> from superbin.domain.merits import Merit
>>> ratio = Merit("s_over_b", "largest s/b", "maximise $s/b$", "s/b", lambda sums: sums.signal / sums.background)

Nothing here needs NumPy: functions that do are named as ``module:function`` and imported when they are first called.
"""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from superbin.errors import InputError, UnknownNameError

__all__ = ["MERITS", "FigureOfMerit", "Merit", "merit", "named", "register"]

Reference: TypeAlias = str | Callable[..., Any]
"""A function or a class, or its name as ``module:function``."""


FigureOfMerit: TypeAlias = Literal["midp", "profile_asimov", "s_over_sqrt_bv", "limit", "asimov_limit"] | str
"""The figures of merit of superbin; a registered one is any other text."""


@dataclass(frozen=True, slots=True)
class Merit:
    """A figure of merit: what a merge maximises, as a function of its sums. Calling it evaluates it.

    Attributes
    ----------
    name : str
        As options and documents have it.
    goal : str
        What a merge is chosen for, such as ``largest expected significance``.
    tex : str
        The same, in full, for a paper: a verb and its object; LaTeX.
    symbol : str
        Of the number that is shown for it.
    exact : Reference
        Function of `superbin.domain.sums.Totals`: one value per set, zero without signal, rising with it. A set without a finite
        value is never preferred.
    quick : Reference, optional
        What ranks very many sets, of the upward uncertainty alone; by default `exact`.
    grows : Reference, optional
        What the greedy search increases; by default `exact`.
    stand_in : Merit, optional
        Where `exact` is too slow for a search: what searches instead, before it ranks the best.
    best : Reference, optional
        ``best(totals, keep, floor)``: as `exact`, but -inf for sets that are certain not to be among the `keep` best or above
        `floor`, and would take long.
    dual : Reference, optional
        Class in the manner of `superbin.merge.dual`: makes the optimum provable. Of `test`, where there is one.
    test : Reference, optional
        The significance whose threshold is the limit, if the figure is the inverse of a limit and `dual` is of its test.
    at_most : Reference, optional
        ``at_most(signal, ranges, enough)`` in the manner of `superbin.merge.cells`: bounds a figure that is no maximum of linear functions.
    least_down : bool
        Whether less downward uncertainty makes it larger, as for limits; for what `at_most` bounds.
    limit : bool
        Whether it is the inverse of an upper limit on the signal strength: the limit is shown, and the lowest is best.
    proportional : bool
        Whether it is the signal times a function of the background: the mean over signals is then that of one average signal.
    jumps : bool
        Whether it has steps, such as those of the median count: searches then try harder.
    """

    name: str
    goal: str
    tex: str
    symbol: str
    exact: Reference
    quick: Reference | None = None
    grows: Reference | None = None
    stand_in: "Merit | None" = None
    best: Reference | None = None
    dual: Reference | None = None
    test: Reference | None = None
    at_most: Reference | None = None
    least_down: bool = False
    limit: bool = False
    proportional: bool = False
    jumps: bool = False

    def __call__(self, totals: Any) -> Any:
        """Value for every set, shape (n_sets,), of their `superbin.domain.sums.Totals`; zero where it is not finite."""
        return _finite(self.exact, totals)

    def rank(self, totals: Any) -> Any:
        """As a call, fast and approximate, of the upward uncertainty alone."""
        return _finite(self.quick or self.exact, totals)

    def among_best(self, totals: Any, keep: int, floor: float) -> Any:
        """As a call, for a search that remembers the `keep` best sets, the worst of which has `floor`: -inf for what is no such set."""
        return self(totals) if self.best is None else _resolved(self.best)(totals, keep, floor)

    def growth(self, totals: Any) -> Any:
        """What the greedy search increases."""
        return _finite(self.grows or self.exact, totals)

    def significance(self, totals: Any) -> Any:
        """The test whose threshold a provable limit is."""
        return _resolved(self.test or self.exact)(totals)

    @property
    def provable(self) -> bool:
        """Whether a function convex and homogeneous in the sums decides, so that the optimum can be certified."""
        return self.dual is not None

    def made_dual(self) -> Any:
        """The dual of a provable figure of merit."""
        if self.dual is None:
            raise TypeError(f"{self.name} has no dual")
        return _resolved(self.dual)()

    def largest(self, signal: Any, ranges: Any, enough: float = 0.0) -> Any:
        """No set with at most this signal and a background of the range has more; it need not be below `enough`."""
        if self.at_most is None:
            raise TypeError(f"{self.name} has no bound over ranges")
        return _resolved(self.at_most)(signal, ranges, enough)

    @property
    def searched(self) -> "Merit":
        """What searches use: the stand-in, where there is one."""
        return self.stand_in or self

    def shown(self, value: float) -> float:
        """The number to show for a value of the figure of merit: a limit itself, not its inverse."""
        return 1 / value if self.limit else value


def _finite(reference: Reference, totals: Any) -> Any:
    """Values of sets; zero for those of which the function makes nothing finite, such as s/b without background."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        values = _resolved(reference)(totals)
    return np.where(np.isfinite(values), values, 0.0)


def _resolved(reference: Reference) -> Any:
    return _imported(reference) if isinstance(reference, str) else reference


@lru_cache(maxsize=64)
def _imported(name: str) -> Any:
    return pkgutil.resolve_name(name)


_FIGURES = "superbin.merge.figures:"
_EXCLUSION = "superbin.merge.exclusion:"
_DUAL = "superbin.merge.dual:"

_LIMIT_WORDS = (
    "lowest expected limit",
    r"minimise the exact median expected $95\,\%$ CLs limit on the signal strength",
    "mu95",
)

_KNOWN = (
    Merit(
        "midp",
        "largest expected significance",
        "maximise the exact expected mid-p significance at $n=s+b$ (for sets that do not reach $Z=1$, $1/\\mu$ with the signal "
        "strength $\\mu$ at which they would)",
        "figure of merit",
        exact=_FIGURES + "midp",
        quick=_FIGURES + "quick_midp",
        grows=_FIGURES + "expected_z",
        best=_FIGURES + "best_midp",
        at_most="superbin.merge.cells:midp_at_most",
    ),
    Merit(
        "profile_asimov",
        "largest Asimov significance",
        "maximise the Asimov significance of a Gaussian-constrained background",
        "Z_G",
        exact=_FIGURES + "profile_asimov",
        dual=_DUAL + "AsimovDual",
    ),
    Merit(
        "s_over_sqrt_bv",
        "largest s/sqrt(b + up^2)",
        r"maximise $s/\sqrt{b+\sigma_+^2}$",
        "s/sqrt(b + up^2)",
        exact=_FIGURES + "s_over_sqrt_bv",
        dual=_DUAL + "RatioDual",
        proportional=True,
    ),
    Merit(
        "limit",
        *_LIMIT_WORDS,
        exact=_EXCLUSION + "limit",
        quick=_EXCLUSION + "rough_limit",
        stand_in=Merit(
            "limit",
            *_LIMIT_WORDS,
            exact=_EXCLUSION + "quick_limit",
            best=_EXCLUSION + "best_quick_limit",
            quick=_EXCLUSION + "rough_limit",
            limit=True,
            proportional=True,
            jumps=True,
        ),
        at_most="superbin.merge.least_limits:limit_at_most",
        least_down=True,
        limit=True,
        proportional=True,
        jumps=True,
    ),
    Merit(
        "asimov_limit",
        "lowest asymptotic expected limit",
        r"minimise the asymptotic median expected $95\,\%$ CLs limit on the signal strength",
        "mu95",
        exact=_EXCLUSION + "asimov_limit",
        dual=_EXCLUSION + "ExclusionDual",
        test=_EXCLUSION + "asimov_exclusion",
        limit=True,
        proportional=True,
    ),
)

_registry: dict[str, Merit] = {known.name: known for known in _KNOWN}

MERITS: Mapping[str, Merit] = MappingProxyType(_registry)
"""Every figure of merit by its name."""


def register(new: Merit, *, instead: bool = False) -> Merit:
    """Make a figure of merit known to searches, documents and figures; returns it.

    Parameters
    ----------
    new : Merit
    instead : bool
        Whether it takes the place of one of the same name.

    Raises
    ------
    InputError
        If one of that name is known already, and this is not said to replace it.
    """
    if new.name in _registry and not instead:
        raise InputError(f"a figure of merit is called {new.name!r} already; give yours another name")
    _registry[new.name] = new
    return new


def merit(name: str) -> Merit:
    """Look a figure of merit up by its name.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    try:
        return MERITS[name]
    except KeyError:
        raise UnknownNameError(
            f"no figure of merit is called {name!r}; there are {', '.join(MERITS)}"
        ) from None


def named(name: str) -> Merit:
    """The words for the figure of merit of a document; its name stands for all of them if it is not known here."""
    return MERITS.get(name) or Merit(name, name, f"maximise {name}", name, exact=_unknown)


def _unknown(_: Any) -> Any:
    raise UnknownNameError(
        "the figure of merit of this document is not known here; register it to evaluate it"
    )
