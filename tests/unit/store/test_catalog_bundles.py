"""The catalogue of what belongs to searches, and bundles that travel: clauses STORE-14, STORE-20 to STORE-22."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from superbin.catalog import Catalog, open_catalog
from superbin.cli.db import db
from superbin.domain.bundle import Bundle
from superbin.domain.covariance import Covariance
from superbin.domain.grid import AccuracyStatement, SignalGrid
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import DocumentError, InputError, OutputError, SuperbinError, UnknownNameError
from superbin.io.accuracy import parse_statements
from superbin.io.bundles import read_bundle, write_bundle
from superbin.io.grids import grid_bytes
from superbin.io.imports.survey import survey
from superbin.io.template import write_template

CMS = "cms-pas-sus-16-014"


@pytest.fixture
def catalog() -> Iterator[Catalog]:
    with open_catalog("sqlite://") as opened:
        yield opened


@pytest.fixture
def bundle(small_search: Search, small_signal: SignalModel) -> Bundle:
    """A bundle with a file of every kind but a likelihood."""
    points = np.array([(m, x) for m in (800.0, 1000.0, 1200.0) for x in (1.0, 200.0, 400.0)])
    efficiencies = np.tile([0.1, 0.2, 0.1, 0.3], (9, 1))
    grid = SignalGrid(
        "T2qq",
        "small",
        ("m_mother", "m_lsp"),
        points,
        efficiencies,
        0.01 * efficiencies,
        np.full(9, 5000),
        "squark",
        "made up",
        {"generator": {}, "detector": {}, "selection": {}},
    )
    files = {
        "grids/T2qq.csv.gz": grid_bytes(grid),
        "cross-sections/squark.csv": b"mass_GeV,cross_section_pb,uncertainty_percent\n800,0.4,10\n1200,0.1,30\n",
        "published-limits.csv": b"model,m_mother,m_lsp,observed_fb,expected_fb\nT2qq,1000,1,3,4\n",
        "published-contours.csv": b"model,contour,m_mother,m_lsp\nT2qq,observed,1000,1\n",
        "signal-accuracy.json": b'[{"text": "30 %", "mass": [900, null]}, {"text": "no", "except_models": ["T2qq"]}]',
        "generator-card.json": b'{"selection.overall_factor": 0.9}',
    }
    search = replace(
        small_search, covariance=Covariance.of(np.diag([4.0, 3, 2, 1])), licence="CC0", citation="Me"
    )
    return Bundle(search, (small_signal,), files)


def test_everything_of_an_imported_search(catalog: Catalog, bundle: Bundle) -> None:
    """STORE-20: what a bundle brings is had by the name of the search, as for a packaged one."""
    assert catalog.add(bundle) is None
    assert catalog.search("small").covariance is not None
    assert dict(catalog.models("small")) == {"T0": ("table",), "T2qq": ("grid",)}
    assert catalog.files("small")["generator-card.json"].startswith("constants of the simulation")
    # Halfway between the masses of the table: sqrt(0.4 * 0.1) pb at 10 fb-1, of which 10 % are in the first bin.
    signal = catalog.signal("small", "T2qq", (1000, 100))
    assert signal.cross_section_pb == pytest.approx(0.2)
    assert signal.yields[0] == pytest.approx(200, rel=1e-3)
    assert signal.source.endswith("accuracy of the simulation: 30 %")
    assert catalog.grid("small", "T2qq").accuracy((800, 1)) == "not known"
    limits = catalog.limits("small", "T2qq")
    assert limits is not None
    assert limits.contours["observed"].tolist() == [[1000, 1]]
    assert catalog.search("small").simulation == ("selection.overall_factor=0.9",)
    assert not catalog.has_likelihood("small")
    with pytest.raises(UnknownNameError, match=f"'small' has no likelihood; there is one for {CMS}"):
        catalog.published_likelihood("small")
    assert catalog.bundle("small").digest == bundle.digest


def test_a_packaged_search_as_a_bundle(catalog: Catalog, tmp_path: Path) -> None:
    """STORE-20, STORE-14: what ships is stored, travels and serves another name alike."""
    whole = catalog.bundle(CMS)
    assert {"likelihood.json.gz", "grids/T1bbbb.csv.gz", "published-limits.csv"} <= set(whole.files)
    write_bundle(whole, tmp_path / "x.zip")
    assert read_bundle(tmp_path / "x.zip").digest == whole.digest
    assert catalog.published_likelihood(CMS).n_bins == 160
    assert catalog.published_likelihood(CMS) is catalog.published_likelihood(catalog.search(CMS))
    assert catalog.cross_sections("gluino", CMS).at(1750).pb == 0.00359842


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("published-limits.csv", b"model,a\n", "small/published-limits.csv has no heading"),
        ("generator-card.json", b"[]", "small/generator-card.json: a card is a JSON object"),
        ("signal-accuracy.json", b"{}", "is not a list of statements"),
        ("cross-sections/stop.csv", b"x\n", "cross-sections/stop.csv:1: 'x' are not the columns"),
        ("likelihood.json.gz", b"no", "small/likelihood.json.gz: not a packed likelihood"),
        ("grids/T2tt.csv.gz", b"no", "small/grids/T2tt.csv.gz: not a complete gzip file"),
        ("generator-card.json", b"\xff", "is not UTF-8 text"),
    ],
)
def test_files_are_what_their_names_say(
    catalog: Catalog, small_search: Search, file: str, content: bytes, message: str
) -> None:
    """STORE-20: a file that could not be read when it is needed is refused at once."""
    with pytest.raises(DocumentError, match=message):
        catalog.add(Bundle(small_search, files={file: content}))
    assert "small" not in [s.name for s in catalog.searches()]


def test_a_grid_under_another_name(catalog: Catalog, bundle: Bundle) -> None:
    """STORE-20: a grid is of the model that its name says, in the bins of the search."""
    grid = bundle.files["grids/T2qq.csv.gz"]
    with pytest.raises(InputError, match=r"small/grids/T9.csv.gz: is a grid of 'T2qq' in 4 bins of 'small'"):
        catalog.add(Bundle(bundle.search, files={"grids/T9.csv.gz": grid}))


@pytest.mark.parametrize(
    "text",
    [
        '["x"]',
        '[{"mass": [1, 2]}]',
        '[{"text": "x", "of": 1}]',
        '[{"text": "x", "mass": [2, 1]}]',
        '[{"text": "x", "models": [1]}]',
        '[{"text": "x", "difference": 3}]',
    ],
)
def test_statements_that_are_none(text: str) -> None:
    """SIG-15: the entry is named."""
    with pytest.raises(DocumentError, match="f, entry 1: "):
        parse_statements(text, "f")


def test_where_a_statement_holds() -> None:
    """SIG-15: ranges include their lower end; models are named or excluded."""
    statement = AccuracyStatement("x", models=("A",), mass=(1000, np.inf), difference=(0, 300))
    assert statement.holds("A", (1000, 701))
    assert not statement.holds("A", (1000, 700))
    assert not statement.holds("A", (999, 900))
    assert not statement.holds("B", (1000, 701))
    assert not AccuracyStatement("x", except_models=("A",)).holds("A", (1000, 1))


# --- files ------------------------------------------------------------------------------------------------


def test_one_file_there_and_back(bundle: Bundle, tmp_path: Path) -> None:
    """STORE-14: a folder and a zip file hold an equal bundle; equal bundles give equal files of the same name."""
    (tmp_path / "again").mkdir()
    for path in (tmp_path / "x.zip", tmp_path / "again" / "x.zip", tmp_path / "folder"):
        write_bundle(bundle, path)
        back = read_bundle(path)
        assert back.digest == bundle.digest
        assert (back.search.licence, back.search.citation) == ("CC0", "Me")
    assert (tmp_path / "x.zip").read_bytes() == (tmp_path / "again" / "x.zip").read_bytes()


def test_digest_of_a_bundle(bundle: Bundle) -> None:
    """STORE-14: texts, signals and files all count."""
    others = [
        replace(bundle, search=replace(bundle.search, licence="other")),
        replace(bundle, search=replace(bundle.search, source="other")),
        replace(bundle, signals=()),
        replace(bundle, files={}),
    ]
    assert len({bundle.digest, *(other.digest for other in others)}) == 5
    assert replace(bundle).digest == bundle.digest


def test_places_that_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    """STORE-14: what stands there stays without force; other archives are refused."""
    (tmp_path / "x.zip").write_text("precious")
    with pytest.raises(OutputError, match="--force"):
        write_bundle(bundle, tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_text() == "precious"
    write_bundle(bundle, tmp_path / "x.zip", force=True)
    with pytest.raises(InputError, match=r"a name that ends in \.zip"):
        write_bundle(bundle, tmp_path / "x.tar.gz")
    (tmp_path / "y.zip").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_bundle(bundle, tmp_path / "y.zip", force=True)


# --- the command line -------------------------------------------------------------------------------------


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


def test_template_imports_and_runs(here: Path) -> None:
    """STORE-22: five bins with an example of everything; as written it imports, and an analysis of it works."""
    import superbin

    output("template", "mine", "-o", "tables")
    page = (here / "tables" / "README.md").read_text()
    for file in ("search.json", "bins.csv", "backgrounds.csv", "covariance.csv", "signals/"):
        assert file in page
        assert (here / "tables" / file).exists()
    assert "stored search mine with 5 bins, 1 signal" in output("import", "tables")
    with open_catalog() as catalog:
        search, signal = catalog.search("mine"), catalog.signal("mine", "example", (1000, 100))
    assert search.n_bins == 5
    assert superbin.analyze(search, signal, toys=0).options["correlations"] == "covariance"
    with pytest.raises(OutputError, match="--force"):
        output("template", "mine", "-o", "tables")
    with pytest.raises(InputError, match="printable text that is not blank"):
        write_template(" ", here / "other")
    with pytest.raises(InputError, match="a template is a folder"):
        write_template("x", here / "other.zip")


def test_a_filled_template_has_the_new_numbers(here: Path) -> None:
    """STORE-22: editing the lines of the tables is all it takes, with more bins too."""
    output("template", "mine", "-o", "tables")
    bins, backgrounds = here / "tables" / "bins.csv", here / "tables" / "backgrounds.csv"
    bins.write_text(bins.read_text().replace("5,800,inf,1", "5,800,1000,7\n6,1000,inf,2"))
    backgrounds.write_text(backgrounds.read_text() + "6,ttbar,0.1,0,0,0.1,0.1\n6,wjets,0.2,0,0,0.1,0.1\n")
    (here / "tables" / "covariance.csv").unlink()
    (here / "tables" / "signals" / "example_1000_100.csv").unlink()
    output("import", "tables")
    with open_catalog() as catalog:
        search = catalog.search("mine")
    assert search.observed.tolist() == [103, 41, 18, 4, 7, 2]
    assert search.covariance is None


@pytest.mark.usefixtures("here")
def test_replacing_says_what(bundle: Bundle) -> None:
    """STORE-21: the digest, the files and the points that went."""
    write_bundle(bundle, "x.zip")
    assert "replaced" not in output("import", "x.zip")
    changed = replace(bundle, search=replace(bundle.search, observed=bundle.search.observed + 1), files={})
    write_bundle(changed, "y.zip")
    text = output("import", "y.zip", "--replace")
    assert f"UTC with digest {bundle.search.digest[:12]}" in text
    assert "its file grids/T2qq.csv.gz" in text
    assert "the signal T0(1000, 100)" in text
    with open_catalog() as catalog:
        assert catalog.store.files("small") == ()


def test_delete(here: Path, bundle: Bundle) -> None:
    """STORE-21: the search goes with all that belongs to it; a packaged one comes back."""
    write_bundle(bundle, "x.zip")
    output("import", "x.zip")
    assert output("delete", "small", "--dry-run") == "would delete search small with 1 signal and 0 scans\n"
    assert (
        output("delete", "small") == f"{here / 'db.sqlite'}: deleted search small with 1 signal and 0 scans\n"
    )
    for arguments in (("small",), ("small", "--dry-run")):
        with pytest.raises(UnknownNameError, match="the nearest is 'cms"):
            output("delete", *arguments)
    assert "restore it with: superbin db init" in output("delete", CMS)
    output("init")
    assert CMS in output("list")
    output("import", "x.zip")  # nothing of the first is in its way
    with open_catalog() as catalog:
        assert catalog.bundle("small").digest == bundle.digest


@pytest.mark.usefixtures("here")
def test_export_of_one_file(bundle: Bundle) -> None:
    """STORE-14: one file by -o or as the second word; one place is needed."""
    write_bundle(bundle, "x.zip")
    output("import", "x.zip")
    output("export", "small", "-o", "y.zip")
    output("export", "small", "z")
    assert {read_bundle(name).digest for name in ("y.zip", "z")} == {bundle.digest}
    for places in ((), ("a", "-o", "b")):
        with pytest.raises(InputError, match="give one place to write to"):
            output("export", "small", *places)


def test_inspect(here: Path, bundle: Bundle) -> None:
    """STORE-22: files, form and what an import would do; nothing is stored."""
    write_bundle(bundle, "x.zip")
    text = output("inspect", "x.zip")
    assert "file grids/T2qq.csv.gz" in text
    assert "import it with: superbin db import x.zip" in text
    assert json.loads(output("inspect", "x.zip", "--json"))["kind"] == "superbin"
    assert not (here / "db.sqlite").exists()


def test_inspect_says_what_is_missing(here: Path) -> None:
    """STORE-22: options that are needed, forms that are not recognised, and a mapping where tables must be chosen."""
    (here / "t.csv").write_text("region,observed,background,error\nA,3,2.0,1\nB,1,1.5,1\n")
    seen = survey("t.csv")
    assert (seen.kind, seen.needs, seen.problem) == ("csv", ("--luminosity FB",), "")
    assert "import it with: superbin db import t.csv --luminosity FB" in seen.lines()
    (here / "odd.bin").write_bytes(b"\x00\x01")
    odd = survey("odd.bin")
    assert odd.kind is None
    assert "cannot be imported as it is: " in "\n".join(odd.lines())
    (here / "hep").mkdir()
    for name in ("one", "two"):
        values = "[{value: 2}, {value: 3}]"
        (here / "hep" / f"{name}.yaml").write_text(
            f"independent_variables:\n- header: {{name: met}}\n  values: [{{low: 0, high: 1}}, {{low: 1, high: 2}}]\n"
            f"dependent_variables:\n- header: {{name: Observed}}\n  values: {values}\n- header: {{name: Total background}}\n"
            f"  values: {values}\n"
        )
    hep = survey("hep")
    assert hep.kind == "hepdata"
    assert len(hep.tables) == 2
    assert hep.problem
    assert set(hep.mapping["tables"]) == {"yields"}


@pytest.mark.usefixtures("here")
def test_show_has_the_texts(bundle: Bundle) -> None:
    """STORE-13, STORE-20: licence, citation, covariance and files."""
    write_bundle(bundle, "x.zip")
    output("import", "x.zip")
    text = output("show", "small")
    for line in (
        "licence: CC0",
        "citation: Me",
        "covariance of the bins: covariance",
        "grids/T2qq.csv.gz: a signal grid",
    ):
        assert line in text
    shown = json.loads(output("show", "small", "--json"))
    assert (shown["licence"], shown["citation"], shown["covariance"]) == ("CC0", "Me", "covariance")
    assert "grids/T2qq.csv.gz" in shown["files"]
