"""Results and bundles in the formats of other tools, read back by these tools where they are installed."""

import csv
import io
import json
import logging
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import jsonpatch
import numpy as np
import pyhf
import pytest

from superbin.cli import main
from superbin.domain.bundle import Bundle
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError, UnknownNameError
from superbin.export import FORMATS, Entry, Point, entry_of, files_of, with_likelihood_limits
from superbin.io import imports
from superbin.results import AnalysisResult, SearchSummary
from superbin.results.scan import ScanLimit, ScanPoint, ScanResult
from superbin.stats.limits import asymptotic_limit

POINTS = [(m, n) for m in (1000.0, 1200.0, 1400.0) for n in (100.0, 300.0, 500.0)]
COVARIANCE = np.array([[4.0, 1.0, 0.5], [1.0, 9.0, 0.2], [0.5, 0.2, 1.0]])


def sigma(mother: float) -> float:
    return 0.3 * math.exp(-(mother - 1000) / 150)


def yields(mother: float, lsp: float) -> np.ndarray:
    share = np.array([0.02, 0.05, 0.01]) * (1 + (mother - lsp) / 1000)
    return 1000 * sigma(mother) * 12.9 * share


@pytest.fixture
def bundle() -> Bundle:
    search = Search.from_arrays(
        "three-regions",
        observed=[12, 30, 3],
        background=[10.0, 33.5, 2.5],
        luminosity_fb=12.9,
        covariance=COVARIANCE,
        names=["low", "mid HT", "high"],
        title="Three regions",
        reference="made up",
    )
    signals = tuple(
        SignalModel(
            "T1bbbb",
            {"m_mother": m, "m_lsp": n},
            search.name,
            yields(m, n),
            0.1 * yields(m, n),
            cross_section_pb=sigma(m),
        )
        for m, n in POINTS
    )
    return Bundle(search, signals)


@pytest.fixture
def scan() -> ScanResult:
    def point(m: float, n: float) -> ScanPoint:
        mu = (m + n) / 1500
        limit = ScanLimit(mu, 0.5 * mu, 0.7 * mu, 0.9 * mu, 1.4 * mu, 2.0 * mu, "exact")
        return ScanPoint(
            {"m_mother": m, "m_lsp": n},
            "done",
            likelihood_limit=limit,
            limit=limit,
            cross_section_pb=sigma(m),
        )

    search = SearchSummary("mine", "t", "r", 12.9, 13.0, 3, "0" * 64, "made up")
    return ScanResult(
        search,
        "T1bbbb",
        ("m_mother", "m_lsp"),
        {"level": 0.95},
        tuple(point(m, n) for m, n in POINTS),
        "0.1.0",
    )


