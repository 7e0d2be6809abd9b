"""Many-channel counting likelihoods: read, fit, test, merge and export them. A map of its modules.

Where numbers come from
    `from_packed` reads the compact form in which a search holds its likelihood, `from_datacards` compiles cards just read
    (cards.py, packed.py). Both are a `PublishedLikelihood`, whose `model` fills in a signal (model.py).
Published likelihoods of others
    `read` takes a Combine card, a folder of cards or a HistFactory JSON workspace, `read_cards` several cards (reading.py). Each becomes a
    description (`superbin.statistical_model`) and then the engine that suits it: dense/ in general, counting.py, the sparse engine,
    for counting models of more than 300 parameters. One can ask the same of both (engine.py).
Fits
    `Fitter.fit` minimises a `CountingModel` over all its nuisances and says how it ended (fit.py, newton.py);
    objective.py holds likelihood and derivatives, blocks.py the linear algebra, interpolation.py the factors.
Statistics
    `evaluate` does everything for one signal (summary.py) from the pieces of inference.py; toys.py where asymptotic
    formulae fail; impacts.py for pulls; minuit.py as a second engine.
Predictions
    `predict` with the covariance of a fit (predict.py); `variations` nuisance by nuisance, up and down, and the
    uncertainty of an aggregate of bins (variations.py); `CountingModel.merged` for the aggregate's own likelihood.
Export
    pyhf documents without pyhf (export.py).

The algebra of the fit is in README.md, the promises in ``specs/likelihood.md``.
"""

from superbin.likelihood.dense import Likelihood
from superbin.likelihood.fit import Fit, Fitter
from superbin.likelihood.model import CountingModel, PublishedLikelihood
from superbin.likelihood.packed import from_datacards, from_packed
from superbin.likelihood.predict import BinPrediction, predict
from superbin.likelihood.reading import read, read_cards
from superbin.likelihood.summary import Evaluation, evaluate
from superbin.likelihood.variations import Total, Variations, checked_likelihood, variations

__all__ = [
    "BinPrediction",
    "CountingModel",
    "Evaluation",
    "Fit",
    "Fitter",
    "Likelihood",
    "PublishedLikelihood",
    "Total",
    "Variations",
    "checked_likelihood",
    "evaluate",
    "from_datacards",
    "from_packed",
    "predict",
    "read",
    "read_cards",
    "variations",
]
