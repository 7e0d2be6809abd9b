"""``superbin db`` from the outside: output, JSON, exit by error, nothing left behind."""

import dataclasses
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from superbin.catalog import open_catalog
from superbin.cli.db import db
from superbin.domain.bundle import Bundle
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError, OutputError, SuperbinError, UnknownNameError
from superbin.io.bundles import read_bundle, write_bundle
from superbin.io.tables import write_signal
from superbin.results import SearchSummary
from superbin.results.scan import FAILED, FinishedPoint, ScanPoint, ScanResult

CMS = "cms-pas-sus-16-014"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has its own database and current folder."""
    monkeypatch.setenv("SUPERBIN_DATABASE", str(tmp_path / "db.sqlite"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(db, [str(a) for a in arguments])
    if isinstance(result.exception, SuperbinError):
        raise result.exception
    return result


def output(*arguments: str | Path) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def document(*arguments: str | Path) -> Any:
    return json.loads(output(*arguments, "--json"))


def test_init(here: Path) -> None:
    """STORE-13: init makes and fills the database, and may be called again."""
    for _ in range(2):
        assert output("init") == f"{here / 'db.sqlite'}: 2 searches, 1 signal\n"
    assert output("init", "--database", "other.sqlite").startswith(f"{here / 'other.sqlite'}: ")


def test_list(here: Path, cms_search: Search, t1bbbb: SignalModel) -> None:
    """STORE-13: list names searches and models; as JSON with provenance and every point."""
    assert output("list") == (
        f"{here / 'db.sqlite'}: 2 searches, 1 signal\n"
        "cms-pas-sus-16-014  12.9 fb^-1 at 13 TeV  160 bins  packaged\n"
        "  T1bbbb(m_mother, m_lsp)  1 point\n"
        "cms-sus-16-033  35.9 fb^-1 at 13 TeV  174 bins  packaged\n"
    )
    listed = document("list")
    assert listed["database"] == str(here / "db.sqlite")
    search, _ = listed["searches"]
    assert (search["name"], search["n_bins"], search["digest"]) == (CMS, 160, cms_search.digest)
    (signal,) = search["signals"]
    assert (signal["model"], signal["parameters"]) == ("T1bbbb", {"m_mother": 1750.0, "m_lsp": 1.0})
    assert (signal["digest"], signal["packaged"]) == (t1bbbb.digest, True)


def test_list_scans(here: Path, cms_search: Search) -> None:
    """STORE-13: a scan under its search, with its options and how its points ended."""
    header = ScanResult(SearchSummary.of(cms_search), "T1tttt", ("m",), {"level": 0.95}, (), "0.0")
    ended = [
        ScanPoint({"m": 1.0}, FAILED, "outside of the hull"),
        ScanPoint({"m": 2.0}, FAILED, "a bad seed"),
    ]
    with open_catalog(here / "db.sqlite") as catalog:
        catalog.store.begin_scan(header)
        catalog.store.add_scan_points(header.digest, [FinishedPoint(p.reason or "", p, 0.0) for p in ended])
    (line,) = (line for line in output("list").splitlines() if "scan of" in line)
    assert line.startswith("  scan of T1tttt  0 points done, 2 failed  started 2")
    assert line.endswith(" UTC by superbin 0.0; level 0.95")
    (scan,) = document("list")["searches"][0]["scans"]
    assert (scan["model"], scan["options"], scan["done"], scan["failed"], scan["digest"]) == (
        "T1tttt",
        {"level": 0.95},
        0,
        2,
        header.digest,
    )


def test_show_search(cms_search: Search) -> None:
    """STORE-13: a search in short, and bin by bin with published numbers as JSON."""
    text = output("show", CMS)
    assert text.startswith(f"{CMS}: {cms_search.title}\n")
    assert "160 bins in njet, nb, ht [GeV], mht [GeV]" in text
    assert f"digest {cms_search.digest}" in text
    bins = document("show", CMS)["bins"]
    assert [b["bin"] for b in bins] == list(range(1, 161))
    # The edges of bins 1 and 160 are those of the published table, the last one open in every observable.
    assert bins[0]["ranges"] == {"njet": [3, 4], "nb": [0, 0], "ht": [300, 500], "mht": [300, 350]}
    assert bins[159]["ranges"] == {"njet": [9, None], "nb": [3, None], "ht": [1500, None], "mht": [750, None]}
    lostlep = cms_search.processes[0].estimate
    assert bins[0]["background"]["lostlep"] == {part: getattr(lostlep, part)[0] for part in lostlep.__slots__}


def test_show_model_and_signal(t1bbbb: SignalModel) -> None:
    """STORE-13: the points of a model; a signal in short, and with its yields as JSON."""
    assert output("show", CMS, "T1bbbb") == f"T1bbbb(m_mother, m_lsp) in {CMS}: 1 point\n  T1bbbb(1750, 1)\n"
    assert [p["parameters"]["m_mother"] for p in document("show", CMS, "T1bbbb")] == [1750.0]
    # 27.84357 events is the sum of the published histogram.
    assert "27.84 +- 0.23" in output("show", CMS, "T1bbbb", "1750", "1")
    shown = document("show", CMS, "T1bbbb", "1750", "1")
    assert shown["yields"] == t1bbbb.yields.tolist()
    assert shown["errors"] == t1bbbb.errors.tolist()


def test_show_unknown() -> None:
    """STORE-9: the nearest search, model and point are named."""
    with pytest.raises(UnknownNameError, match=f"the nearest is '{CMS}'"):
        call("show", "cms-sus-16-014")
    with pytest.raises(UnknownNameError, match="the nearest is 'T1bbbb'"):
        call("show", CMS, "T1bbb")
    with pytest.raises(UnknownNameError, match=r"the nearest is T1bbbb\(1750, 1\)"):
        call("show", CMS, "T1bbbb", "-1750", "1")
    assert call("show", CMS, "T1bbbb", "heavy", "1").exit_code == 2


def test_import_and_export(here: Path, small_search: Search, small_signal: SignalModel) -> None:
    """STORE-14: a folder goes in, comes out the same, and goes into another database."""
    other = SignalModel("T2", {"m": 7.0}, "small", np.ones(4), np.ones(4))
    write_bundle(Bundle(small_search, (small_signal,)), here / "in", force=True)
    write_signal(other, here / "t2.csv")
    expected = f"{here / 'db.sqlite'}: stored search small with 4 bins, 1 signal\n"
    assert output("import", "in").endswith(expected)
    assert output("import", "t2.csv") == f"{here / 'db.sqlite'}: stored 1 signal\n"

    assert output("export", "small", "out") == "out: wrote search small, 2 signals\n"
    back = read_bundle(here / "out")
    assert back.search.digest == small_search.digest
    assert {s.digest for s in back.signals} == {small_signal.digest, other.digest}
    output("import", "out", "--database", "second.sqlite")
    listed = document("list", "--database", "second.sqlite")["searches"]
    assert [(s["name"], len(s["signals"]), s["packaged"]) for s in listed] == [
        (CMS, 1, True),
        ("cms-sus-16-033", 0, True),
        ("small", 2, False),
    ]


def test_import_together(here: Path, small_search: Search, small_signal: SignalModel) -> None:
    """STORE-13: a folder and further signals in one import; two folders are one too many."""
    write_bundle(Bundle(small_search, ()), here / "in", force=True)
    write_signal(small_signal, here / "t0.csv")
    assert output("import", "in", "t0.csv").endswith("stored search small with 4 bins, 1 signal\n")
    with pytest.raises(InputError, match="in is a second search; import one at a time"):
        call("import", "in", "in")


def test_import_is_all_or_nothing(here: Path, small_search: Search, small_signal: SignalModel) -> None:
    """STORE-7: when the second file is wrong, the first is not stored either."""
    write_bundle(Bundle(small_search, ()), here / "in", force=True)
    output("import", "in")
    write_signal(small_signal, here / "good.csv")
    short = SignalModel("T2", {"m": 7.0}, "small", np.ones(3), np.ones(3))
    write_signal(short, here / "short.csv")
    before = (here / "db.sqlite").read_bytes()
    with pytest.raises(InputError, match=r"T2\(7\) has 3 yields; search 'small' has 4 bins"):
        call("import", "good.csv", "short.csv")
    assert (here / "db.sqlite").read_bytes() == before


def test_import_twice(here: Path, small_search: Search) -> None:
    """STORE-8: a second import asks for --replace."""
    write_bundle(Bundle(small_search, ()), here / "in", force=True)
    output("import", "in")
    with pytest.raises(OutputError, match="replace it with --replace"):
        call("import", "in")
    write_bundle(Bundle(dataclasses.replace(small_search, title="New")), here / "in", force=True)
    output("import", "in", "--replace")
    assert output("show", "small").startswith("small: New\n")


def test_import_of_nothing(here: Path) -> None:
    """STORE-13: a path that does not exist, and a folder that holds no search."""
    assert call("import", "nowhere").exit_code == 2
    (here / "empty").mkdir()
    with pytest.raises(InputError, match=r"search\.json"):
        call("import", "empty")
    assert not (here / "db.sqlite").exists()


def test_export_refuses_what_stands_there(here: Path) -> None:
    """STORE-14: an existing folder is replaced with --force only, and a failed export leaves nothing."""
    (here / "out").mkdir()
    (here / "out" / "mine.txt").write_text("precious")
    with pytest.raises(OutputError, match="--force"):
        call("export", CMS, "out")
    with pytest.raises(UnknownNameError):
        call("export", "cms", "out", "--force")
    assert [path.name for path in here.iterdir() if path.name != "db.sqlite"] == ["out"]
    assert (here / "out" / "mine.txt").read_text() == "precious"
    output("export", CMS, "out", "--force")
    assert sorted(path.name for path in (here / "out").iterdir()) == [
        "backgrounds.csv",
        "bins.csv",
        "card-recipe.json",
        "covariance_down.csv",
        "covariance_up.csv",
        "generator-card.json",
        "grids",
        "likelihood.json.gz",
        "published-contours.csv",
        "published-limits.csv",
        "search.json",
        "signal-accuracy.json",
        "signals",
    ]


def test_export_is_the_packaged_folder(here: Path) -> None:
    """STORE-14: the packaged search comes out byte for byte as it ships, comments of the covariance aside."""
    from superbin import catalog

    output("export", CMS, "out")
    shipped = Path(catalog.__file__).parents[1] / "data" / CMS
    files = sorted(path.relative_to(here / "out") for path in (here / "out").rglob("*") if path.is_file())
    packed = ["covariance_down.csv", "covariance_up.csv"]
    theirs = (path.relative_to(shipped).as_posix() for path in shipped.rglob("*") if path.is_file())
    assert sorted(file.as_posix() for file in files) == sorted(
        name.removesuffix(".gz") if name.startswith("covariance") else name for name in theirs
    )
    for file in files:
        if file.name in packed:
            # Comments say of the packaged ones what made them.
            shipped_text = gzip.decompress((shipped / f"{file}.gz").read_bytes())
            texts = shipped_text, (here / "out" / file).read_bytes()
            ours, other = ([row for row in t.split(b"\n") if row[:1] != b"#"] for t in texts)
            assert ours == other
        else:
            assert (here / "out" / file).read_bytes() == (shipped / file).read_bytes()


def test_help_needs_no_sql() -> None:
    """STORE-13: help of the group imports neither SQLAlchemy nor NumPy."""
    script = (
        "import sys; from superbin.cli.db import db; db(['--help'], standalone_mode=False);"
        "sys.exit(bool({'sqlalchemy', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "export" in done.stdout
