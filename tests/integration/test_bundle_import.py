"""Searches from tables go into the database, out again and on to commands."""

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from superbin.catalog import open_catalog
from superbin.cli.db import db
from superbin.domain.bundle import Bundle
from superbin.domain.covariance import Covariance
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import DocumentError, SuperbinError, UnknownNameError
from superbin.io.bundles import read_bundle, write_bundle
from superbin.io.tables import read_search, write_search
from superbin.likelihood import PublishedLikelihood, read, variations
from superbin.likelihood.reading import read_files


@cache
def packaged(search: str) -> PublishedLikelihood:
    with open_catalog("sqlite://") as catalog:
        return catalog.published_likelihood(search)


TABLE = """region,observed,background,error up,error down
SR1,12,10.2,2.0,1.5
SR2,3,4.1,1.5,1.0
SR3,0,1.2,0.6,0.4
"""
SIGNAL = """# model: "T0"
# parameters: {"m": 500}
# search: "mine"
# cross_section_pb: 0.1
# source: "made up"
bin,yield,error
1,2.5,0.1
2,1.5,0.1
3,3,0.1
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUPERBIN_DATABASE", str(tmp_path / "db.sqlite"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def output(*arguments: str) -> str:
    result = CliRunner().invoke(db, arguments)
    if isinstance(result.exception, SuperbinError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_next_command_is_named(here: Path) -> None:
    """CLI-14: on standard error, with the name that the search has in the database."""
    (here / "t.csv").write_text('region,observed,background,error,"T2tt(800, 100)"\nA,3,2,1,1\n')
    result = CliRunner().invoke(db, ("import", "t.csv", "--luminosity", "139", "--name", "mine"))
    assert "superbin run T2tt 800 100 --search mine -o out\n" in result.stderr


def test_a_table_with_its_luminosity(here: Path) -> None:
    """CLI-14: a CSV table and a signal are stored at once; a dry run stores nothing; a second time must be asked for."""
    (here / "mine.csv").write_text(TABLE)
    (here / "signal.csv").write_text(SIGNAL)
    command = ("import", "mine.csv", "signal.csv", "--luminosity", "139")
    printed = output(*command, "--dry-run")
    assert "would store search mine with 3 bins, 1 signal" in printed
    assert re.search(r"^2 SR2 +3 +4.1 +1.5 +1$", printed, re.MULTILINE)
    assert "sum: 15 observed, 15.5 expected" in printed
    with open_catalog() as catalog:
        assert "mine" not in [s.name for s in catalog.searches()]
    assert "stored search mine with 3 bins, 1 signal" in output(*command)
    with pytest.raises(SuperbinError, match="mine"):
        output(*command)
    (here / "mine.csv").write_text(TABLE.replace("SR1,12", "SR1,13"))
    output(*command, "--replace")
    with open_catalog() as catalog:
        search = catalog.search("mine")
        assert search.names == ("SR1", "SR2", "SR3")
        assert search.observed.tolist() == [13, 3, 0]
        assert search.luminosity_fb == 139
        assert catalog.signal("mine", "T0", (500,)).yields.tolist() == [2.5, 1.5, 3]
    assert len(json.loads(output("show", "mine", "--json"))["bins"]) == 3


def test_a_folder_with_a_covariance(here: Path) -> None:
    """CLI-14: the matrix beside the table is the covariance of the search, by default under the name of its kind."""
    (here / "mine").mkdir()
    (here / "mine" / "regions.csv").write_text(TABLE)
    (here / "mine" / "covariance.csv").write_text("4,1,0\n1,2.25,0\n0,0,0.36\n")
    output("import", "mine", "--luminosity", "139", "--name", "mine")
    with open_catalog() as catalog:
        covariance = catalog.search("mine").covariance
    assert covariance is not None
    assert covariance.up.tolist() == [[4, 1, 0], [1, 2.25, 0], [0, 0, 0.36]]


def test_export_and_import(here: Path, small_search: Search, small_signal: SignalModel) -> None:
    """STORE-14, STORE-17, TAB-17, TAB-18: covariance, names, regions that overlap and files come back the same."""
    combinable = np.ones((4, 4), dtype=bool)
    combinable[0, 1] = combinable[1, 0] = False
    fields = {name: getattr(small_search, name) for name in small_search.__dataclass_fields__}
    fields |= {
        "names": ("a", "b, c", 'd "e"', "é"),
        "combinable": combinable,
        "covariance": Covariance(np.diag([1 / 3, 2, 3, 4]), np.eye(4), "fit"),
        "licence": "CC0",
        "citation": "Nobody",
    }
    search = Search(**fields)
    files = {
        "third-moments.json": b"[1, 2, 3, 4]",
        "published-limits.csv": b"model,a,b,observed_fb,expected_fb\nT0,1000,100,3,\n",
    }
    write_bundle(Bundle(search, (small_signal,), files), here / "in")
    output("import", "in")
    output("export", "small", "out")
    back = read_bundle(here / "out")
    assert back.search.digest == search.digest
    assert (back.search.licence, back.search.citation) == ("CC0", "Nobody")
    assert dict(back.files) == files
    assert [s.digest for s in back.signals] == [small_signal.digest]
    assert back.digest == read_bundle(here / "in").digest
    with open_catalog() as catalog:
        assert catalog.store.file("small", "third-moments.json") == files["third-moments.json"]


def test_one_side_of_a_covariance_is_refused(tmp_path: Path, small_search: Search) -> None:
    """TAB-18: up and down belong together."""
    write_search(small_search, tmp_path / "x")
    (tmp_path / "x" / "covariance_up.csv").write_text("1,0,0,0\n0,1,0,0\n0,0,1,0\n0,0,0,1\n")
    with pytest.raises(DocumentError, match=r"covariance_up.csv with covariance_down.csv"):
        read_search(tmp_path / "x")


def test_packaged_covariance_is_that_of_the_likelihood(cms_search: Search) -> None:
    """TAB-18: the packaged tables against the sums over nuisances of the packaged likelihood."""
    right = variations(packaged(cms_search.name)).covariances()
    found = cms_search.covariance
    assert found is not None
    assert found.source == "likelihood"
    for got, expected in ((found.up, right[0]), (found.down, right[1])):
        scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
        assert (np.abs(got - expected) <= 1e-6 * scale).all()
        np.testing.assert_allclose(np.diag(got), np.diag(expected), rtol=1e-6)


CARD = """imax 1
jmax 1
kmax *
bin sr
observation 15
bin sr sr
process s b
process 0 1
rate 4 10
xsec lnN - 1.2
"""
WORKSPACE = {
    "version": "1.0.0",
    "channels": [
        {
            "name": "SR",
            "samples": [
                {"name": "s", "data": [4.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
                {"name": "b", "data": [10.0], "modifiers": [{"name": "x", "type": "normsys", "data": {"hi": 1.2, "lo": 0.8}}]},
            ],
        }
    ],
    "observations": [{"name": "SR", "data": [15]}],
    "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [("card.txt", CARD), ("model.json", json.dumps(WORKSPACE))])
def test_likelihood_of_an_imported_search(here: Path, name: str, text: str) -> None:
    """IMP-13, STORE-17: the likelihood that was imported comes out of the database whole, for the engine."""
    (here / name).write_text(text)
    output("import", name, "--luminosity", "139", "--name", "mine")
    with open_catalog() as catalog:
        stored = catalog.likelihood("mine")
    assert not isinstance(stored, PublishedLikelihood)
    assert stored.limit().observed == read(here / name).limit().observed
    with pytest.raises(UnknownNameError, match="search 'other' has no workspace.json and no cards"):
        read_files({}, name="other")
    with pytest.raises(DocumentError, match="^mine/cards/card.txt:9"):
        read_files({"cards/card.txt": CARD.replace("rate 4", "rate x y").encode()}, name="mine")
