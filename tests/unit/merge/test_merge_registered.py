"""A figure of merit of one's own: one object, and every search, command and paper knows it."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from superbin import merge
from superbin.cli.run import run
from superbin.domain import merits
from superbin.domain.aggregate import bin_sums
from superbin.domain.merits import MERITS, Merit, merit, named, register
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.domain.sums import Totals
from superbin.errors import InputError, UnknownNameError
from superbin.merge.problem import problem_from
from superbin.merge.shapes import Shape


@pytest.fixture
def purity() -> Iterator[Merit]:
    """s / (1 + b), known for one test."""
    new = Merit(
        "test_purity",
        "largest s/(1 + b)",
        "maximise $s/(1+b)$",
        "s/(1 + b)",
        exact=lambda sums: sums.signal / (1 + sums.background),
    )
    yield register(new)
    del merits._registry[new.name]


@pytest.mark.usefixtures("purity")
@pytest.mark.parametrize("shape", merge.SHAPES)
def test_every_shape(shape: Shape, cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-70: searches of every shape maximise it; no pair of bins and no single one is better in free shape."""
    found = merge.optimize(cms_search, t1bbbb, figure_of_merit="test_purity", shape=shape)
    problem = problem_from(bin_sums(cms_search, t1bbbb))
    n = problem.n_bins
    pairs = np.array(
        [np.isin(np.arange(n), pair) for pair in itertools.combinations_with_replacement(range(n), 2)]
    )
    s, b = pairs @ t1bbbb.yields, pairs @ problem.background
    assert found.value == pytest.approx(
        sum(t1bbbb.yields[i - 1] for i in found.bins)
        / (1 + sum(problem.background[i - 1] for i in found.bins))
    )
    if shape == "free":
        assert found.value >= (s / (1 + b)).max() * (1 - 1e-12)
    assert found.status == ("certified" if shape == "rectangle" else "best found")


@pytest.mark.parametrize("shape", ["free", "rectangle"])
def test_no_value_without_background(shape: Shape, cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-70: s/b as one writes it, without a value for bins of no background: these are not chosen, and the best of the others is."""
    ratio = Merit(
        "plugin", "largest s/b", "maximise $s/b$", "s/b", exact=lambda sums: sums.signal / sums.background
    )
    register(ratio)
    try:
        found = merge.optimize(cms_search, t1bbbb, figure_of_merit="plugin", shape=shape)
    finally:
        del merits._registry[ratio.name]
    b = problem_from(bin_sums(cms_search, t1bbbb)).background
    assert (b == 0).any()
    # Bins without background add their signal to one other bin: several would share it.
    s = t1bbbb.yields
    right = ((s[b == 0].sum() + s[b > 0]) / b[b > 0]).max()
    if shape == "free":
        assert found.value == pytest.approx(right)
    assert 0 < found.value <= right * (1 + 1e-12)


@pytest.mark.usefixtures("purity")
def test_command_and_paper(tmp_path: Path) -> None:
    """MERGE-70: the command takes its name; summary and paper have its words."""
    folder = tmp_path / "out"
    done = CliRunner().invoke(
        run,
        [
            "T1bbbb",
            "1750",
            "1",
            "--figure-of-merit",
            "test_purity",
            "--toys",
            "0",
            "--no-figures",
            "--no-pdf",
            "-o",
            str(folder),
        ],
    )
    assert done.exit_code == 0, done.output
    assert "largest s/(1 + b)" in done.output
    assert "maximise $s/(1+b)$" in (folder / "paper" / "paper.tex").read_text()


@pytest.mark.usefixtures("purity")
def test_many_signals(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-70: fleets and common merges judge by it."""
    fleet = merge.fleet(cms_search, [t1bbbb], figure_of_merit="test_purity")
    common = merge.common_merge(fleet)
    assert common.efficiency == pytest.approx(1.0, abs=1e-6)
    assert common.bound is None


def test_names() -> None:
    """MERGE-70: a name is taken once; a document's unknown one speaks for itself and evaluates nothing."""
    with pytest.raises(InputError, match="'midp' already"):
        register(MERITS["midp"])
    with pytest.raises(UnknownNameError, match="'not_there'; there are midp, "):
        merit("not_there")
    unknown = named("theirs")
    assert (unknown.goal, unknown.shown(2.0)) == ("theirs", 2.0)
    one = np.ones(1)
    with pytest.raises(UnknownNameError, match="not known here"):
        unknown(Totals(one, one, one, one))
    assert named("limit") is MERITS["limit"]
