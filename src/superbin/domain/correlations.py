"""Correlations between the backgrounds of a search's bins: which convention is used, and its covariance.

A search with a covariance uses it by default, under the name of its source, such as ``"likelihood"`` or
``"covariance"``. Under ``"none"`` the uncertainties of bins are added in quadrature. Results name the convention they
were made with.
"""

from typing import Literal, TypeAlias

from numpy.typing import ArrayLike

from superbin._support.shown import counted
from superbin.domain.covariance import Covariance
from superbin.domain.search import Search
from superbin.errors import InputError, UnknownNameError

__all__ = ["NONE", "Correlations", "convention", "covariances"]

NONE = "none"
"""Name of the convention in which bins are independent: uncertainties in quadrature."""

Correlations: TypeAlias = Literal["none", "likelihood", "covariance"] | str | Covariance | ArrayLike | None
"""How bins are correlated: a convention's name (none, or the source of the search's own covariance), a covariance, a matrix for both sides, or None for the default."""


def convention(covariance: Covariance | None) -> str:
    """What results call the convention with this covariance."""
    return NONE if covariance is None else covariance.source


def covariances(search: Search, correlations: Correlations = None) -> tuple[Covariance | None, ...]:
    """The convention to use for the correlations between bins first, then the other one if there is one.

    Parameters
    ----------
    search : Search
    correlations : str, Covariance or array_like, optional
        The name of the search's own covariance or ``"none"``; or a covariance of its bins, shape (n_bins, n_bins), events
        squared. By default the search's own covariance where it has one, else none.

    Returns
    -------
    tuple of Covariance or None
        None stands for quadrature over bins.

    Raises
    ------
    UnknownNameError
        If the search has no covariance of that name; the text lists what there is.
    InputError
        If a covariance is none, or is of another number of bins.
    """
    own = search.covariance
    if correlations is None:
        return (None,) if own is None else (own, None)
    if isinstance(correlations, str):
        if correlations == NONE:
            return (None,) if own is None else (None, own)
        if own is None or correlations != own.source:
            known = [NONE] if own is None else [own.source, NONE]
            raise UnknownNameError(
                f"search {search.name!r} has no correlations {correlations!r}; it has {', '.join(known)}"
            )
        return (own, None)
    given = Covariance.given(correlations)
    if given is None or len(given.up) != search.n_bins:
        size = 0 if given is None else len(given.up)
        raise InputError(
            f"the covariance is of {counted(size, 'bin')}; search {search.name!r} has {search.n_bins}"
        )
    return (given, None)
