"""Small likelihoods whose answers are known by other means."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from superbin.io.datacards import read_datacards
from superbin.likelihood import PublishedLikelihood, from_datacards

if TYPE_CHECKING:
    from pathlib import Path

ON_OFF = """
imax 2
bin on off
observation {on} {off}
bin on on off
process sig bkg bkg
process 0 1 1
rate SIGNAL {ratio} 1
b rateParam * bkg {off} [0.001,100000]
"""
"""n_on = mu s + b ratio and n_off = b: the on/off problem, solved in closed form by Li and Ma."""

TWO_BINS = """
imax 3
bin one two control
observation 12 7 25
bin one one one two two two control control
process sig top zero sig top zero top other
process 0 1 2 0 1 2 1 3
rate SIGNAL 5.0 0.4 SIGNAL 4.0 0.2 20.0 4.0
lumi lnN 1.03 - - 1.03 - - - -
alpha lnN - 0.8/1.3 - - 0.9/1.15 - - -
beta lnN - 1.1 - - 0.85/1.2 - 1.05 -
gamma lnN - - - - - - - 1.25
scale lnU - 100 - - 100 - 100 -
jes lnU 1.1 - - 1.05 - - - -
"""
"""Two bins tied by a control region, asymmetric factors and a flat nuisance of varying size."""


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., PublishedLikelihood]:
    """Compile the text of one card."""

    def make(text: str, **options: object) -> PublishedLikelihood:
        path: Path = tmp_path_factory.mktemp("cards") / "card.txt"
        path.write_text(text)
        return from_datacards(read_datacards(path), **options)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def on_off(compiled: Callable[..., PublishedLikelihood]) -> Callable[[int, int, float], PublishedLikelihood]:
    """The on/off problem for n_on, n_off and the ratio of exposures."""
    return lambda on, off, ratio: compiled(ON_OFF.format(on=on, off=off, ratio=ratio))


@pytest.fixture(scope="session")
def two_bins(compiled: Callable[..., PublishedLikelihood]) -> PublishedLikelihood:
    """The two-bin likelihood."""
    return compiled(TWO_BINS)
