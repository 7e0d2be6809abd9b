"""Entries of SModelS, regions of MadAnalysis, arrays of spey, histograms in JSON, and superbin's own folder."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superbin.domain.covariance import Covariance
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import DocumentError, InputError
from superbin.io.grids import parse_grid
from superbin.io.imports import Options, read
from superbin.io.tables import write_search, write_signal

HEAD = "id: TOY-SUS-1\nsqrts: 13*TeV\nlumi: 20/fb\npublication: a toy\nimplementedBy: us\n"
MATRIX = {("SR1", "SR1"): 4.0, ("SR1", "SR2"): 1.0, ("SR1", "SR10"): 0.5, ("SR2", "SR2"): 9.0, ("SR2", "SR10"): 2.0, ("SR10", "SR10"): 16.0}  # fmt: skip
ORDER = ("SR1", "SR2", "SR10")
COUNTS = {"SR1": (12, 10.5, 2.0), "SR2": (30, 31.5, 3.0), "SR10": (5, 4.5, 4.0)}


def rows(order: tuple[str, ...]) -> list[list[float]]:
    return [[MATRIX.get((a, b), MATRIX.get((b, a), 0.0)) for b in order] for a in order]


def entry(folder: Path, head: str, **maps: str) -> Path:
    folder.mkdir()
    (folder / "globalInfo.txt").write_text(HEAD + head)
    counts: dict[str, tuple[float, float, float]] = {**COUNTS, "SR_inc": (47, 46.5, 5.0)}
    for name, (observed, background, error) in counts.items():
        (folder / name).mkdir()
        moment = f"thirdMoment: {background}\n" if "moments" in maps and name != "SR_inc" else ""
        (folder / name / "dataInfo.txt").write_text(
            f"dataType: efficiencyMap\ndataId: {name}\nobservedN: {observed}.0\nexpectedBG: {background}\nbgError: {error}\n"
            + moment
        )
        if "map" in maps:
            (folder / name / "T2tt.txt").write_text(f"txName: T2tt\nefficiencyMap: {maps['map']}\n")
    return folder


OLD = f'datasetOrder: "SR1", "SR2", "SR10"\ncovariance: {rows(ORDER)}\n'


def new(folder: Path) -> Path:
    """The layout of 3.2, whose regions have names of their own and whose matrix is a file."""
    mappings = {f"r{i}": {"smodels": name, "type": "SR"} for i, name in enumerate(ORDER)}
    place = entry(
        folder,
        f"regionMappings: {mappings}\nregionSets: {{'all': {list(mappings)}}}\nstatModels: {{'all': [('sl', 'm.txt')]}}\n",
    )
    (place / "m.txt").write_text(str(rows(ORDER)))
    return place


@pytest.mark.parametrize("layout", ["old", "new"])
def test_smodels_layouts(layout: str, tmp_path: Path) -> None:
    """IMP-8: rows of the matrix follow the entry's order, not that of the folders; regions outside it are left out."""
    place = entry(tmp_path / "e", OLD) if layout == "old" else new(tmp_path / "e")
    result = read(place)
    search = result.bundle.search
    assert (result.kind, search.name, search.luminosity_fb, search.sqrt_s_tev) == (
        "smodels",
        "toy-sus-1",
        20.0,
        13.0,
    )
    assert search.names == ORDER
    assert search.observed.tolist() == [12, 30, 5]
    assert search.covariance is not None
    assert search.covariance.up.tolist() == rows(ORDER)
    assert search.combinable is None
    assert "3 of 4 regions" in result.notes[0]
    assert any("1.00 to 1.00 times the quoted errors" in note for note in result.notes)


def test_smodels_order_of_the_entry(tmp_path: Path) -> None:
    """IMP-8: another order of the entry permutes regions and matrix together."""
    turned = ORDER[::-1]
    head = f"datasetOrder: {', '.join(map(repr, turned))}\ncovariance: {rows(turned)}\n"
    search = read(entry(tmp_path / "e", head)).bundle.search
    assert search.names == turned
    assert search.covariance is not None
    assert search.covariance.up.tolist() == rows(turned)


def test_smodels_without_covariance(tmp_path: Path) -> None:
    """IMP-6: an entry without covariance does not say which regions exclude each other, so none are merged."""
    result = read(entry(tmp_path / "e", ""))
    assert result.bundle.search.n_bins == 4
    combinable = result.bundle.search.combinable
    assert combinable is not None
    assert combinable.sum() == 4
    mapping = {"combinable": ["SR1", "SR2", "SR10"]}
    chosen = read(tmp_path / "e", options=Options(mapping=mapping)).bundle.search.combinable
    assert chosen is not None
    assert chosen.sum() == 10