def write(files: Mapping[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_smodels_gives_the_efficiencies_back(
    bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """EXP-3: regions, counts, covariance and efficiencies as SModelS reads them, without a warning."""
    pytest.importorskip("smodels", reason="SModelS is not installed; pip install 'superbin[test]'")
    from smodels.experiment.databaseObj import Database

    write(files_of(bundle, "smodels"), tmp_path / "db")
    with caplog.at_level(logging.WARNING):
        database = Database(str(tmp_path / "db"), progressbar=False)
    assert [record.message for record in caplog.records] == []
    (found,) = database.getExpResults()
    assert {data.dataInfo.dataId: data.dataInfo.observedN for data in found.datasets} == {
        "low": 12,
        "mid_HT": 30,
        "high": 3,
    }
    (folder,) = (tmp_path / "db").glob("13TeV/*/*")
    assert np.array(json.loads((folder / "covariance.json").read_text())) == pytest.approx(COVARIANCE)
    assert "url: not given\n" in (folder / "globalInfo.txt").read_text()
    data = next(d for d in found.datasets if d.dataInfo.dataId == "mid_HT")
    (topology,) = data.txnameList
    got = np.sort(topology.txnameData.y_values)
    expected = np.sort([yields(m, n)[1] / (1000 * sigma(m) * 12.9) for m, n in POINTS])
    assert got == pytest.approx(expected, rel=1e-6)


def test_smodels_gives_the_limits_back(scan: ScanResult, tmp_path: Path) -> None:
    """EXP-3: observed and expected upper limits in fb."""
    pytest.importorskip("smodels", reason="SModelS is not installed; pip install 'superbin[test]'")
    from smodels.experiment.databaseObj import Database

    from superbin.domain.aggregate import AggregateBin, Background

    total = AggregateBin((1,), 1.0, 0.0, Background(5.0, 1.0, 1.0), (), 5)
    whole = ScanResult(
        scan.search,
        scan.model,
        scan.parameters,
        scan.options,
        tuple(_with(p, total) for p in scan.points),
        "0.1.0",
    )
    write(files_of(whole, "smodels"), tmp_path / "db")
    (found,) = Database(str(tmp_path / "db"), progressbar=False).getExpResults()
    ((topology,),) = (data.txnameList for data in found.datasets)
    observed = np.sort([1000 * sigma(m) * (m + n) / 1500 for m, n in POINTS])
    assert np.sort(topology.txnameData.y_values) == pytest.approx(observed, rel=1e-6)
    assert np.sort(topology.txnameDataExp.y_values) == pytest.approx(0.9 * observed, rel=1e-6)


def _with(point: ScanPoint, total: object) -> ScanPoint:
    return replace(point, yields=total)  # type: ignore[arg-type]


def test_one_point_is_no_map(bundle: Bundle) -> None:
    """EXP-2: SModelS refuses a bundle with one signal or none."""
    with pytest.raises(
        InputError, match=r"1 point of T1bbbb makes no map, which SModelS interpolates; export a scan\.json"
    ):
        files_of(Bundle(bundle.search, bundle.signals[:1]), "smodels")
    with pytest.raises(InputError, match="there are no signals"):
        files_of(Bundle(bundle.search), "smodels")


@pytest.mark.parametrize("name", ["madanalysis", "spey"])
def test_a_scan_has_no_common_region(scan: ScanResult, name: str) -> None:
    """EXP-2: MadAnalysis and spey refuse a scan, whose points have no common region."""
    with pytest.raises(InputError, match="an aggregate bin of its own at every point"):
        files_of(scan, name)


def test_one_signal(bundle: Bundle) -> None:
    """EXP-2: HS3 refuses a bundle of nine signals."""
    with pytest.raises(InputError, match="a document of hs3 is of one signal, and this has 9"):
        files_of(bundle, "hs3")


def test_regions_as_a_workspace_and_as_hs3(bundle: Bundle, scan: ScanResult) -> None:
    """EXP-8: several signals are patches of the background; with one the regions are one workspace, and the HS3 model has their counts."""
    many = files_of(bundle, "pyhf")
    assert sorted(many) == ["BkgOnly.json", "patchset.json"]
    one = Bundle(bundle.search, bundle.signals[4:5])
    alone = json.loads(files_of(one, "pyhf")["workspace.json"])
    background = json.loads(many["BkgOnly.json"])
    patch = json.loads(many["patchset.json"])["patches"][4]["patch"]
    assert jsonpatch.apply_patch(background, patch) == alone
    document = json.loads(files_of(one, "hs3")["hs3.json"])
    assert document["metadata"]["hs3_version"] == "0.2"
    counts = {axis["name"]: axis["value"] for data in document["data"] for axis in data["axes"]}
    assert [counts[f"n_{name}_0"] for name in ("low", "mid_HT", "high")] == [12, 30, 3]
    for name in ("pyhf", "hs3"):
        with pytest.raises(InputError, match="an aggregate bin of its own at every point"):
            files_of(scan, name)


@pytest.mark.parametrize("name", ["madanalysis", "spey"])
def test_regions_come_back(bundle: Bundle, name: str, tmp_path: Path) -> None:
    """EXP-6: read as a search again, counts, backgrounds and covariance are the same."""
    single = Bundle(bundle.search, bundle.signals[:1])
    folder = write(files_of(single, name), tmp_path)
    (path,) = folder.iterdir()
    options = {"name": "back", "luminosity_fb": 12.9, "sqrt_s_tev": 13.0}
    search = imports.read(path, options=imports.Options(**options)).bundle.search  # type: ignore[arg-type]
    assert search.observed.tolist() == [12, 30, 3]
    assert search.processes[0].estimate.nominal == pytest.approx([10.0, 33.5, 2.5])
    assert search.covariance is not None
    assert search.covariance.up == pytest.approx(COVARIANCE)


def test_the_error_is_the_mean_of_both_sides() -> None:
    """EXP-6: +3 -1 is written as an error of 2, in spey's file and in MadAnalysis's."""
    search = Search.from_arrays(
        "one", observed=[12], background=[10.0], error=([3.0], [1.0]), luminosity_fb=12.9
    )
    signal = SignalModel(
        "T1bbbb", {"m_mother": 1000.0, "m_lsp": 1.0}, "one", np.array([2.0]), np.array([0.1])
    )
    one = Bundle(search, (signal,))
    (document,) = files_of(one, "spey").values()
    assert json.loads(document)["absolute_uncertainties"] == [2.0]
    (info,) = files_of(one, "madanalysis").values()
    assert b"<deltanb>2.0</deltanb>" in info


def observing(bundle: Bundle, *counts: int) -> Bundle:
    """The same regions with other data."""
    return Bundle(replace(bundle.search, observed=np.array(counts)), bundle.signals)


@pytest.mark.parametrize("counts", [(12, 30, 3), (7, 41, 0)])
def test_spey_gives_our_limits(bundle: Bundle, counts: tuple[int, ...]) -> None:
    """EXP-9: to 1e-3, observed and expected, where a region observes 0 as well."""
    spey = pytest.importorskip("spey", reason="spey is not installed; pip install 'superbin[test]'")
    single = Bundle(observing(bundle, *counts).search, bundle.signals[4:5])
    document = json.loads(files_of(single, "spey")["spey.json"])
    keys = ("signal_yields", "background_yields", "data", "covariance_matrix")
    model = spey.get_backend(document["backend"])(**{key: document[key] for key in keys})
    ours = document["limits"]
    assert model.poi_upper_limit() == pytest.approx(ours["observed"], rel=1e-3)
    expected = model.poi_upper_limit(expected=spey.ExpectationType.apriori)
    assert expected == pytest.approx(ours["expected"], rel=1e-3)


def test_spey_gives_our_limits_of_one_region(example_result: AnalysisResult) -> None:
    """EXP-9: of a result's aggregate bin, beside its limits with asymmetric errors and of the full likelihood."""
    spey = pytest.importorskip("spey", reason="spey is not installed; pip install 'superbin[test]'")
    document = json.loads(files_of(example_result, "spey")["spey.json"])
    keys = ("signal_yields", "background_yields", "data", "absolute_uncertainties")
    model = spey.get_backend(document["backend"])(**{key: document[key] for key in keys})
    ours = document["limits"]
    assert model.poi_upper_limit() == pytest.approx(ours["observed"], rel=1e-3)
    total, b = example_result.yields, example_result.yields.background
    asymmetric = asymptotic_limit(total.observed, b.nominal, b.up, b.down) / total.signal
    assert ours["asymmetric_observed"] == pytest.approx(asymmetric)
    assert example_result.likelihood is not None
    assert ours["likelihood_observed"] == example_result.likelihood.quoted.mu.observed
    said = " ".join(document["differences"])
    assert f"{ours['observed'] / asymmetric - 1:+.1%}" in said
    assert "full likelihood" in said


def test_smodels_gives_our_limits(bundle: Bundle, tmp_path: Path) -> None:
    """EXP-9: to 1e-3 from the entry as SModelS reads it; where a region observes 0 SModelS is off, by what the entry says."""
    pytest.importorskip("smodels", reason="SModelS is not installed; pip install 'superbin[test]'")
    from smodels.experiment.databaseObj import Database
    from smodels.statistics.basicStats import apriori, observed
    from smodels.statistics.simplifiedLikelihoods import SLData, SLUpperLimitComputer

    for counts in ((12, 30, 3), (7, 41, 0)):
        folder = tmp_path / str(counts[0])
        write(files_of(observing(bundle, *counts), "smodels"), folder)
        (found,) = Database(str(folder), progressbar=False).getExpResults()
        (entry,) = folder.glob("13TeV/*/*")
        text = (entry / "superbin-limits.csv").read_text()
        rows = list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#")))
        assert len(rows) == len(POINTS)
        order = ["low", "mid_HT", "high"]
        info = {data.dataInfo.dataId: data.dataInfo for data in found.datasets}
        covariance = json.loads((entry / "covariance.json").read_text())
        for row, (m, n) in list(zip(rows, POINTS, strict=True))[::4]:
            model = SLData(
                [info[name].observedN for name in order],
                [info[name].expectedBG for name in order],
                covariance,
                nsignal=yields(m, n).tolist(),
            )
            theirs = SLUpperLimitComputer(model)
            known = "smodels_observed" if 0 in counts else "observed"
            assert theirs.getUpperLimitOnMu(observed) == pytest.approx(float(row[known]), rel=1e-3)
            assert theirs.getUpperLimitOnMu(apriori) == pytest.approx(float(row["expected"]), rel=1e-3)
            assert (row["smodels_observed"] != "") == (0 in counts)
        comment = (entry / "globalInfo.txt").read_text()
        assert "observed limits over those with asymmetric errors" in comment
        assert ("SModelS holds the background" in comment) == (0 in counts)
        assert "the full likelihood is not compared" in comment


def test_limits_of_the_full_likelihood_from_a_scan(bundle: Bundle, scan: ScanResult) -> None:
    """EXP-9: `--reference` adds them by masses; a scan without any is refused."""
    entry = with_likelihood_limits(entry_of(bundle), scan)
    assert entry.points[0].limits is not None
    assert entry.points[0].limits["likelihood_observed"] == pytest.approx(1100 / 1500)
    text = FORMATS["smodels"].files(entry)["13TeV/CMS/THREE-REGIONS/globalInfo.txt"].decode()
    assert "observed limits over those of the full likelihood: " in text
    without = replace(scan, points=tuple(replace(p, likelihood_limit=None) for p in scan.points))
    with pytest.raises(
        InputError, match="at none of the 9 points; make them with: superbin scan --likelihood-limit"
    ):
        with_likelihood_limits(entry_of(bundle), without)


VALIDATE = """
import sys
from hepdata_validator.full_submission_validator import FullSubmissionValidator
for folder in sys.argv[1:]:
    check = FullSubmissionValidator(schema_version="1.1.1")
    if not check.validate(directory=folder):
        sys.exit(str([m.message for found in check.get_messages().values() for m in found]))
"""


def test_hepdata_is_valid(bundle: Bundle, scan: ScanResult, tmp_path: Path) -> None:
    """EXP-4: hepdata-validator accepts the submissions of a bundle and of a scan."""
    pytest.importorskip(
        "hepdata_validator", reason="hepdata-validator is not installed; pip install 'superbin[test]'"
    )
    folders = [
        str(write(files_of(source, "hepdata"), tmp_path / str(i))) for i, source in enumerate((bundle, scan))
    ]
    # In a process of its own: the validator leaves files open, which is an error here.
    done = subprocess.run(
        [sys.executable, "-c", VALIDATE, *folders], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_hepdata_is_imported_again(bundle: Bundle, tmp_path: Path) -> None:
    """EXP-4: one label names a region in every table, so that the import puts table and covariance together."""
    found = imports.read(write(files_of(bundle, "hepdata"), tmp_path / "hepdata")).bundle.search
    assert found.observed.tolist() == [12, 30, 3]
    assert sum(p.estimate.nominal for p in found.processes) == pytest.approx(np.array([10.0, 33.5, 2.5]))
    assert found.covariance is not None
    assert found.covariance.up == pytest.approx(np.array(COVARIANCE), rel=1e-9)


def test_tables_have_a_row_per_signal(bundle: Bundle, scan: ScanResult) -> None:
    """EXP-7: the CSV table has one row per signal, and for a scan the limits in fb."""
    text = files_of(bundle, "csv")["signals.csv"].decode()
    assert text.startswith("# three-regions: Three regions; 12.9 fb^-1")
    rows = list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#")))
    assert len(rows) == len(POINTS)
    assert float(rows[0]["signal_mid_HT"]) == pytest.approx(yields(1000, 100)[1], rel=1e-12)
    limits = files_of(scan, "csv")["signals.csv"].decode()
    row = next(csv.DictReader(line for line in io.StringIO(limits) if not line.startswith("#")))
    assert float(row["sigma95_likelihood_observed_fb"]) == pytest.approx(1000 * sigma(1000) * 1100 / 1500)


def test_parquet(bundle: Bundle) -> None:
    """EXP-7: the Parquet table has one row per signal and the search's digest in its metadata."""
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    table = pq.read_table(io.BytesIO(files_of(bundle, "parquet")["signals.parquet"]))
    assert table.num_rows == len(POINTS)
    assert table.schema.metadata[b"digest"].decode() == bundle.search.digest
    assert table["m_mother"].to_pylist() == [m for m, _ in POINTS]


def test_formats_have_their_module() -> None:
    """EXP-1: the registry, the command's choices and the modules agree."""
    from superbin.cli.export import NAMES

    assert tuple(sorted(FORMATS)) == NAMES
    assert all(format_.name == name and format_.title for name, format_ in FORMATS.items())
    with pytest.raises(UnknownNameError, match="format 'pie' is unknown; use one of combine, csv"):
        files_of(Bundle(Search.from_arrays("x", observed=[1], background=[1.0], luminosity_fb=1.0)), "pie")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code if isinstance(end.value.code, int) else 0


def test_the_command(bundle: Bundle, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """EXP-1: a folder, an archive, a stream; an existing output is refused."""
    from superbin.io.bundles import write_bundle

    source = tmp_path / "source"
    source.mkdir()
    write_bundle(bundle, source)
    out = tmp_path / "out"
    assert run("export", str(source), "--to", "smodels", "-o", str(out)) == 0
    assert (out / "version").is_file()
    assert run("export", str(source), "--to", "smodels", "-o", str(out)) == 2
    assert b"--force" in capsysbinary.readouterr().err
    assert run("export", str(source), "--to", "hepdata", "-o", str(tmp_path / "h.zip")) == 0
    assert run("export", str(source), "--to", "madanalysis", "-o", "-") == 0
    assert capsysbinary.readouterr().out.endswith(b"</analysis>\n")
    assert run("export", str(source), "--to", "hepdata", "-o", "-") == 2
    assert b"give -o FOLDER or -o FILE.zip" in capsysbinary.readouterr().err


def test_regions_as_datacards(bundle: Bundle, scan: ScanResult, tmp_path: Path) -> None:
    """EXP-5: a card per signal with a channel per region; limits of superbin's fit of the card are pyhf's of the same model."""
    from superbin.likelihood import read

    many = files_of(bundle, "combine")
    assert len(many) == len(bundle.signals)
    one = Bundle(bundle.search, bundle.signals[4:5])
    card = files_of(one, "combine")["datacard.txt"]
    assert card in many.values()
    path = tmp_path / "card.txt"
    path.write_bytes(card)
    engine = read(path)
    assert [name for name, _ in engine.bins] == ["low", "mid_HT", "high"]
    workspace = pyhf.Workspace(json.loads(files_of(one, "pyhf")["workspace.json"]))
    model = workspace.model(modifier_settings={"normsys": {"interpcode": "code1"}})
    found = engine.limit()
    assert found.observed is not None
    cls = pyhf.infer.hypotest(found.observed, workspace.data(model), model, test_stat="qtilde")
    assert float(cls) == pytest.approx(0.05, rel=1e-3)
    with pytest.raises(InputError, match="an aggregate bin of its own at every point"):
        files_of(scan, "combine")


def test_the_datacard_reads_back(cms_search: Search, t1bbbb: SignalModel, tmp_path: Path) -> None:
    """EXP-5: rates, factors and the count are those of the aggregate bin; shared events have one nuisance."""
    from superbin.domain.aggregate import combine
    from superbin.export.combine import files
    from superbin.likelihood import read

    total = combine(cms_search, t1bbbb, [20, 30, 60])
    point = Point("T1bbbb", t1bbbb.parameters, (total.signal,), (0.0,))
    entry = Entry("mine", "t", "r", 12.9, 13.0, (), (point,), aggregates=(total,))
    text = files(entry)["datacard.txt"].decode()
    lines = {
        row.split()[0]: row.split() for row in text.splitlines() if row and not row.startswith(("#", "-"))
    }
    assert lines["observation"] == ["observation", str(total.observed)]
    rates = list(map(float, lines["rate"][1:]))
    assert rates == pytest.approx([total.signal, *(p.nominal for p in total.processes)])
    shared = lines["lostlep_hadtau_stat"][2:]
    for process, cell in zip(total.processes[:2], shared[1:3], strict=True):
        low, high = map(float, cell.split("/"))
        assert high == pytest.approx(1 + process.stat_up / process.nominal)
        assert low == pytest.approx(max(1 - process.stat_down / process.nominal, 1e-3))
    path = tmp_path / "card.txt"
    path.write_text(text)
    likelihood = read(path)
    fit = likelihood.fit(mu=0.0)
    assert fit.status == "converged"
    assert len(likelihood.parameters) >= 7
