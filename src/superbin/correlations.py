"""Correlations between the backgrounds of a search's bins: which convention there is, and its covariance.

Under `CORRELATIONS` ``"likelihood"`` the covariance comes from the nuisances of the published likelihood; under ``"none"`` the
uncertainties of bins are added in quadrature. Results name the one they were made with.
"""

import numpy as np

from superbin.aggregate import Covariance
from superbin.errors import InputError, UnknownNameError
from superbin.likelihood import packaged, variations
from superbin.search import Search

__all__ = ["CORRELATIONS", "check_correlations", "convention", "covariances", "likelihood_covariance"]

CORRELATIONS = ("likelihood", "none")
"""Where correlations between bins come from: the published likelihood's nuisances, or nowhere."""


def check_correlations(correlations: str | None) -> None:
    """Refuse a name that is none of `CORRELATIONS`.

    Raises
    ------
    InputError
        If it is another, and not None.
    """
    if correlations is not None and correlations not in CORRELATIONS:
        raise InputError(f"correlations is {correlations!r}; it must be one of {', '.join(CORRELATIONS)}")


def convention(covariance: Covariance | None) -> str:
    """What results call the convention with this covariance."""
    return "none" if covariance is None else covariance.source


def covariances(search: Search, correlations: str | None) -> tuple[Covariance | None, ...]:
    """The convention to use for the correlations between bins first, then the other one if it is at hand.

    Parameters
    ----------
    search : Search
    correlations : {"likelihood", "none"}, optional
        By default the likelihood's where one ships that fits the search, else none.

    Returns
    -------
    tuple of Covariance or None
        None stands for quadrature over bins.

    Raises
    ------
    UnknownNameError, InputError
        If the likelihood is asked for and there is none that fits, or the name is another.
    """
    check_correlations(correlations)
    if correlations == "likelihood":
        return (likelihood_covariance(search), None)
    try:
        known = likelihood_covariance(search)
    except (UnknownNameError, InputError):
        return (None,)
    return (None, known) if correlations == "none" else (known, None)


def likelihood_covariance(search: Search) -> Covariance:
    """Covariance of a search's bins from its published likelihood, upward and downward.

    Raises
    ------
    UnknownNameError
        If no likelihood ships for the search.
    InputError
        If the likelihood predicts other backgrounds than the search has.
    """
    shifts = variations(packaged(search.name))
    nominal = np.sum([p.estimate.nominal for p in search.processes], axis=0)
    if shifts.nominal.shape != nominal.shape or not np.allclose(
        shifts.nominal, nominal, rtol=1e-3, atol=1e-2
    ):
        raise InputError(
            f"the published likelihood of {search.name!r} predicts other backgrounds than this search has; "
            "use correlations 'none'"
        )
    up, down = shifts.covariances()
    return Covariance(up, down, "likelihood")