def test_smodels_efficiencies(tmp_path: Path) -> None:
    """IMP-8: two equal branches are one pair of masses; third moments are kept and used by nothing."""
    efficiencies = "[[[[500.0*GeV, 100.0*GeV], [500.0*GeV, 100.0*GeV]], 0.02], [[[600*GeV, 100*GeV], [600*GeV, 100*GeV]], 0.03]]"
    result = read(entry(tmp_path / "e", OLD, map=efficiencies, moments="yes"))
    files = result.bundle.files
    assert json.loads(files["third-moments.json"]) == {"SR1": 10.5, "SR2": 31.5, "SR10": 4.5}
    grid = parse_grid(gzip.decompress(files["grids/T2tt.csv.gz"]).decode(), Path("T2tt.csv"))
    assert grid.points.tolist() == [[500, 100], [600, 100]]
    assert grid.efficiencies.tolist() == [[0.02] * 3, [0.03] * 3]


def test_smodels_mediator(tmp_path: Path) -> None:
    """IMP-8: three masses of which the last two are equal are those of a mediator and its daughters."""
    efficiencies = "[[[1000.0, 250.0, 250.0], 0.02], [[2000.0, 250.0, 250.0], 0.03]]"
    result = read(entry(tmp_path / "e", OLD, map=efficiencies))
    grid = parse_grid(gzip.decompress(result.bundle.files["grids/T2tt.csv.gz"]).decode(), Path("T2tt.csv"))
    assert grid.points.tolist() == [[1000, 250], [2000, 250]]
    other = "[[[1000.0, 250.0, 100.0], 0.02]]"
    left = read(entry(tmp_path / "f", OLD, map=other))
    assert not left.bundle.files
    assert any("3 masses; not used" in note for note in left.notes)


@pytest.mark.parametrize(
    ("old", "new_text", "message"),
    [
        ("statModels: {", "statModels: [{", "not a list of numbers"),
        ("('sl', 'm.txt')", "'sl'", "a kind and a file are needed"),
        ("'m.txt'", "'../m.txt'", "must lie in the entry's folder"),
        ("'sl'", "'pyhf'", "no simplified likelihood"),
        ("{'all': [('sl'", "{'none': [('sl'", "no simplified likelihood"),
    ],
)
def test_smodels_broken_models(old: str, new_text: str, message: str, tmp_path: Path) -> None:
    """IMP-2: statModels that name nothing that can be read."""
    path = new(tmp_path / "e") / "globalInfo.txt"
    path.write_text(path.read_text().replace(old, new_text))
    with pytest.raises(InputError, match=message):
        read(tmp_path / "e")


REGION = '<region type="signal" id="{0}"{4}><nobs>{1}</nobs><nb>{2}</nb>{3}</region>'


def info(path: Path, *regions: str) -> Path:
    path.write_text('<analysis id="toy">\n<lumi>20.0</lumi>\n' + "\n".join(regions) + "\n</analysis>\n")
    return path


def test_madanalysis(tmp_path: Path) -> None:
    """IMP-8: one error or its two parts; escaped names; without covariances none are merged."""
    path = info(
        tmp_path / "t.info",
        REGION.format("200&lt;MET", 12, 10.5, "<deltanb>2.5</deltanb>", ""),
        REGION.format("B", 3, 4, "<deltanb_stat>3</deltanb_stat><deltanb_syst>4</deltanb_syst>", ""),
        '<region type="control" id="C"><nobs>1</nobs></region>',
    )
    search = read(path).bundle.search
    assert (search.names, search.luminosity_fb) == (("200<MET", "B"), 20.0)
    estimate = search.processes[0].estimate
    assert [estimate.stat_up.tolist(), estimate.syst_up.tolist()] == [[0, 3], [2.5, 4]]
    assert search.combinable is not None
    assert search.combinable.sum() == 2


def covariances(**values: float) -> str:
    return "".join(f'<covariance region="{name}">{v}</covariance>' for name, v in values.items())


def test_madanalysis_covariance(tmp_path: Path) -> None:
    """IMP-5: elements by the name of the other region, one triangle is enough; subsets are chosen."""
    error = "<deltanb>2</deltanb>"
    regions = [
        REGION.format("A", 1, 2, error + covariances(A=4, B=1), ' cov_subset="x"'),
        REGION.format("B", 1, 2, error + covariances(B=9), ' cov_subset="x"'),
        REGION.format("D", 1, 2, error, ""),
    ]
    result = read(info(tmp_path / "t.info", *regions))
    assert result.bundle.search.names == ("A", "B")
    assert result.bundle.search.covariance is not None
    assert result.bundle.search.covariance.up.tolist() == [[4, 1], [1, 9]]
    assert any("regions without covariances: D; not used" in note for note in result.notes)
    regions.append(REGION.format("E", 1, 2, error + covariances(E=25), ' cov_subset="y"'))
    path = info(tmp_path / "u.info", *regions)
    with pytest.raises(InputError, match="2 subsets"):
        read(path)
    one = read(path, options=Options(mapping={"subset": "y"})).bundle.search
    assert one.names == ("E",)


def arrays(path: Path, **content: Any) -> Path:
    path.write_text(json.dumps({"background_yields": [50, 48], "data": [36, 33], **content}))
    return path


