"""The description of a binned likelihood, read from any kind of file.

Readers (`superbin.io`) make a `StatisticalModel`, engines (`superbin.likelihood`) evaluate and fit it. It is plain data: frozen,
checked when made, without any function of the parameters.

    lambda_b = sum over samples of (nominal_b + sum of morphs) x product of factors

- `parameters`: names, bounds, starts, constraints;
- `effects`: what a parameter does to a sample, as factor or as an addition to its histogram;
- `expressions`: formulas of parameters, as trees, with exact first and second derivatives;
- `model`: samples, channels, the whole.

The promises are in ``specs/engine.md``.
"""

from superbin.statistical_model.effects import BinRates, Effect, Formula, LogMorph, LogNormal, Morph, Rate
from superbin.statistical_model.expressions import Binary, Call, Choice, Constant, Expression, Jet, Variable
from superbin.statistical_model.model import Channel, Sample, StatisticalModel
from superbin.statistical_model.parameters import Constraint, Normal, Parameter, Poisson

__all__ = [
    "BinRates",
    "Binary",
    "Call",
    "Channel",
    "Choice",
    "Constant",
    "Constraint",
    "Effect",
    "Expression",
    "Formula",
    "Jet",
    "LogMorph",
    "LogNormal",
    "Morph",
    "Normal",
    "Parameter",
    "Poisson",
    "Rate",
    "Sample",
    "StatisticalModel",
    "Variable",
]
