"""The uncertainty models: how the background mean is distributed around its expectation ``b``, one class each.

========================  ========================================================================================
name                      distribution of the mean
========================  ========================================================================================
``split-lognormal``       the CMS Mini Analysis Tool's, see `superbin.stats.smear`; ``b >= 0``
``lognormal``             ``b (1 + sigma/b)^z``, ``sigma = (up + down)/2``; ``b > 0`` unless sigma is zero
``gaussian``              normal with width ``up`` above and ``down`` below ``b``, truncated at zero [1]_ (Z_N, there with
                          one width); a half-normal of width ``up`` for ``b = 0``
``gamma``                 Gamma of shape ``b tau + 1`` and rate ``tau = b/sigma^2``, ``sigma = (up + down)/2``: the flat-prior
                          posterior of an off-source region with ``b tau`` counts, whose tail is Z_Bi of the on/off
                          problem [1]_; ``b > 0`` unless sigma is zero
``none``                  ``b``: plain Poisson; ``up`` and ``down`` are not used
========================  ========================================================================================

Each class answers the questions of `superbin.stats.models.protocol.UncertaintyModel`; nothing else in superbin knows their
names. To add one, write its class in a file of its own and name it in `MODELS`.

.. [1] R. Cousins, J. Linnemann, J. Tucker, Nucl. Instrum. Meth. A 595 (2008) 480, doi:10.1016/j.nima.2008.07.086:
   equation 14 (Z_Bi), section 4 (Z_N).
"""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal, TypeAlias, cast

from superbin.errors import UnknownNameError
from superbin.stats.arguments import FloatArray
from superbin.stats.models.gamma import Gamma
from superbin.stats.models.gaussian import Gaussian
from superbin.stats.models.lognormal import Lognormal
from superbin.stats.models.none import Exact
from superbin.stats.models.protocol import UncertaintyModel
from superbin.stats.models.split_lognormal import SplitLognormal

__all__ = ["DEFAULT", "MODELS", "SHARP", "ModelName", "UncertaintyModel", "known", "uncertainty"]

ModelName: TypeAlias = Literal["split-lognormal", "lognormal", "gaussian", "gamma", "none"]
"""The names of `MODELS`."""

MODELS: Mapping[ModelName, type[UncertaintyModel]] = MappingProxyType(
    {cast("ModelName", model.name): model for model in (SplitLognormal, Lognormal, Gaussian, Gamma, Exact)}
)
"""Every uncertainty model by its name, the default first."""

DEFAULT: ModelName = "split-lognormal"
"""The CMS Mini Analysis Tool's; what every function takes unless told."""

SHARP: ModelName = "none"
"""The model without uncertainty: no shape of one, and left out where shapes are compared."""


def known(name: str) -> type[UncertaintyModel]:
    """Look an uncertainty model up by its name.

    Raises
    ------
    UnknownNameError
        If there is no such model; the nearest name is told.

    Examples
    --------
    >>> known("gamma").text
    'on/off problem, Z_Bi'
    """
    try:
        return MODELS[cast("ModelName", name)]
    except (KeyError, TypeError):
        near = get_close_matches(str(name), MODELS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "choose one of these."
        raise UnknownNameError(
            f"no uncertainty model is named {name!r}; there are {', '.join(MODELS)}: {hint}"
        ) from None


def uncertainty(name: str, b: FloatArray, up: FloatArray, down: FloatArray) -> UncertaintyModel:
    """Build the uncertainty model `name` of checked backgrounds: arrays of one shape, in events.

    Raises
    ------
    UnknownNameError
        If there is no such model.
    InputError
        If a row is outside the model's domain: ``b = 0`` with an uncertainty that is relative to b.

    Examples
    --------
    >>> import numpy as np
    >>> model = uncertainty("lognormal", *np.array([[25.0], [5.0], [5.0]]))
    >>> model.mean(np.array([1.0]))  # one standard deviation up
    array([30.])
    """
    return known(name).of(b, up, down)
