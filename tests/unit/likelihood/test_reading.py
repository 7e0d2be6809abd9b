"""One door for published likelihoods, and the engine chosen by size."""

import math
from pathlib import Path

import numpy as np
import pytest

from superbin.catalog import Catalog
from superbin.errors import DocumentError, InputError
from superbin.likelihood import Likelihood, read
from superbin.likelihood.counting import CountingLikelihood, counting_model, describe
from superbin.likelihood.reading import LARGE, engine_of, read_cards
from superbin.statistical_model import StatisticalModel

CARD = """\
bin a b
observation 7 3
bin a a b b
process s t s t
process 0 1 0 1
rate 2 4 1 2
k lnN 1.1 1.2 1.1 0.8
m lnN - 0.9/1.3 - -
g gmN 2 - - - 1.0
w lnU - 1.5 - -
"""


def wide(n: int) -> str:
    """A card of `n` channels, each with two nuisances of its own and one shared."""
    names = [f"c{i}" for i in range(n)]
    lines = [
        "bin " + " ".join(names),
        "observation " + " ".join(str(3 + i % 5) for i in range(n)),
        "bin " + " ".join(f"{c} {c}" for c in names),
        "process " + "s b " * n,
        "process " + "0 1 " * n,
        "rate " + " ".join(f"{0.1 + 0.02 * (i % 7):.2f} {3.5 + i % 3}" for i in range(n)),
        "shared lnN " + "1.05 1.1 " * n,
    ]
    for i in range(n):
        dashes = ["-"] * (2 * n)
        dashes[2 * i + 1] = "1.3"
        lines.append(f"n{i} lnN " + " ".join(dashes))
        dashes[2 * i + 1] = "0.9/1.15"
        lines.append(f"m{i} lnN " + " ".join(dashes))
    return "\n".join(lines) + "\n"


def test_engine_by_size(tmp_path: Path) -> None:
    """ENG-20: large counting models take the sparse engine, with the same values, fits and limits as the dense one."""
    path = tmp_path / "card.txt"
    path.write_text(wide(LARGE // 2 + 1), encoding="utf-8")
    sparse = read(path)
    assert isinstance(sparse, CountingLikelihood)
    dense = Likelihood(read_description(path))
    assert sparse.parameters == dense.parameters
    values = dict(zip(sparse.parameters, np.linspace(-0.4, 0.9, len(sparse.parameters)), strict=True)) | {
        "r": 1.2
    }
    assert sparse.nll(values) == pytest.approx(dense.nll(values), rel=1e-13)
    assert sparse.fit().nll == pytest.approx(dense.fit().nll, abs=1e-8)
    assert sparse.limit().observed == pytest.approx(dense.limit().observed, rel=1e-4)
    path.write_text(wide(3), encoding="utf-8")
    assert isinstance(read(path), Likelihood)


def read_description(path: Path) -> StatisticalModel:
    from superbin.io.datacards import describe as described
    from superbin.io.datacards import read_datacards

    return described(read_datacards(path))


def test_counting_models_both_ways(tmp_path: Path) -> None:
    """ENG-20: a description of counts, free rates and log-normals is the same likelihood in either engine."""
    path = tmp_path / "card.txt"
    path.write_text(CARD, encoding="utf-8")
    dense = read(path)
    model = counting_model(dense.description)
    assert model is not None
    sparse = CountingLikelihood(model, strength="r")
    assert set(sparse.parameters) == set(dense.parameters)
    points = [{"r": r, "k": k, "m": -k, "g": g, "w": 1.2} for r, k, g in ((0.0, 0.3, 2.0), (1.5, -1.2, 3.5))]
    ours = [sparse.nll(p) for p in points]
    theirs = [dense.nll(p) for p in points]
    assert ours[1] - ours[0] == pytest.approx(theirs[1] - theirs[0], abs=1e-11)
    both = [engine.limit() for engine in (sparse, dense)]
    assert both[0].observed == pytest.approx(both[1].observed, rel=1e-4)
    assert both[0].expected == pytest.approx(both[1].expected, rel=1e-4)


def test_what_is_more_than_counting(packaged_catalog: Catalog) -> None:
    """ENG-20: shapes, formulas and fixed parameters have no counting model; the packaged likelihood has its own."""
    published = packaged_catalog.published_likelihood("cms-pas-sus-16-014")
    model = published.model(np.full(published.n_bins, 0.05))
    description = describe(model, strength="r")
    engine = engine_of(description)
    assert isinstance(engine, CountingLikelihood)
    values = dict.fromkeys(engine.parameters[1:50], 0.7)
    values = {n: v for n, v in values.items() if math.isinf(engine.bounds[1][engine.parameters.index(n)])}
    assert engine.nll(values) == pytest.approx(CountingLikelihood(model, strength="r").nll(values), rel=1e-13)


@pytest.mark.parametrize(
    "lines",
    [
        "f rateParam a t 1+0.1*@0 k\n",
        "nuisance edit freeze k\n",
        "p param 1 0.1\n",
        "q rateParam a t 1\n",
        "t trG - 0.1 - -\n",
    ],
)
def test_others_stay_dense(tmp_path: Path, lines: str) -> None:
    """ENG-20: a second free rate on a term, formulas, other constraints and fixed parameters need the dense engine."""
    path = tmp_path / "card.txt"
    path.write_text(CARD + lines, encoding="utf-8")
    assert counting_model(read(path).description) is None


def test_the_manuals_card(tmp_path: Path) -> None:
    """ENG-20: the realistic counting experiment of Combine's manual with its limits there, by quantiles as Combine has them."""
    path = tmp_path / "card.txt"
    path.write_text(
        "imax 1\njmax 3\nkmax *\nbin a\nobservation 0\nbin a a a a\nprocess ggH qqWW ggWW others\nprocess 0 1 2 3\nrate 1.47 0.64 0.06 0.22\n"
        "lumi lnN 1.11 - 1.11 - luminosity of what is simulated\nxs_ggH lnN 1.16 - - - theory\nWW_norm gmN 4 - 0.16 - - sideband\n"
        "xs_ggWW lnN - - 1.50 - theory\nbg_others lnN - - - 1.30 the rest\n",
        encoding="utf-8",
    )
    engine = read(path)
    assert isinstance(engine, Likelihood)
    deviations = (-1.959964, -0.994458, 0.0, 0.994458, 1.959964)
    limit = engine.limit(deviations=deviations)
    assert limit.observed == pytest.approx(1.6281, rel=2e-3)
    published = (0.9640, 1.4329, 2.3281, 3.9800, 6.6194)
    for deviation, value in zip(deviations, published, strict=True):
        assert limit.bands[deviation] == pytest.approx(value, rel=6e-3)  # Combine's own precision of a limit
    with pytest.raises(InputError, match=r"must lie within -8 and 8"):
        engine.limit(deviations=(math.inf,))


def test_refusals(tmp_path: Path) -> None:
    """ENG-20: settings of the other form, and the same channels twice."""
    path = tmp_path / "card.txt"
    path.write_text(CARD, encoding="utf-8")
    with pytest.raises(InputError, match=r"patches and measurements belong to HistFactory JSON"):
        read(path, patch="x.json")
    workspace = tmp_path / "w.json"
    workspace.write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"is a workspace, which has no mass"):
        read(workspace, mass=125)
    (tmp_path / "other.txt").write_text(CARD, encoding="utf-8")
    with pytest.raises(DocumentError, match=r"the same channels twice"):
        read_cards([path, tmp_path / "other.txt"])
    with pytest.raises(InputError, match=r"the label 'a b' of .* is not one word"):
        read_cards({"a b": path})
