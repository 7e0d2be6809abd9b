"""Fits of any `superbin.statistical_model.StatisticalModel` of up to some hundreds of parameters.

- `likelihood`: `Likelihood`, all that one can ask, in one object;
- `inference`: significance, CLs, limits; `fits`: fits from several starts; `newton`: one minimisation;
- `objective`: value, gradient, Hessian; `rows`, `effects`, `interpolation`: the model as arrays.

The method is in README.md, the promises are in ``specs/engine.md``.
"""

from superbin.likelihood.dense.likelihood import Likelihood

__all__ = ["Likelihood"]
