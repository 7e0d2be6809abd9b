"""``superbin likelihood``: published likelihoods, fitted, tested, combined and written for other tools.

One module per group of verbs: `fits` (fit, limit, significance), `profiles` (scan, impacts), `experiments` (toys, gof), `predictions`
(yields, covariance, simplify), `documents` (export, combine, lint). What SOURCE and SIGNAL mean is in `subject`.
"""

import click

from superbin.cli import LazyGroup
from superbin.cli.likelihood.documents import combine, export, lint
from superbin.cli.likelihood.experiments import gof, toys
from superbin.cli.likelihood.fits import fit, limit, significance
from superbin.cli.likelihood.predictions import covariance, simplify, yields
from superbin.cli.likelihood.profiles import impacts, scan

__all__ = ["likelihood"]


@click.group(cls=LazyGroup, lazy={})
def likelihood() -> None:
    """Fit, test, combine and convert published likelihoods.

    \b
    superbin likelihood fit cms-pas-sus-16-014 T1bbbb 1750 1
    superbin likelihood limit card.txt --mass 120 --json
    superbin likelihood limit BkgOnly.json --patch patchset.json --patch-name signal_600_1
    cat workspace.json | superbin likelihood significance -

    SOURCE is the name of a search (then SIGNAL is MODEL and its parameters), a CMS Combine datacard, a folder
    of them, a HistFactory JSON workspace, or - for standard input. Cards and workspaces are read as written, with the signal they hold; the output names what is doubtful. Without SOURCE, MODEL and its parameters are a signal of the search that --search names.
    """


for _command in (
    fit,
    limit,
    significance,
    scan,
    impacts,
    toys,
    gof,
    yields,
    covariance,
    simplify,
    export,
    combine,
    lint,
):
    likelihood.add_command(_command)