def test_spey(tmp_path: Path) -> None:
    """IMP-8: a matrix, symmetric or two-sided errors; the nearest covariance on request."""
    options = Options(luminosity_fb=1.0)
    search = read(
        arrays(tmp_path / "a.json", covariance_matrix=[[144, 19], [19, 256]]), options=options
    ).bundle.search
    assert search.covariance is not None
    assert search.covariance.up.tolist() == [[144, 19], [19, 256]]
    sides = arrays(tmp_path / "b.json", absolute_uncertainty_envelops=[[10, 15], [13, 18]])
    estimate = read(sides, options=options).bundle.search.processes[0].estimate
    assert (estimate.syst_up.tolist(), estimate.syst_down.tolist()) == ([10, 13], [15, 18])
    correlated = arrays(
        tmp_path / "e.json",
        absolute_uncertainty_envelops=[[10, 15], [13, 18]],
        correlation_matrix=[[1, 0.2], [0.2, 1]],
    )
    covariance = read(correlated, options=options).bundle.search.covariance
    assert covariance is not None
    np.testing.assert_allclose(covariance.up, [[100, 26], [26, 169]], rtol=1e-12)
    np.testing.assert_allclose(covariance.down, [[225, 54], [54, 324]], rtol=1e-12)
    both = arrays(
        tmp_path / "f.json", covariance_matrix=[[9, 1], [1, 9]], correlation_matrix=[[1, 0], [0, 1]]
    )
    with pytest.raises(DocumentError, match="covariance_matrix and correlation_matrix; keep one"):
        read(both, options=options)
    uneven = arrays(tmp_path / "c.json", covariance_matrix=[[144, 13], [25, 256]], third_moment=[0.5, 0.8])
    repaired = read(uneven, options=Options(luminosity_fb=1.0, covariance="repair"))
    assert repaired.bundle.search.covariance is not None
    np.testing.assert_allclose(repaired.bundle.search.covariance.up, [[144, 19], [19, 256]], rtol=1e-12)
    assert json.loads(repaired.bundle.files["third-moments.json"]) == {"bin 1": 0.5, "bin 2": 0.8}


def histograms(path: Path, data: list[Any], **names: list[float]) -> Path:
    backgrounds = {
        name: {"nominal": v, "up": [1.0] * len(v), "down": [0.5] * len(v)} for name, v in names.items()
    }
    path.write_text(json.dumps({"is_binned": True, "data": data, "signal": {}, "bkgr": backgrounds}))
    return path


def test_yields(tmp_path: Path) -> None:
    """IMP-8: histograms in JSON: the total alone, else every background; missing and unmeasured data are refused."""
    options = Options(luminosity_fb=1.0)
    whole = histograms(
        tmp_path / "a.json", [3.000000238, 0.0], **{"Total Background": [2.0, 1.0], "top": [1.0, 1.0]}
    )
    search = read(whole, options=options).bundle.search
    assert search.observed.tolist() == [3, 0]
    assert [p.estimate.nominal.tolist() for p in search.processes] == [[2, 1]]
    assert search.processes[0].estimate.syst_down.tolist() == [0.5, 0.5]
    parts = histograms(tmp_path / "b.json", [3, 0], w=[2, 1], top=[1, 1])
    assert [p.name for p in read(parts, options=options).bundle.search.processes] == ["w", "top"]
    with pytest.raises(InputError, match="observed is -1 in bin 2"):
        read(histograms(tmp_path / "c.json", [3, -1], w=[2, 1]), options=options)
    with pytest.raises(InputError, match="data holds '-'"):
        read(histograms(tmp_path / "d.json", ["-", "-"], w=[2, 1]), options=options)


def test_own_folder(tmp_path: Path) -> None:
    """IMP-8: the folder that superbin writes comes back with the same digest, with its signals and files."""
    search = Search.from_arrays(
        "mine",
        observed=[12, 3],
        background=[10.5, 4.25],
        error=2.0,
        luminosity_fb=139,
        edges={"met": [200, 400, 800]},
        covariance=Covariance.of([[4.0, 1.0], [1.0, 4.0]]),
    )
    signal = SignalModel("T1", {"m": 500.0}, "mine", np.array([1.0, 2.0]), np.array([0.1, 0.1]))
    place = tmp_path / "mine"
    write_search(search, place)
    (place / "signals").mkdir()
    write_signal(signal, place / "signals" / "T1_500.csv")
    (place / "third-moments.json").write_text("{}")
    (place / "thesis.pdf").write_bytes(b"%PDF")
    result = read(place)
    assert result.kind == "superbin"
    assert result.bundle.search.digest == search.digest
    assert [s.digest for s in result.bundle.signals] == [signal.digest]
    assert dict(result.bundle.files) == {"third-moments.json": b"{}"}
    assert "thesis.pdf: not used" in result.notes
    with pytest.raises(InputError, match="states everything itself"):
        read(place, options=Options(name="other"))
